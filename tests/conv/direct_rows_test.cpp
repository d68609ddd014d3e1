// direct_rows: when it is taken, and that how it is cut changes no bit. That its results are right is what the sweeps over
// all algorithms test.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "convt3d/conv/options.hpp"
#include "convt3d/conv/plan.hpp"
#include "convt3d/conv/problem.hpp"
#include "support/run.hpp"

namespace testing_support {
namespace {

using convt3d::ConvTranspose3dOptions;
using convt3d::Extent3;

std::string reason_against(const ConvTranspose3dOptions& options, const Extent3& input = {5, 6, 23}) {
  return rejection_of("direct_rows", plan_for(options, input));
}

TEST(DirectRows, IsTakenForKernelsOverTimeOrAcrossSlices) {
  const auto algorithm_for = [](std::int64_t in, std::int64_t out, const Extent3& kernel, const Extent3& input) {
    return plan_for({.in_channels = in, .out_channels = out, .kernel_size = kernel}, input).algorithm;
  };
  EXPECT_EQ(algorithm_for(16, 16, {1, 3, 1}, {38, 22, 24}), "direct_rows");
  EXPECT_EQ(algorithm_for(16, 16, {3, 1, 1}, {38, 22, 24}), "direct_rows");
  EXPECT_EQ(algorithm_for(24, 24, {3, 1, 1}, {32, 32, 32}), "direct_rows");
  EXPECT_EQ(algorithm_for(16, 40, {1, 3, 1}, {20, 30, 30}), "direct_rows");
}

TEST(DirectRows, RefusesWhatDoesNotLieInRows) {
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = {3, 5, 1}, .stride = {2, 1, 1}}), "");
  const std::string more = "more than one tap an output along w";
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = {1, 1, 2}}), more);
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = {3, 1, 1}, .padding = {0, 0, 1}}), more);
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = {3, 1, 1}, .stride = {1, 1, 2}}), more);
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = {1, 3, 1}, .stride = {1, 2, 1}}),
            "a stride along h");
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = 1}), "a layer of 1x1x1 kernels");
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = {1, 3, 1}}, {5, 6, 3}),
            "rows shorter than a vector");
}

/// Caches from those that hold all to those that cut planes into pieces of a few vectors and take outputs past them, at
/// addresses that are those of lines and not.
template <typename T>
void expect_same_bits(const ConvTranspose3dOptions& options, const Extent3& input, const convt3d::Epilogue& epilogue = {}) {
  const convt3d::Problem problem = problem_of({"", options, input, 2}, convt3d::dtype_of<T>());
  const Arrays<T> arrays = normal_arrays<T>(problem, 37);
  for (const convt3d::Isa isa : convt3d::available_isas()) {
    const auto executor_for = [&](int threads, std::int64_t l2_bytes) {
      return convt3d::Executor(plan_of(problem, {isa, "direct_rows"}, threads, l2_bytes), arrays.weight.data(),
                               arrays.bias.data(), epilogue);
    };
    const std::vector<T> expected = run(executor_for(1, 1 << 20), arrays.input);
    for (const std::int64_t l2_bytes : {1 << 20, 16 << 10, 1 << 10}) {
      for (const std::int64_t off : {0, 1}) {
        EXPECT_TRUE(same_bits(run_behind_line(executor_for(2, l2_bytes), arrays.input, off), expected))
            << to_string(problem) << " on " << convt3d::name_of(isa) << ", " << l2_bytes << " bytes of L2, " << off
            << " elements off";
      }
    }
  }
}

const convt3d::Epilogue kRelu = {{.function = convt3d::Pointwise::Function::kLeakyRelu, .p = {0.25}}};

TEST(DirectRows, GivesTheSameBitsHoweverItIsCut) {
  const ConvTranspose3dOptions on_h = {.in_channels = 7, .out_channels = 21, .kernel_size = {1, 4, 1}};
  const ConvTranspose3dOptions on_d = {.in_channels = 5, .out_channels = 13, .kernel_size = {3, 1, 1}, .stride = {2, 1, 1}};
  for (const Extent3& input : {Extent3{3, 12, 16}, Extent3{2, 11, 37}, Extent3{4, 2, 67}}) {
    expect_same_bits<float>(on_h, input);
    expect_same_bits<float>(on_d, input);
    expect_same_bits<float>(on_d, input, kRelu);
    expect_same_bits<double>(on_h, input, kRelu);
  }
  expect_same_bits<float>({.in_channels = 70, .out_channels = 3, .kernel_size = {3, 3, 1}, .padding = {1, 1, 0}},
                          {3, 5, 48});
}

}  // namespace
}  // namespace testing_support
