// Layers computed in bfloat16: exactly the products of operands rounded to it, where the machine has the instructions.

#include <gtest/gtest.h>

#include <bit>
#include <string>

#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::Isa;
using convt3d::Machine;
using convt3d::Plan;
using convt3d::Problem;

constexpr const char* kName = "gemm_bfloat16";

Machine machine_of(Isa isa, bool bfloat16) {
  Machine machine;
  machine.isa = isa;
  machine.bfloat16 = bfloat16;
  return machine;
}

/// The nearest of the 8-bit significands; of two as near, the even one.
float rounded(float value) {
  if (value == 0 || !std::isfinite(value)) return value;
  int exponent = 0;
  const double fraction = std::frexp(static_cast<double>(value), &exponent);
  return static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8));
}

class InBfloat16 : public ProblemSweep {
 protected:
  Problem problem() const {
    NamedProblem named = GetParam();
    named.layer.bfloat16 = true;
    return problem_of(named);
  }

  /// Forced, since a layer of few channels is quicker otherwise.
  Plan plan(int threads) const {
    return convt3d::make_plan(problem(), machine_of(Isa::kAvx512, true), {.threads = threads, .force_algorithm = kName});
  }
};

TEST_P(InBfloat16, IsTheProductOfRoundedOperands) {
  if (!Machine::detect().bfloat16) GTEST_SKIP() << "no AVX-512 BF16";
  Arrays<float> arrays = normal_arrays<float>(problem(), seed_of(GetParam()));
  const std::vector<float> output = run(executor_of(plan(2), arrays), arrays.input);
  for (std::vector<float>* values : {&arrays.input, &arrays.weight}) {
    for (float& value : *values) value = rounded(value);
  }
  const Deviation found = deviation(output, run_reference(reference_layer(GetParam()), arrays));
  EXPECT_LE(found.relative_l2, kAllowed<float>.relative_l2);
  EXPECT_LE(found.relative_most, kAllowed<float>.relative_most);
}

TEST_P(InBfloat16, HasTheSameBitsForAnyThreads) {
  if (!Machine::detect().bfloat16) GTEST_SKIP() << "no AVX-512 BF16";
  const Arrays<float> arrays = normal_arrays<float>(problem(), 2);
  const std::vector<float> expected = run(executor_of(plan(1), arrays), arrays.input);
  for (const int threads : {2, 3, 5}) EXPECT_EQ(run(executor_of(plan(threads), arrays), arrays.input), expected) << threads;
}

TEST_P(InBfloat16, CarriesNanAndInfWhereFloat32Does) {
  if (!Machine::detect().bfloat16) GTEST_SKIP() << "no AVX-512 BF16";
  Arrays<float> arrays = normal_arrays<float>(problem(), 3);
  arrays.input[arrays.input.size() / 3] = std::numeric_limits<float>::quiet_NaN();
  arrays.input[arrays.input.size() / 2] = -std::numeric_limits<float>::infinity();
  const std::vector<float> expected = run(problem(), arrays, {Isa::kAvx512, "direct"});
  const std::vector<float> output = run(executor_of(plan(2), arrays), arrays.input);
  for (std::size_t o = 0; o < output.size(); ++o) {
    ASSERT_EQ(std::isnan(output[o]), std::isnan(expected[o])) << o;
    ASSERT_EQ(std::isinf(output[o]), std::isinf(expected[o])) << o;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Problems, InBfloat16,
    testing::Values(
        NamedProblem{"k2s2", {.in_channels = 64, .out_channels = 32, .kernel_size = 2, .stride = 2}, {5, 6, 33}},
        NamedProblem{"odd", {.in_channels = 19, .out_channels = 17, .kernel_size = 2, .stride = 2}, {3, 4, 5}, 2},
        NamedProblem{"one_to_one", {.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 3}, {2, 3, 17}},
        NamedProblem{
            "grouped", {.in_channels = 15, .out_channels = 48, .kernel_size = 2, .stride = 2, .groups = 3}, {4, 3, 7}},
        NamedProblem{
            "k122s122", {.in_channels = 33, .out_channels = 40, .kernel_size = {1, 2, 2}, .stride = {1, 2, 2}}, {2, 5, 9}},
        NamedProblem{
            "gaps", {.in_channels = 16, .out_channels = 16, .kernel_size = {2, 1, 2}, .stride = {3, 2, 4}}, {3, 4, 5}},
        NamedProblem{
            "padded",
            {.in_channels = 24, .out_channels = 16, .kernel_size = 4, .stride = 4, .padding = 1, .output_padding = 2},
            {3, 4, 5}},
        NamedProblem{"k1s1", {.in_channels = 40, .out_channels = 24, .kernel_size = 1, .bias = false}, {3, 4, 70}}),
    name_of_problem);

TEST(InBfloat16OrNot, IsPlannedWhereItIsAskedForAndThere) {
  NamedProblem named{"k2s2", {.in_channels = 64, .out_channels = 32, .kernel_size = 2, .stride = 2}, {32, 32, 32}};
  const auto reason = [](const Plan& plan) {
    for (const convt3d::Candidate& candidate : plan.candidates) {
      if (candidate.algorithm == kName) return candidate.rejected;
    }
    return std::string("not listed");
  };
  EXPECT_NE(reason(convt3d::make_plan(problem_of(named), machine_of(Isa::kAvx512, true))), "") << "not asked for";
  named.layer.bfloat16 = true;
  EXPECT_EQ(convt3d::make_plan(problem_of(named), machine_of(Isa::kAvx512, true)).algorithm, kName);
  const Plan elsewhere = convt3d::make_plan(problem_of(named), machine_of(Isa::kAvx2, false));
  EXPECT_NE(elsewhere.algorithm, kName);
  EXPECT_NE(reason(elsewhere).find("AVX-512 BF16"), std::string::npos) << reason(elsewhere);
}

TEST(InBfloat16OrNot, IsRefusedForOutputsOfMoreThanOneTap) {
  using Options = convt3d::ConvTranspose3dOptions;
  const auto refused = [](Options options) {
    options.in_channels = options.out_channels = 4;
    options.bfloat16 = true;
    try {
      validate(options);
      return false;
    } catch (const convt3d::Error& error) {
      return std::string(error.what()).find("bfloat16") != std::string::npos;
    }
  };
  EXPECT_FALSE(refused({.kernel_size = 2, .stride = 2}));
  EXPECT_FALSE(refused({.kernel_size = {1, 2, 2}, .stride = {1, 2, 3}}));
  EXPECT_TRUE(refused({.kernel_size = {2, 2, 3}, .stride = 2}));
  EXPECT_TRUE(refused({.kernel_size = 2, .stride = 2, .dilation = 2}));
  EXPECT_TRUE(refused({.kernel_size = 2, .stride = 2, .dtype = convt3d::DType::kFloat64}));
}

}  // namespace
}  // namespace testing_support
