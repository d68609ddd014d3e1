// Where the outputs of Upsample lie: what it makes of a ramp is the place that its sampling says. Values are the goldens'.
#include "convt3d/nn/upsample.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "convt3d/nn/receptive_field.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::expect_refused;
using Factors = std::array<double, 3>;

constexpr auto kTrilinear = Upsample::Mode::kTrilinear;

/// Whose voxels are their own index on one axis.
Tensor ramp(const Shape& shape, int axis) {
  Tensor volume = Tensor::empty(shape, DType::kFloat64);
  std::int64_t inner = 1;
  for (std::size_t later = static_cast<std::size_t>(axis) + 3; later < 5; ++later) inner *= shape[later];
  for (std::int64_t i = 0; i < volume.size(); ++i) {
    volume.data<double>()[i] = static_cast<double>(i / inner % shape[static_cast<std::size_t>(axis) + 2]);
  }
  return volume;
}

/// The outputs of a ramp against their places, o·step + offset, along one axis.
struct Places {
  std::vector<double> found;
  std::vector<double> said;
};

Places places(const Upsample& upsample, const Shape& shape, int axis) {
  const auto layer = make_layer(upsample);
  const Tensor output = layer->forward(ramp(shape, axis), {.threads = 2});
  const Sampling sampling = layer->sampling(shape);
  const auto at = static_cast<std::size_t>(axis);
  std::int64_t inner = 1;
  for (std::size_t later = at + 3; later < 5; ++later) inner *= output.shape()[later];
  Places places;
  for (std::int64_t o = 0; o < output.shape()[at + 2]; ++o) {
    places.found.push_back(output.data<double>()[o * inner]);
    places.said.push_back(static_cast<double>(o) * sampling.step[at] + sampling.offset[at]);
  }
  return places;
}

TEST(Upsample, TrilinearPutsVoxelsWhereItsSamplingSays) {
  const Shape shape = {1, 1, 5, 6, 7};
  for (const Upsample& upsample :
       {Upsample{.scale_factor = Factors{2, 3, 1.7}, .mode = kTrilinear}, Upsample{.size = {{8, 4, 20}}, .mode = kTrilinear},
        Upsample{.size = {{9, 4, 20}}, .mode = kTrilinear, .align_corners = true},
        Upsample{.scale_factor = Factors{2, 3, 1.7}, .mode = kTrilinear, .align_corners = true}}) {
    for (int axis = 0; axis < 3; ++axis) {
      const Places its = places(upsample, shape, axis);
      const double last = static_cast<double>(shape[static_cast<std::size_t>(axis) + 2] - 1);
      for (std::size_t o = 0; o < its.found.size(); ++o) {
        EXPECT_NEAR(its.found[o], std::min(std::max(its.said[o], 0.0), last), 1e-12) << axis << " " << o;
      }
    }
  }
}

TEST(Upsample, NearestPutsVoxelsWhereTheyComeFromOnAverage) {
  const Shape shape = {1, 1, 5, 6, 7};
  for (const Upsample& upsample : {Upsample{.scale_factor = Factors{2, 3, 4}},
                                   Upsample{.scale_factor = Factors{1.5, 0.5, 2.3}}, Upsample{.size = {{7, 4, 21}}}}) {
    for (int axis = 0; axis < 3; ++axis) {
      const Places its = places(upsample, shape, axis);
      double sum = 0;
      for (std::size_t o = 0; o < its.found.size(); ++o) {
        sum += its.found[o] - its.said[o];
        EXPECT_LT(std::abs(its.found[o] - its.said[o]), 1) << axis << " " << o;
      }
      EXPECT_NEAR(sum, 0, 1e-12) << axis;
    }
  }
}

TEST(Upsample, KeepsTheFieldOfViewByWholeFactors) {
  for (const Upsample::Mode mode : {Upsample::Mode::kNearest, kTrilinear}) {
    const Sampling sampling =
        make_layer(Upsample{.scale_factor = Factors{2, 4, 1}, .mode = mode})->sampling({1, 1, 3, 4, 5});
    EXPECT_EQ(sampling, (Sampling{{0.5, 0.25, 1}, {-0.25, -0.375, 0}}));
  }
}

TEST(Upsample, KeepsTheCornersWhereTheyAre) {
  const Sampling sampling =
      make_layer(Upsample{.size = {{5, 1, 7}}, .mode = kTrilinear, .align_corners = true})->sampling({1, 1, 3, 4, 1});
  EXPECT_EQ(sampling.step[0], 0.5);
  EXPECT_EQ(sampling.offset[0], 0);
  EXPECT_EQ(sampling.step[1], 4);  // one voxel has no corners: it covers the axis
  EXPECT_EQ(sampling.offset[1], 1.5);
  EXPECT_EQ(sampling.step[2], 1.0 / 7);
}

TEST(Upsample, KnowsItsReceptiveField) {
  const auto field = [](const Upsample& upsample, const Extent3& outputs) {
    return receptive_field(*make_layer(upsample), outputs);
  };
  EXPECT_EQ(field({.scale_factor = Factors{2, 3, 1}}, {1, 4, 4}), Extent3(1, 2, 4));
  EXPECT_EQ(field({.scale_factor = Factors{2, 3, 0.5}, .mode = kTrilinear}, {1, 4, 4}), Extent3(2, 3, 8));
  EXPECT_FALSE(field({.size = Extent3(4)}, 1));
}

TEST(Upsample, Refuses) {
  expect_refused([] { make_layer(Upsample{}); }, {"one of size and scale_factor"});
  expect_refused([] { make_layer(Upsample{.size = Extent3(2), .scale_factor = Factors{2, 2, 2}}); }, {"not both"});
  expect_refused([] { make_layer(Upsample{.size = Extent3(2), .align_corners = true}); }, {"trilinear"});
  expect_refused([] { make_layer(Upsample{.scale_factor = Factors{2, -1, 2}}); }, {"scale_factor is -1.0"});
  expect_refused([] { make_layer(Upsample{.size = Extent3(2, 0, 2)}); }, {"size is (2, 0, 2)"});
  const auto third = make_layer(Upsample{.scale_factor = Factors{1, 0.3, 1}});
  expect_refused([&] { third->output_shape({1, 1, 4, 3, 4}); }, {"height of 3 voxels would have none"});
  expect_refused([&] { third->forward(Tensor::zeros({1, 1, 4, 3, 4}), {}); }, {"would have none"});
  expect_refused([&] { third->output_shape({1, 1, 0, 8, 4}); }, {"depth is 0"});
  expect_refused([&] { make_layer(Upsample{.scale_factor = Factors{1e9, 1, 1}})->output_shape({1, 1, 4, 4, 4}); }, {"2^20"});
  expect_refused(
      [&] {
        make_layer(Upsample{.size = Extent3(1 << 20, 1 << 20, 1 << 20)})->output_shape({32, 1, 4, 4, 4});
      },
      {"2^63"});
}

}  // namespace
