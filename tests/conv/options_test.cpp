// What a layer's parameters may be, and how a refusal reads: the parameter, its axis, the admissible range.

#include "convt3d/conv/options.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "support/goldens.hpp"
#include "support/refusal.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::ConvTranspose3dOptions;
using convt3d::DType;
using convt3d::Extent3;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

ConvTranspose3dOptions good() { return {.in_channels = 4, .out_channels = 6, .kernel_size = 3, .stride = 2, .padding = 1}; }

TEST(Options, HaveTheDefaultsOfPyTorch) {
  const ConvTranspose3dOptions layer = {.in_channels = 4, .out_channels = 6, .kernel_size = 3};
  EXPECT_EQ(layer.kernel_size, Extent3(3, 3, 3));
  EXPECT_EQ(layer.stride, Extent3(1));
  EXPECT_EQ(layer.padding, Extent3(0));
  EXPECT_EQ(layer.output_padding, Extent3(0));
  EXPECT_EQ(layer.groups, 1);
  EXPECT_TRUE(layer.bias);
  EXPECT_EQ(layer.dilation, Extent3(1));
  EXPECT_EQ(layer.dtype, DType::kFloat32);
  EXPECT_EQ(layer.device, "");
  EXPECT_NO_THROW(convt3d::validate(layer));
}

TEST(Options, OfEveryNamedProblemAreAdmissible) {
  for (const NamedProblem& problem : named_problems()) EXPECT_NO_THROW(convt3d::validate(problem.layer)) << problem;
}

struct Refusal {
  const char* name;
  std::function<void(ConvTranspose3dOptions&)> spoil;
  std::vector<std::string> words;
};

class RefusedOptions : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedOptions, NameTheAxisAndTheAdmissibleRange) {
  ConvTranspose3dOptions layer = good();
  GetParam().spoil(layer);
  expect_refused([&] { convt3d::validate(layer); }, GetParam().words);
}

std::vector<Refusal> refusals() {
  using Layer = ConvTranspose3dOptions;
  return {
      {"groups_zero", [](Layer& l) { l.groups = 0; }, {"groups", "0", "at least 1"}},
      {"groups_negative", [](Layer& l) { l.groups = -2; }, {"groups", "-2", "at least 1"}},
      {"groups_least", [](Layer& l) { l.groups = kLeast; }, {"groups", "at least 1"}},
      {"in_channels_zero", [](Layer& l) { l.in_channels = 0; }, {"in_channels", "0", "at least 1"}},
      {"in_channels_negative", [](Layer& l) { l.in_channels = -4; }, {"in_channels", "-4", "at least 1"}},
      {"out_channels_zero", [](Layer& l) { l.out_channels = 0; }, {"out_channels", "0", "at least 1"}},
      {"in_channels_not_divisible", [](Layer& l) { l.groups = 3; }, {"in_channels", "4", "divisible", "groups", "3"}},
      {"out_channels_not_divisible", [](Layer& l) { l.groups = 4; }, {"out_channels", "6", "divisible", "groups", "4"}},
      {"groups_beyond_channels", [](Layer& l) { l.groups = kMost; }, {"in_channels", "divisible", "groups"}},
      {"kernel_zero_depth",
       [](Layer& l) {
         l.kernel_size = {0, 3, 3};
       },
       {"kernel_size", "depth", "at least 1"}},
      {"kernel_negative_height",
       [](Layer& l) {
         l.kernel_size = {3, -3, 3};
       },
       {"kernel_size", "-3", "height", "at least 1"}},
      {"kernel_left_out", [](Layer& l) { l.kernel_size = {}; }, {"kernel_size", "at least 1"}},
      {"stride_zero_width",
       [](Layer& l) {
         l.stride = {1, 1, 0};
       },
       {"stride", "width", "at least 1"}},
      {"stride_negative_depth",
       [](Layer& l) {
         l.stride = {-2, 1, 1};
       },
       {"stride", "-2", "depth", "at least 1"}},
      {"padding_negative_height",
       [](Layer& l) {
         l.padding = {0, -1, 0};
       },
       {"padding", "-1", "height", "at least 0"}},
      {"dilation_zero_depth",
       [](Layer& l) {
         l.dilation = {0, 1, 1};
       },
       {"dilation", "depth", "at least 1"}},
      {"dilation_negative_width",
       [](Layer& l) {
         l.dilation = {1, 1, -1};
       },
       {"dilation", "-1", "width", "at least 1"}},
      {"output_padding_negative",
       [](Layer& l) {
         l.output_padding = {0, -1, 0};
       },
       {"output_padding", "-1", "height", "at least 0"}},
      {"output_padding_reaches_stride",
       [](Layer& l) {
         l.output_padding = {0, 2, 0};
       },
       {"output_padding", "height", "stride", "dilation", "0 to 1"}},
      {"output_padding_reaches_stride_and_dilation",
       [](Layer& l) {
         l.dilation = {1, 1, 5}, l.output_padding = {1, 1, 5};
       },
       {"output_padding", "width", "stride", "dilation", "0 to 4"}},
      {"dtype_stored_only", [](Layer& l) { l.dtype = DType::kFloat16; }, {"dtype", "float16", "float32", "float64"}},
      {"dtype_integer", [](Layer& l) { l.dtype = DType::kInt32; }, {"dtype", "int32", "float32", "float64"}},
      {"device_other", [](Layer& l) { l.device = "cuda:0"; }, {"device", "cuda:0", "cpu"}},
  };
}

INSTANTIATE_TEST_SUITE_P(Rows, RefusedOptions, testing::ValuesIn(refusals()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Options, LetOutputPaddingReachTheStrideWhereDilationIsGreater) {
  ConvTranspose3dOptions layer = good();
  layer.dilation = {1, 4, 1};
  layer.output_padding = {1, 3, 1};
  EXPECT_NO_THROW(convt3d::validate(layer));
}

TEST(Options, PrintAsPyTorchPrintsThem) {
  const std::vector<GoldenLine> lines = read_golden_lines("extra_repr.txt");
  ASSERT_GT(lines.size(), 50U);
  for (const GoldenLine& line : lines) EXPECT_EQ(convt3d::extra_repr(layer_of(line)), line.expected());
}

TEST(Options, AreInitialisedWithinTheKaimingBound) {
  ConvTranspose3dOptions layer = good();
  EXPECT_DOUBLE_EQ(convt3d::initial_bound(layer), 1 / std::sqrt(6 * 27.0));
  layer.groups = 2;  // fan_in counts what one group's weight has
  layer.kernel_size = {1, 2, 5};
  EXPECT_DOUBLE_EQ(convt3d::initial_bound(layer), 1 / std::sqrt(3 * 10.0));
}

}  // namespace
}  // namespace testing_support
