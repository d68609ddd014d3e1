// Kernels of rank 1, axis by axis: found when they are, refused when not, and the same result as the definition.

#include <gtest/gtest.h>

#include <string>

#include "convt3d/conv/separable_factors.hpp"
#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::Problem;

/// The weights replaced by outer products, one per channel, rounded to T.
template <typename T>
Arrays<T> separable_arrays(const Problem& problem, std::uint64_t seed) {
  Arrays<T> arrays = normal_arrays<T>(problem, seed);
  const convt3d::Extent3& k = problem.kernel;
  Lcg random(seed);
  std::size_t at = 0;
  for (std::int64_t channel = 0; channel < problem.ci; ++channel) {
    std::vector<double> u, v, z;
    for (auto [factor, size] : {std::pair{&u, k.d}, std::pair{&v, k.h}, std::pair{&z, k.w}}) {
      for (std::int64_t t = 0; t < size; ++t) factor->push_back(random.symmetric());
    }
    for (const double d : u) {
      for (const double h : v) {
        for (const double w : z) arrays.weight[at++] = static_cast<T>(d * h * w);
      }
    }
  }
  return arrays;
}

convt3d::Plan separable_plan(const Problem& problem, convt3d::Isa isa, int threads = 2, std::int64_t l2_bytes = 1 << 20) {
  convt3d::Machine machine;
  machine.isa = isa;
  machine.l2_bytes = l2_bytes;
  return convt3d::make_plan(problem, machine, {.threads = threads, .force_algorithm = "separable", .separable = true});
}

bool accepted(const Problem& problem) {
  try {
    separable_plan(problem, convt3d::Isa::kBaseline);
    return true;
  } catch (const convt3d::Error&) {
    return false;
  }
}

template <typename T>
void expect_reference(const NamedProblem& named, double allowed_l2, double allowed_most) {
  const Problem problem = problem_of(named, convt3d::dtype_of<T>());
  if (!accepted(problem)) return;
  const std::uint64_t seed = seed_of(named);
  const Arrays<T> arrays = separable_arrays<T>(problem, seed);
  ASSERT_TRUE(convt3d::is_separable(problem, arrays.weight.data()));
  const std::vector<double> expected = run_reference(reference_layer(named), arrays);
  for (const convt3d::Isa isa : convt3d::available_isas()) {
    const Deviation found = deviation(run(executor_of(separable_plan(problem, isa), arrays), arrays.input), expected);
    EXPECT_LE(found.relative_l2, allowed_l2) << convt3d::name_of(isa) << ", seed " << seed;
    EXPECT_LE(found.relative_most, allowed_most) << convt3d::name_of(isa) << ", seed " << seed;
  }
}

class Separable : public ProblemSweep {};

TEST_P(Separable, MatchesReference) { expect_reference<float>(GetParam(), 2e-6, 1e-5); }

// The factors' product may differ from the kernel by a few units in the last place.
TEST_P(Separable, MatchesReferenceInFloat64) { expect_reference<double>(GetParam(), 2e-14, 1e-13); }

TEST_P(Separable, AnyTilingAndThreadsGiveTheSameBits) {
  const Problem problem = problem_of(GetParam());
  if (!accepted(problem)) return;
  const Arrays<float> arrays = separable_arrays<float>(problem, 3);
  const convt3d::Isa isa = convt3d::available_isas().back();
  const std::vector<float> expected = run(executor_of(separable_plan(problem, isa, 1), arrays), arrays.input);
  for (const auto& [threads, l2] :
       {std::pair{2, std::int64_t{1} << 20}, std::pair{3, std::int64_t{4096}}, std::pair{5, std::int64_t{1} << 16}}) {
    EXPECT_EQ(run(executor_of(separable_plan(problem, isa, threads, l2), arrays), arrays.input), expected)
        << threads << ", " << l2;
  }
}

TEST_P(Separable, CarriesNanToTheOutputsThatDependOnIt) {
  const Problem problem = problem_of(GetParam());
  if (!accepted(problem)) return;
  Arrays<float> arrays = separable_arrays<float>(problem, 4);
  arrays.input[arrays.input.size() / 2] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<double> expected = run_reference(reference_layer(GetParam()), arrays);
  for (const convt3d::Isa isa : convt3d::available_isas()) {
    const std::vector<float> output = run(executor_of(separable_plan(problem, isa), arrays), arrays.input);
    std::int64_t wrong = 0;
    for (std::size_t o = 0; o < expected.size(); ++o) wrong += std::isnan(output[o]) != std::isnan(expected[o]);
    EXPECT_EQ(wrong, 0) << "of " << expected.size() << ", " << convt3d::name_of(isa);
  }
}

INSTANTIATE_TEST_SUITE_P(Problems, Separable, testing::ValuesIn(problems_without_sweeps()), name_of_problem);

TEST(IsSeparable, SeesAnElementThatIsOff) {
  const Problem problem = problem_of(named_problem("scan_k4s2p1"));
  Arrays<float> arrays = separable_arrays<float>(problem, 5);
  ASSERT_TRUE(convt3d::is_separable(problem, arrays.weight.data()));
  arrays.weight[7] += 1e-3F;
  EXPECT_FALSE(convt3d::is_separable(problem, arrays.weight.data()));
  // A plan that was told otherwise is refused, not run wrong.
  EXPECT_THROW(executor_of(separable_plan(problem, convt3d::Isa::kBaseline), arrays), convt3d::Error);
}

TEST(IsSeparable, IsFalseForNanAndForChannelsThatMix) {
  const Problem scan = problem_of(named_problem("scan_k4s2p1"));
  Arrays<float> arrays = separable_arrays<float>(scan, 6);
  arrays.weight[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(convt3d::is_separable(scan, arrays.weight.data()));
  const Problem mixing = problem_of(named_problem("k4s2p1"));
  EXPECT_FALSE(convt3d::is_separable(mixing, separable_arrays<float>(scan, 6).weight.data()));
}

TEST(IsSeparable, IsTrueOfAKernelOfZeros) {
  const Problem problem = problem_of(named_problem("scan_k4s2p1"));
  Arrays<float> arrays = separable_arrays<float>(problem, 8);
  std::fill(arrays.weight.begin(), arrays.weight.end(), 0.0F);
  ASSERT_TRUE(convt3d::is_separable(problem, arrays.weight.data()));
  const float bias = arrays.bias.empty() ? 0.0F : arrays.bias[0];
  for (const float y : run(executor_of(separable_plan(problem, convt3d::available_isas().back()), arrays), arrays.input)) {
    ASSERT_EQ(y, bias);
  }
}

}  // namespace
}  // namespace testing_support
