// What the machine is found to be, and how the environment lowers it.

#include "convt3d/base/machine.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>

#include "support/refusal.hpp"

namespace convt3d {
namespace {

/// An environment variable for the length of a test.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, value, 1);
  }
  ~Environment() {
    if (before_) {
      setenv(name_, before_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST(Isa, IsKnownByItsName) {
  for (const Isa isa : {Isa::kBaseline, Isa::kSse4, Isa::kAvx2, Isa::kAvx512, Isa::kNeon}) {
    EXPECT_EQ(isa_from_name(name_of(isa)), isa);
  }
  EXPECT_FALSE(isa_from_name("avx3"));
  EXPECT_FALSE(isa_from_name(""));
}

TEST(Isa, OfThisMachineAreListedWorstFirst) {
  const std::vector<Isa> isas = available_isas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas.front(), Isa::kBaseline);
  EXPECT_TRUE(std::is_sorted(isas.begin(), isas.end()));
}

TEST(Machine, TakesTheBestInstructionSetUnlessTold) {
  Environment unset("CONVT3D_ISA", "");
  EXPECT_EQ(Machine::detect().isa, available_isas().back());
  for (const Isa isa : available_isas()) {
    Environment wanted("CONVT3D_ISA", std::string(name_of(isa)).c_str());
    EXPECT_EQ(Machine::detect().isa, isa);
  }
}

TEST(Machine, RefusesAnInstructionSetItLacksAndNamesThoseItHas) {
#if defined(__x86_64__)
  constexpr const char* kLacking = "neon";
#else
  constexpr const char* kLacking = "avx2";
#endif
  for (const char* name : {kLacking, "avx9"}) {
    Environment wanted("CONVT3D_ISA", name);
    testing_support::expect_refused([] { Machine::detect(); }, {"CONVT3D_ISA", name, "baseline"}, ErrorKind::kConfig);
  }
}

TEST(Machine, HasCachesThatGrowOutwards) {
  const Machine machine = Machine::detect();
  EXPECT_GE(machine.l1_bytes, 8 << 10);
  EXPECT_GT(machine.l2_bytes, machine.l1_bytes);
  EXPECT_GE(machine.l3_bytes, machine.l2_bytes);
}

TEST(Machine, HasAtMostTheThreadsThatAffinityLeaves) {
  cpu_set_t before;
  CPU_ZERO(&before);
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(Machine::detect().threads, 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  EXPECT_LE(Machine::detect().threads, CPU_COUNT(&before));
  EXPECT_NE(Machine::detect().threads_limited_by, "");
}

class ThreadLimit : public testing::TestWithParam<const char*> {};

/// With one thread to be had there is nothing to lower; more are lowered to one, and by whom is said.
TEST_P(ThreadLimit, OfTheEnvironmentIsTakenWhereItIsTheSmallest) {
  Environment omp("OMP_NUM_THREADS", "");
  Environment slurm("SLURM_CPUS_PER_TASK", "");
  const Machine machine = Machine::detect();
  Environment limit(GetParam(), "1");
  EXPECT_EQ(Machine::detect().threads, 1);
  if (machine.threads > 1) {
    EXPECT_EQ(Machine::detect().threads_limited_by, GetParam());
  }
}

TEST_P(ThreadLimit, OfTheEnvironmentNeverRaises) {
  Environment omp("OMP_NUM_THREADS", "");
  Environment slurm("SLURM_CPUS_PER_TASK", "");
  const Machine machine = Machine::detect();
  Environment limit(GetParam(), "1000");
  EXPECT_EQ(Machine::detect().threads, machine.threads);
  EXPECT_EQ(Machine::detect().threads_limited_by, machine.threads_limited_by);
}

TEST_P(ThreadLimit, OfTheEnvironmentMayBeAListOrNoNumberAtAll) {
  Environment omp("OMP_NUM_THREADS", "");
  Environment slurm("SLURM_CPUS_PER_TASK", "");
  const int threads = Machine::detect().threads;
  {
    Environment limit(GetParam(), "1,4");
    EXPECT_EQ(Machine::detect().threads, 1);
  }
  for (const char* nonsense : {"", "0", "-3", "many", "99999999999999999999"}) {
    Environment limit(GetParam(), nonsense);
    EXPECT_EQ(Machine::detect().threads, threads) << nonsense;
  }
}

INSTANTIATE_TEST_SUITE_P(Variables, ThreadLimit, testing::Values("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"),
                         [](const auto& variable) { return std::string(variable.param); });

}  // namespace
}  // namespace convt3d
