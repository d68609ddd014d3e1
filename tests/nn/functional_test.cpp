// The module's functional form, and the module as a layer of a stack.

#include <gtest/gtest.h>

#include <convt3d/convt3d.hpp>
#include <cstdint>
#include <limits>
#include <optional>

#include "support/refusal.hpp"

namespace testing_support {
namespace {

using namespace convt3d;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

TEST(Functional, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({1, 4, 3, 3, 3});
  const Tensor weight = Tensor::zeros({4, 3, 2, 2, 2});
  using convt3d::functional::conv_transpose3d;
  expect_refused([&] { conv_transpose3d(x, Tensor::zeros({4, 3, 2, 2})); }, {"weight", "(4, 3, 2, 2)", "5"});
  expect_refused([&] { conv_transpose3d(x, Tensor::zeros({5, 3, 2, 2, 2})); }, {"4 channels", "5"});
  expect_refused([&] { conv_transpose3d(x, weight, Tensor::zeros({4})); }, {"bias", "4", "3"});
  expect_refused([&] { conv_transpose3d(x, Tensor::zeros({4, 3, 2, 2, 2}, DType::kFloat64)); }, {"float32", "float64"});
  expect_refused([&] { conv_transpose3d(x, weight, Tensor::zeros({3}, DType::kFloat64)); }, {"bias", "float64"});
  expect_refused(
      [&] {
        conv_transpose3d(x, Tensor::zeros({4, 3, 2, 2, 2}, DType::kInt32));
      },
      {"int32", "float32", "float64"});
  expect_refused([&] { conv_transpose3d(x, weight, std::nullopt, {.groups = 3}); }, {"in_channels", "4", "groups", "3"});
  expect_refused([&] { conv_transpose3d(x, weight, std::nullopt, {.groups = 0}); }, {"groups", "at least 1"});
  expect_refused([&] { conv_transpose3d(x, weight, std::nullopt, {.groups = kMost}); }, {"groups"});
  expect_refused(
      [&] {
        conv_transpose3d(x, weight, std::nullopt, {.stride = {1, 1, -1}});
      },
      {"stride", "width", "at least 1"});
  expect_refused(
      [&] {
        conv_transpose3d(x, weight, std::nullopt, {.output_padding = {1, 0, 0}});
      },
      {"output_padding", "depth", "0 to 0"});
  expect_refused([&] { conv_transpose3d(Tensor::zeros({3, 3, 3}), weight); }, {"(3, 3, 3)", "(N, C, D, H, W)"});
}

TEST(ConvTranspose3dLayer, SaysWhereItComputesInFloat32ThoughBfloat16IsAskedFor) {
  ConvTranspose3dOptions options{.in_channels = 64, .out_channels = 32, .kernel_size = 2, .stride = 2};
  EXPECT_EQ(ConvTranspose3dLayer(ConvTranspose3d(options)).plan({1, 64, 16, 16, 16}, {}).note, "");
  options.bfloat16 = true;
  const LayerPlan plan = ConvTranspose3dLayer(ConvTranspose3d(options)).plan({1, 64, 16, 16, 16}, {});
  if (Machine::detect().bfloat16) {
    EXPECT_EQ(plan.algorithm, "gemm_bfloat16");
    EXPECT_EQ(plan.note, "");
  } else {
    EXPECT_EQ(plan.note, "computed in float32, not in bfloat16: this machine has no AVX-512 BF16");
  }
}

}  // namespace
}  // namespace testing_support
