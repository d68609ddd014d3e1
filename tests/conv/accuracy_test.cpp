// Every algorithm, on every instruction set of this machine, computes the transposed convolution.

#include <gtest/gtest.h>

#include <numeric>

#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::DType;
using convt3d::Problem;

template <typename T>
void expect_reference(const NamedProblem& named) {
  const Problem problem = problem_of(named, convt3d::dtype_of<T>());
  const std::uint64_t seed = seed_of(named);
  const Arrays<T> arrays = normal_arrays<T>(problem, seed);
  const std::vector<double> expected = run_reference(reference_layer(named), arrays);
  for (const Variant& variant : variants(problem)) {
    const Deviation found = deviation(run(problem, arrays, variant), expected);
    EXPECT_LE(found.relative_l2, kAllowed<T>.relative_l2) << to_string(variant) << ", seed " << seed;
    EXPECT_LE(found.relative_most, kAllowed<T>.relative_most) << to_string(variant) << ", seed " << seed;
  }
}

class Convolve : public ProblemSweep {};

TEST_P(Convolve, MatchesReference) { expect_reference<float>(GetParam()); }

TEST_P(Convolve, MatchesReferenceInFloat64) { expect_reference<double>(GetParam()); }

TEST_P(Convolve, IsAcceptedByDirect) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const convt3d::Isa isa : convt3d::available_isas()) {
      EXPECT_NO_THROW(plan_of(problem_of(GetParam(), dtype), {isa, "direct"})) << convt3d::name_of(isa);
    }
  }
}

/// <convT(x), y> = <x, conv(y)>. An error e of convT(x) changes the left side by at most ||e|| ||y||.
TEST_P(Convolve, IsAdjointToConvolution) {
  Problem problem = problem_of(GetParam());
  problem.bias = false;  // the adjoint is the linear part's
  const std::uint64_t seed = seed_of(GetParam());
  const Arrays<float> arrays = normal_arrays<float>(problem, seed);
  const std::vector<double> x = widened(arrays.input);
  const std::vector<double> y = widened(standard_normal<float>(convt3d::output_size(problem), seed + 3));
  const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  };
  const double expected = dot(x, reference::conv3d(reference_layer(GetParam()), y, widened(arrays.weight)));
  for (const Variant& variant : variants(problem)) {
    const std::vector<double> output = widened(run(problem, arrays, variant));
    const double allowed = kAllowed<float>.relative_l2 * std::sqrt(dot(output, output) * dot(y, y));
    EXPECT_NEAR(dot(output, y), expected, allowed) << to_string(variant) << ", seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Problems, Convolve, testing::ValuesIn(named_problems()), name_of_problem);

/// Data that cancels, and data whose magnitudes differ by 1e8: no bound relative to the result can hold, but one relative to
/// the sum of the products' magnitudes must.
class Roundoff : public ProblemSweep {
 protected:
  /// m(o) = sum |x||w| + |b|. A sum of n products, each added with one rounding, is off by at most n u / (1 - n u) * m(o),
  /// whatever the order (Higham, Accuracy and Stability of Numerical Algorithms, 3.1); n counts the bias. direct is such a
  /// sum, so it is held to that at each voxel. Algorithms that transform the input mix neighbours: they are held to the
  /// float32 bound relative to the greatest m.
  void expect_small_roundoff(const Arrays<float>& arrays) {
    const Problem problem = problem_of(GetParam());
    const reference::Layer layer = reference_layer(GetParam());
    const std::vector<double> expected = run_reference(layer, arrays);
    const std::vector<double> magnitude = run_reference(layer, magnitudes(arrays));
    const double greatest = *std::max_element(magnitude.begin(), magnitude.end());
    const auto taps = static_cast<double>(problem.kernel.d * problem.kernel.h * problem.kernel.w);
    const double n = taps * static_cast<double>(problem.ci / problem.groups) + 1;
    constexpr double kUnitRoundoff = 0x1p-24;
    for (const Variant& variant : variants(problem)) {
      const std::vector<float> output = run(problem, arrays, variant);
      ASSERT_EQ(output.size(), expected.size());
      double worst = 0;  // error over allowed error
      for (std::size_t o = 0; o < output.size(); ++o) {
        const double allowed = variant.algorithm == "direct" ? n * kUnitRoundoff / (1 - n * kUnitRoundoff) * magnitude[o]
                                                             : kAllowed<float>.relative_most * greatest;
        const double error = std::abs(static_cast<double>(output[o]) - expected[o]);
        if (!(error <= allowed)) worst = std::max(worst, error / allowed);
      }
      EXPECT_LE(worst, 1) << to_string(variant) << ", seed " << seed_of(GetParam());
    }
  }

 private:
  static Arrays<float> magnitudes(Arrays<float> arrays) {
    for (std::vector<float>* values : {&arrays.input, &arrays.weight, &arrays.bias}) {
      for (float& value : *values) value = std::abs(value);
    }
    return arrays;
  }
};

TEST_P(Roundoff, IsBoundedForALargeOffset) {
  Arrays<float> arrays = normal_arrays<float>(problem_of(GetParam()), seed_of(GetParam()));
  for (float& value : arrays.input) value += 1e4F;
  expect_small_roundoff(arrays);
}

TEST_P(Roundoff, IsBoundedForMixedMagnitudes) {
  Arrays<float> arrays = normal_arrays<float>(problem_of(GetParam()), seed_of(GetParam()));
  Lcg lcg(seed_of(GetParam()));
  for (float& value : arrays.input) value *= std::pow(10.0F, static_cast<float>(lcg.between(-4, 4)));
  expect_small_roundoff(arrays);
}

INSTANTIATE_TEST_SUITE_P(Problems, Roundoff, testing::ValuesIn(problems_without_sweeps()), name_of_problem);

}  // namespace
}  // namespace testing_support
