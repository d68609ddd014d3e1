// Plans are values: made for any machine, the same every time, listing all that was considered.

#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>

#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::Extent3;
using convt3d::Isa;
using convt3d::Machine;
using convt3d::Plan;
using convt3d::Problem;

Machine machine_of(Isa isa, int threads = 2) {
  Machine machine;
  machine.isa = isa;
  machine.threads = threads;
  return machine;
}

class Planning : public ProblemSweep {};

TEST_P(Planning, ListsEveryAlgorithmWithItsCostOrReason) {
  const Plan plan = convt3d::make_plan(problem_of(GetParam()), machine_of(Isa::kAvx2));
  std::vector<std::string> listed;
  const convt3d::Candidate* chosen = nullptr;
  for (const convt3d::Candidate& candidate : plan.candidates) {
    listed.push_back(candidate.algorithm);
    if (candidate.algorithm == plan.algorithm) chosen = &candidate;
    EXPECT_TRUE(!candidate.rejected.empty() || candidate.seconds > 0) << candidate.algorithm;
  }
  EXPECT_EQ(listed, convt3d::algorithm_names());
  ASSERT_NE(chosen, nullptr);
  EXPECT_EQ(chosen->rejected, "");
  EXPECT_NE(plan.reason, "");
  EXPECT_NE(plan.tiles, "");
  for (const convt3d::Candidate& candidate : plan.candidates) {
    EXPECT_TRUE(!candidate.rejected.empty() || chosen->seconds <= candidate.seconds) << candidate.algorithm;
  }
}

TEST_P(Planning, IsTheSameEveryTimeAndOnAnyMachine) {
  for (const Isa isa : {Isa::kBaseline, Isa::kSse4, Isa::kAvx2, Isa::kAvx512, Isa::kNeon}) {
    const Plan plan = convt3d::make_plan(problem_of(GetParam()), machine_of(isa, 7));
    const Plan again = convt3d::make_plan(problem_of(GetParam()), machine_of(isa, 7));
    EXPECT_EQ(plan.problem, problem_of(GetParam()));
    EXPECT_EQ(plan.machine.isa, isa);
    EXPECT_EQ(plan.threads, 7);
    EXPECT_EQ(plan.algorithm, again.algorithm);
    EXPECT_EQ(plan.reason, again.reason);
    EXPECT_EQ(plan.tiles, again.tiles);
    EXPECT_EQ(convt3d::ledger_bytes(plan), convt3d::ledger_bytes(again));
  }
}

TEST_P(Planning, LedgerIsTheSumOfItsEntries) {
  const Plan plan = convt3d::make_plan(problem_of(GetParam()), machine_of(Isa::kAvx512));
  const std::int64_t sum = std::accumulate(plan.ledger.begin(), plan.ledger.end(), std::int64_t{0},
                                           [](std::int64_t total, const auto& entry) { return total + entry.bytes; });
  EXPECT_EQ(convt3d::ledger_bytes(plan), sum);
  for (const convt3d::LedgerEntry& entry : plan.ledger) {
    EXPECT_GE(entry.bytes, 0) << entry.what;
    EXPECT_NE(entry.what, "");
  }
}

INSTANTIATE_TEST_SUITE_P(Problems, Planning, testing::ValuesIn(problems_without_sweeps()), name_of_problem);

Problem any_problem() { return problem_of(named_problem("k4s2p1")); }

TEST(Plan, TakesThreadsOfTheMachineUnlessTold) {
  EXPECT_EQ(convt3d::make_plan(any_problem(), machine_of(Isa::kBaseline, 3)).threads, 3);
  EXPECT_EQ(convt3d::make_plan(any_problem(), machine_of(Isa::kBaseline, 3), {.threads = 2}).threads, 2);
}

/// Waking a thread takes longer than a few microseconds' work, but a forced algorithm is to be seen on all of them.
TEST(Plan, UsesOneThreadForWhatIsOverAtOnce) {
  const convt3d::ConvTranspose3dOptions head{.in_channels = 64, .out_channels = 1, .kernel_size = 1};
  const auto used_for = [&](std::int64_t n, const Extent3& input, const convt3d::PlanOptions& options) {
    const Plan plan = convt3d::make_plan(convt3d::make_problem(head, n, input), machine_of(Isa::kAvx512, 4), options);
    EXPECT_EQ(plan.threads, 4);
    return plan.used_threads;
  };
  EXPECT_EQ(used_for(1, {4, 8, 8}, {}), 1);
  EXPECT_EQ(used_for(1, {4, 8, 8}, {.force_algorithm = "gemm"}), 4);
  EXPECT_EQ(used_for(64, {4, 8, 8}, {}), 4);
  EXPECT_EQ(used_for(1, {32, 32, 32}, {}), 4);
}

/// The time that a plan takes does not grow with the volume: one look at each plane of this would take hours.
TEST(Plan, IsMadeOfVolumesOfAnyExtent) {
  for (int axis = 0; axis < 3; ++axis) {
    Extent3 input = {5, 6, 7};
    input[axis] = std::int64_t{1} << 40;
    for (const std::int64_t channels : {1, 32}) {
      const convt3d::ConvTranspose3dOptions k4s2{
          .in_channels = channels, .out_channels = channels, .kernel_size = 4, .stride = 2, .padding = 1};
      const convt3d::ConvTranspose3dOptions over_slices{
          .in_channels = channels, .out_channels = channels, .kernel_size = {3, 3, 1}};
      for (const convt3d::ConvTranspose3dOptions& options : {k4s2, over_slices}) {
        const Plan plan = convt3d::make_plan(convt3d::make_problem(options, 1, input), machine_of(Isa::kAvx512));
        EXPECT_GT(convt3d::ledger_bytes(plan), 0) << plan.algorithm;
      }
    }
  }
}

TEST(Plan, RefusesAnAlgorithmThatDoesNotExistAndNamesThoseThatDo) {
  try {
    convt3d::make_plan(any_problem(), machine_of(Isa::kBaseline), {.force_algorithm = "dirct"});
    FAIL() << "planned";
  } catch (const convt3d::Error& error) {
    EXPECT_EQ(error.kind(), convt3d::ErrorKind::kShape);
    EXPECT_NE(std::string(error.what()).find("dirct"), std::string::npos) << error.what();
    for (const std::string& name : convt3d::algorithm_names()) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }
}

/// A row that cannot run a problem says why in the plan; forcing it throws with that reason.
TEST(Plan, RefusesAForcedAlgorithmWithTheReasonItWasRejectedFor) {
  for (const NamedProblem& named : named_problems()) {
    const Problem problem = problem_of(named);
    for (const convt3d::Candidate& candidate : convt3d::make_plan(problem, machine_of(Isa::kAvx2)).candidates) {
      if (candidate.rejected.empty()) continue;
      try {
        plan_of(problem, {Isa::kAvx2, candidate.algorithm});
        FAIL() << candidate.algorithm << " was planned for " << named;
      } catch (const convt3d::Error& error) {
        EXPECT_EQ(error.kind(), convt3d::ErrorKind::kShape);
        EXPECT_NE(std::string(error.what()).find(candidate.rejected), std::string::npos) << error.what();
      }
    }
  }
}

TEST(Plan, TakesTheAlgorithmThatTheEnvironmentNames) {
  for (const std::string& name : convt3d::algorithm_names()) {
    ASSERT_EQ(setenv("CONVT3D_ALGORITHM", name.c_str(), 1), 0);
    try {
      EXPECT_EQ(convt3d::make_plan(any_problem(), machine_of(Isa::kAvx2)).algorithm, name);
    } catch (const convt3d::Error& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }
  ASSERT_EQ(setenv("CONVT3D_ALGORITHM", "dirct", 1), 0);
  EXPECT_THROW(convt3d::make_plan(any_problem(), machine_of(Isa::kAvx2)), convt3d::Error);
  unsetenv("CONVT3D_ALGORITHM");
}

/// Rows of odd lengths go past the caches by a detour; what direct loses by that is less than few_channel takes longer.
TEST(Plan, TakesManyChannelsDirectlyAtOddWidthsToo) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "measured with AVX-512, of which this build knows no vectors";
#endif
  const auto algorithm_at = [](std::int64_t width) {
    const convt3d::ConvTranspose3dOptions k2s2{.in_channels = 64, .out_channels = 32, .kernel_size = 2, .stride = 2};
    return convt3d::make_plan(convt3d::make_problem(k2s2, 1, {57, 59, width}), machine_of(Isa::kAvx512)).algorithm;
  };
  EXPECT_EQ(algorithm_at(64), "direct");
  EXPECT_EQ(algorithm_at(61), "direct");
}

TEST(JoinedRows, AreThoseOfLayersWithOneTapPerOutput) {
  convt3d::ConvTranspose3dOptions options{
      .in_channels = 4, .out_channels = 2, .kernel_size = {3, 1, 1}, .padding = {1, 0, 0}};
  const Problem plain = convt3d::make_problem(options, 2, {5, 6, 7});
  const Problem joined = convt3d::with_joined_rows(plain);
  EXPECT_EQ(joined.input, convt3d::Extent3(5, 1, 42));
  EXPECT_EQ(joined.output, convt3d::Extent3(5, 1, 42));
  EXPECT_EQ(convt3d::flops(joined), convt3d::flops(plain));
  for (const convt3d::Extent3& other : {convt3d::Extent3(1, 2, 1), convt3d::Extent3(1, 1, 2)}) {
    convt3d::ConvTranspose3dOptions strided = options;
    strided.stride = other;
    const Problem problem = convt3d::make_problem(strided, 1, {5, 6, 7});
    EXPECT_EQ(convt3d::with_joined_rows(problem), problem) << to_string(problem);
  }
}

}  // namespace
}  // namespace testing_support
