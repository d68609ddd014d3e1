// gemm: when it is taken. That its results are right is what the sweeps over all algorithms test, blocks of it
// invariance_test.cpp.

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

std::string reason_against(const ConvTranspose3dOptions& options) {
  return rejection_of("gemm", plan_for(options, {5, 6, 7}));
}

TEST(Gemm, IsTakenForLayersOfOneTap) {
  const auto algorithm_for = [](std::int64_t in, std::int64_t out, std::int64_t groups, const Extent3& input) {
    return plan_for({.in_channels = in, .out_channels = out, .kernel_size = 1, .groups = groups}, input).algorithm;
  };
  EXPECT_EQ(algorithm_for(256, 64, 1, {64, 33, 44}), "gemm");
  EXPECT_EQ(algorithm_for(128, 1, 1, {64, 64, 64}), "gemm");
  EXPECT_EQ(algorithm_for(512, 512, 1, {16, 16, 16}), "gemm");
  EXPECT_EQ(algorithm_for(64, 64, 8, {40, 41, 43}), "gemm");
  EXPECT_EQ(algorithm_for(20, 12, 1, {24, 25, 26}), "gemm");
  EXPECT_EQ(plan_for({.in_channels = 64, .out_channels = 1, .kernel_size = 1, .stride = 2}, {54, 42, 50}).algorithm, "gemm");
}

TEST(Gemm, RefusesLayersOfMoreTapsOrNone) {
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = 1, .dilation = 3}), "");
  const std::string other = "not a layer of 1x1x1 kernels";
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = {1, 1, 2}}), other);
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = 1, .stride = {1, 2, 1}}), "");
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = 1, .padding = {0, 0, 1}}), "");
  EXPECT_EQ(reason_against({.in_channels = 4, .out_channels = 4, .kernel_size = 1, .stride = 3, .padding = {0, 7, 0}}),
            "no output has a tap");
}

/// With caches of 64 KiB, also at addresses that are not those of lines.
template <typename T>
void expect_bits_of_direct(const Extent3& input, std::int64_t in_channels, std::int64_t out_channels, std::int64_t groups,
                           const convt3d::Epilogue& epilogue) {
  const NamedProblem named = {
      "", {.in_channels = in_channels, .out_channels = out_channels, .kernel_size = 1, .groups = groups}, input, 2};
  const convt3d::Problem problem = problem_of(named, convt3d::dtype_of<T>());
  const Arrays<T> arrays = normal_arrays<T>(problem, 31);
  for (const convt3d::Isa isa : convt3d::available_isas()) {
    const auto executor_for = [&](const char* algorithm) {
      return convt3d::Executor(plan_of(problem, {isa, algorithm}, 2, 4 << 10), arrays.weight.data(), arrays.bias.data(),
                               epilogue);
    };
    const std::vector<T> expected = run(executor_for("direct"), arrays.input);
    const convt3d::Executor executor = executor_for("gemm");
    for (const std::int64_t off : {0, 1}) {
      EXPECT_TRUE(same_bits(run_behind_line(executor, arrays.input, off), expected))
          << to_string(problem) << " on " << convt3d::name_of(isa) << ", " << off << " elements off";
    }
  }
}

const convt3d::Epilogue kRelu = {{.function = convt3d::Pointwise::Function::kLeakyRelu, .p = {0.25}}};

/// Outputs that exceed the caches go past them, where channels begin with a line of cache: in volumes of whole lines and at
/// addresses of lines. Others must not try.
TEST(Gemm, GoesPastTheCachesInWholeLines) {
  for (const Extent3& input : {Extent3{7, 8, 16}, Extent3{7, 9, 11}, Extent3{5, 10, 8}}) {
    expect_bits_of_direct<float>(input, 5, 37, 1, {});
    expect_bits_of_direct<double>(input, 5, 37, 1, {});
    expect_bits_of_direct<float>(input, 5, 37, 1, kRelu);
  }
}

/// Few outputs are added up along rows, which are no whole vectors, from channels that are
/// no multiple of those taken at once.
TEST(Gemm, AddsUpLongRowsToTheSameBits) {
  for (const std::int64_t in_channels : {20, 23}) {
    for (const std::int64_t out_channels : {1, 2, 3, 4}) {
      expect_bits_of_direct<float>({7, 9, 17}, in_channels, out_channels, 1, {});
      expect_bits_of_direct<float>({7, 8, 16}, in_channels, out_channels, 1, kRelu);
      expect_bits_of_direct<double>({5, 7, 13}, in_channels, out_channels, 1, {});
      expect_bits_of_direct<float>({5, 9, 15}, 2 * in_channels, 2 * out_channels, 2, kRelu);
    }
  }
  expect_bits_of_direct<float>({30, 31, 33}, 5, 1, 1, {});
  expect_bits_of_direct<float>({2, 3, 70}, 600, 2, 1, {});  // more channels than are summed in one part
}

}  // namespace
}  // namespace testing_support
