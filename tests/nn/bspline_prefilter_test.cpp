#include "convt3d/nn/bspline_prefilter.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;

std::int64_t mirrored(std::int64_t i, std::int64_t extent) {
  if (extent == 1) return 0;
  return i < 0 ? -i : i >= extent ? 2 * extent - 2 - i : i;
}

/// The cubic B-spline with these coefficients at the voxels: the sum over 3x3x3 neighbours, 1/6, 4/6, 1/6 on each axis.
double spline_at(const std::vector<double>& c, const Extent3& extent, std::int64_t d, std::int64_t h, std::int64_t w) {
  constexpr std::array<double, 3> kTaps = {1.0 / 6, 4.0 / 6, 1.0 / 6};
  double sum = 0;
  for (int i = 0; i < 27; ++i) {
    const std::int64_t at_d = mirrored(d + i / 9 - 1, extent.d);
    const std::int64_t at_h = mirrored(h + i / 3 % 3 - 1, extent.h);
    const std::int64_t at_w = mirrored(w + i % 3 - 1, extent.w);
    const double tap = kTaps[static_cast<std::size_t>(i / 9)] * kTaps[static_cast<std::size_t>(i / 3 % 3)] *
                       kTaps[static_cast<std::size_t>(i % 3)];
    sum += tap * c[static_cast<std::size_t>((at_d * extent.h + at_h) * extent.w + at_w)];
  }
  return sum;
}

void expect_interpolates(const Extent3& extent, DType dtype, double tolerance) {
  const std::int64_t count = extent.d * extent.h * extent.w;
  const std::vector<double> values = testing_support::standard_normal<double>(2 * count, 5);
  const Tensor input = convert(Tensor::from(values, {1, 2, extent.d, extent.h, extent.w}), dtype);
  const Tensor output = convert(make_layer(BSplinePrefilter{})->forward(input, {.threads = 2}), DType::kFloat64);
  for (std::int64_t channel = 0; channel < 2; ++channel) {
    const std::span<const double> all = output.values<double>();
    const std::vector<double> c(all.begin() + channel * count, all.begin() + (channel + 1) * count);
    for (std::int64_t i = 0; i < count; ++i) {
      const double found = spline_at(c, extent, i / extent.w / extent.h, i / extent.w % extent.h, i % extent.w);
      ASSERT_NEAR(found, values[static_cast<std::size_t>(channel * count + i)], tolerance)
          << to_string(extent) << " channel " << channel << " voxel " << i;
    }
  }
}

TEST(BSplinePrefilter, GivesTheSplineThroughTheVoxels) {
  for (const Extent3& extent :
       {Extent3(7, 6, 5), Extent3(2, 3, 4), Extent3(1, 2, 3), Extent3(4, 1, 50), Extent3(90, 2, 1)}) {
    expect_interpolates(extent, DType::kFloat64, 1e-13);
    expect_interpolates(extent, DType::kFloat32, 5e-6);
  }
}

TEST(BSplinePrefilter, LeavesAConstantAndASingleVoxelAlone) {
  const Tensor constant =
      make_layer(BSplinePrefilter{})->forward(Tensor::from(std::vector<double>(60, 7.5), {1, 1, 3, 4, 5}), {});
  for (const double value : constant.values<double>()) EXPECT_NEAR(value, 7.5, 1e-13);
  const Tensor single = make_layer(BSplinePrefilter{})->forward(Tensor::from(std::vector<float>{3}, {1, 1, 1, 1, 1}), {});
  EXPECT_EQ(single.data<float>()[0], 3);
}

TEST(BSplinePrefilter, TakesEmptyBatchesAndRefusesOtherRanks) {
  const std::unique_ptr<Layer> layer = make_layer(BSplinePrefilter{});
  EXPECT_EQ(layer->forward(Tensor::zeros({0, 1, 2, 2, 2}), {}).shape(), (Shape{0, 1, 2, 2, 2}));
  testing_support::expect_refused([&] { layer->forward(Tensor::zeros({1, 2, 2, 2}), {}); }, {"(N, C, D, H, W)"});
  EXPECT_TRUE(layer->plan({1, 1, 2, 2, 2}, {}).in_place);
  EXPECT_EQ(layer->repr(), "BSplinePrefilter()");
}

}  // namespace
