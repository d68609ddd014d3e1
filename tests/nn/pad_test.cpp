#include "convt3d/nn/pad.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::expect_refused;

constexpr Margins kUneven{.begin = {1, 0, 3}, .end = {2, 1, 0}};

/// Index of the voxel that `i` stands for, -1 for a zero; one axis.
std::int64_t source_of(PadMode mode, std::int64_t i, std::int64_t extent) {
  if (i >= 0 && i < extent) return i;
  if (mode == PadMode::kZeros) return -1;
  if (mode == PadMode::kReplicate) return i < 0 ? 0 : extent - 1;
  return i < 0 ? -i : 2 * extent - 2 - i;
}

template <typename T>
void expect_padded(PadMode mode, const Shape& shape, DType dtype) {
  const std::vector<T> values = testing_support::standard_normal<T>(element_count(shape), 3);
  const Tensor output = make_layer(Pad{mode, kUneven})->forward(Tensor::from(values, shape), {.threads = 3});
  ASSERT_EQ(output.dtype(), dtype);
  ASSERT_EQ(output.shape(), (Shape{shape[0], shape[1], shape[2] + 3, shape[3] + 1, shape[4] + 3}));
  std::int64_t at = 0;
  for (std::int64_t volume = 0; volume < shape[0] * shape[1]; ++volume) {
    for (std::int64_t d = -1; d < shape[2] + 2; ++d) {
      for (std::int64_t h = 0; h < shape[3] + 1; ++h) {
        for (std::int64_t w = -3; w < shape[4]; ++w, ++at) {
          const std::int64_t id = source_of(mode, d, shape[2]);
          const std::int64_t ih = source_of(mode, h, shape[3]);
          const std::int64_t iw = source_of(mode, w, shape[4]);
          const bool outside = id < 0 || ih < 0 || iw < 0;
          const std::int64_t i = ((volume * shape[2] + id) * shape[3] + ih) * shape[4] + iw;
          ASSERT_EQ(output.data<T>()[at], outside ? T(0) : values[static_cast<std::size_t>(i)]) << "element " << at;
        }
      }
    }
  }
}

TEST(Pad, TakesEachVoxelFromItsPlace) {
  for (const PadMode mode : {PadMode::kZeros, PadMode::kReplicate, PadMode::kReflect}) {
    expect_padded<float>(mode, {2, 3, 4, 5, 6}, DType::kFloat32);
    expect_padded<double>(mode, {1, 2, 3, 2, 4}, DType::kFloat64);
  }
  expect_padded<float>(PadMode::kReplicate, {1, 1, 1, 1, 1}, DType::kFloat32);
}

TEST(Pad, KeepsNanAndInfinity) {
  const std::vector<float> values = {std::nanf(""), std::numeric_limits<float>::infinity()};
  const Tensor output = make_layer(Pad{PadMode::kReplicate, {.begin = {0, 0, 1}, .end = {0, 0, 1}}})
                            ->forward(Tensor::from(values, {1, 1, 1, 1, 2}), {});
  EXPECT_TRUE(std::isnan(output.data<float>()[0]));
  EXPECT_TRUE(std::isinf(output.data<float>()[3]));
}

TEST(Pad, MovesTheGridByWhatStandsInFront) {
  EXPECT_EQ(make_layer(Pad{PadMode::kZeros, kUneven})->sampling({}), (Sampling{{1, 1, 1}, {-1, 0, -3}}));
  EXPECT_EQ(make_layer(Crop{kUneven})->sampling({}), (Sampling{{1, 1, 1}, {1, 0, 3}}));
}

TEST(Pad, PrintsAsPyTorch) {
  EXPECT_EQ(make_layer(Pad{PadMode::kZeros, kUneven})->repr(), "ZeroPad3d((3, 0, 0, 1, 1, 2))");
  EXPECT_EQ(make_layer(Pad{PadMode::kReflect, kUneven})->repr(), "ReflectionPad3d((3, 0, 0, 1, 1, 2))");
  EXPECT_EQ(make_layer(Crop{kUneven})->repr(), "Crop3d((3, 0, 0, 1, 1, 2))");
}

TEST(Pad, RefusesWhatCannotBe) {
  const std::unique_ptr<Layer> reflect = make_layer(Pad{PadMode::kReflect, kUneven});
  expect_refused([&] { reflect->output_shape({1, 1, 4, 4, 3}); }, {"reflect", "width", "at least 4", "found 3"});
  expect_refused([&] { reflect->output_shape({1, 4, 4, 4}); }, {"(N, C, D, H, W)"});
  expect_refused([] { make_layer(Pad{PadMode::kZeros, {.begin = {0, -1, 0}}}); }, {"padding", "-1", "height", "crop"});
  const std::unique_ptr<Layer> replicate = make_layer(Pad{PadMode::kReplicate, kUneven});
  expect_refused([&] { replicate->output_shape({1, 1, 4, 0, 4}); }, {"height", "0"});
  const std::unique_ptr<Layer> huge = make_layer(Pad{PadMode::kZeros, {.begin = {INT64_MAX, 0, 0}}});
  expect_refused([&] { huge->output_shape({1, 1, 4, 4, 4}); }, {"depth", "2^63"});
}

TEST(Crop, UndoesPadding) {
  const std::vector<float> values = testing_support::standard_normal<float>(2 * 3 * 4 * 5, 3);
  const Tensor padded = make_layer(Pad{PadMode::kReplicate, kUneven})->forward(Tensor::from(values, {1, 2, 3, 4, 5}), {});
  const Tensor cropped = make_layer(Crop{kUneven})->forward(padded, {});
  EXPECT_EQ(cropped.shape(), (Shape{1, 2, 3, 4, 5}));
  EXPECT_TRUE(std::equal(values.begin(), values.end(), cropped.values<float>().begin()));
}

TEST(Crop, RefusesToLeaveNothing) {
  const std::unique_ptr<Layer> crop = make_layer(Crop{kUneven});
  EXPECT_EQ(crop->output_shape({1, 1, 4, 2, 4}), (Shape{1, 1, 1, 1, 1}));
  expect_refused([&] { crop->output_shape({1, 1, 3, 2, 4}); }, {"depth", "of 3", "1 and 2"});
  expect_refused([] { make_layer(Crop{{.end = {0, 0, -2}}}); }, {"-2", "width", "pad"});
  const std::unique_ptr<Layer> huge = make_layer(Crop{{.begin = {INT64_MAX, 0, 0}, .end = {INT64_MAX, 0, 0}}});
  expect_refused([&] { huge->output_shape({1, 1, 4, 4, 4}); }, {"depth"});
}

TEST(Pad, PlansACopy) {
  const LayerPlan plan = make_layer(Pad{PadMode::kZeros, kUneven})->plan({1, 2, 3, 4, 5}, {});
  EXPECT_EQ(plan.output, (Shape{1, 2, 6, 5, 8}));
  EXPECT_FALSE(plan.in_place);
}

}  // namespace
