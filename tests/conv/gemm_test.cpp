// gemm: when it is taken. That its results are right is what the sweeps over all algorithms test, blocks of it
// invariance_test.cpp.

#include <gtest/gtest.h>

#include <string>

#include "convt3d/conv/options.hpp"
#include "convt3d/conv/plan.hpp"
#include "convt3d/conv/problem.hpp"

namespace testing_support {
namespace {

using convt3d::ConvTranspose3dOptions;
using convt3d::Extent3;

convt3d::Plan plan_for(const ConvTranspose3dOptions& options, const Extent3& input) {
  convt3d::Machine machine;
#if defined(__x86_64__)
  machine.isa = convt3d::Isa::kAvx512;
#endif
  return convt3d::make_plan(convt3d::make_problem(options, 1, input), machine);
}

std::string reason_against(const ConvTranspose3dOptions& options) {
  for (const convt3d::Candidate& candidate : plan_for(options, {5, 6, 7}).candidates) {
    if (candidate.algorithm == "gemm") return candidate.rejected;
  }
  return "not in the table";
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

}  // namespace
}  // namespace testing_support
