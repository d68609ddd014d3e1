// Means and squared deviations of planes against sums in long double, on every instruction set; large means, tails, NaN.
#include "convt3d/conv/moments.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace testing_support {
namespace {

using convt3d::DType;
using convt3d::Moments;

template <typename T>
Moments exact_moments(const T* values, std::int64_t count) {
  long double mean = 0;
  for (std::int64_t i = 0; i < count; ++i) mean += values[i];
  mean /= static_cast<long double>(count);
  long double squares = 0;
  for (std::int64_t i = 0; i < count; ++i) squares += (values[i] - mean) * (values[i] - mean);
  return {static_cast<double>(mean), static_cast<double>(squares)};
}

template <typename T>
convt3d::ConstTensorView view_of(const std::vector<T>& values, const convt3d::Extent3& extent) {
  const std::int64_t volume = extent.d * extent.h * extent.w;
  return {values.data(), convt3d::dtype_of<T>(), 1, static_cast<std::int64_t>(values.size()) / volume, extent};
}

template <typename T>
void expect_exact(double offset, double relative) {
  // Widths below, at and above what a kernel takes at once: 4 vectors of 8 doubles.
  for (const std::int64_t width : {1, 3, 8, 17, 32, 33, 1000}) {
    const convt3d::Extent3 extent(3, 2, width);
    std::vector<T> values = standard_normal<T>(2 * 6 * width, 5);
    for (T& value : values) value += static_cast<T>(offset);
    for (const convt3d::Isa isa : convt3d::available_isas()) {
      std::vector<Moments> planes(6);
      convt3d::plane_moments(view_of(values, extent), planes, 2, isa);
      for (std::size_t i = 0; i < 6; ++i) {
        const Moments exact = exact_moments(values.data() + static_cast<std::int64_t>(i) * 2 * width, 2 * width);
        EXPECT_NEAR(planes[i].mean, exact.mean, relative * std::abs(offset) + 1e-15) << "width " << width;
        EXPECT_NEAR(planes[i].squares, exact.squares, 1e-12 * exact.squares) << "width " << width;
      }
      const Moments all = convt3d::merged(planes, static_cast<double>(2 * width));
      const Moments exact = exact_moments(values.data(), 12 * width);
      EXPECT_NEAR(all.mean, exact.mean, relative * std::abs(offset) + 1e-15);
      // The planes' means are doubles, of |offset|·2^-53 each.
      EXPECT_NEAR(all.squares, exact.squares, (1e-12 + relative * std::abs(offset)) * exact.squares);
    }
  }
}

TEST(PlaneMoments, AreThoseOfTheDefinition) {
  expect_exact<float>(0, 0);
  expect_exact<double>(0, 0);
}

TEST(PlaneMoments, KeepTheirDigitsHoweverLargeTheMean) {
  expect_exact<float>(1e4, 1e-15);
  expect_exact<float>(-3e6, 1e-15);
  expect_exact<double>(1e8, 1e-15);
}

TEST(PlaneMoments, OfEqualValuesAreExact) {
  const std::vector<float> values(300, 0.1F);
  std::vector<Moments> planes(2);
  convt3d::plane_moments(view_of(values, {2, 10, 15}), planes);
  for (const Moments& plane : planes) {
    EXPECT_EQ(plane.mean, static_cast<double>(0.1F));
    EXPECT_EQ(plane.squares, 0);
  }
}

TEST(PlaneMoments, AreTheSameBitsForAnyNumberOfThreads) {
  const std::vector<float> values = standard_normal<float>(40 * 50 * 60, 7);
  std::vector<Moments> one(40), three(40);
  convt3d::plane_moments(view_of(values, {40, 50, 60}), one, 1);
  convt3d::plane_moments(view_of(values, {40, 50, 60}), three, 3);
  EXPECT_EQ(std::memcmp(one.data(), three.data(), 40 * sizeof(Moments)), 0);
}

TEST(PlaneMoments, OfAPlaneWithNanOrInfinityAreNan) {
  std::vector<float> values(3 * 40, 1.0F);
  values[5] = std::numeric_limits<float>::quiet_NaN();
  values[45] = std::numeric_limits<float>::infinity();
  std::vector<Moments> planes(3);
  convt3d::plane_moments(view_of(values, {3, 5, 8}), planes);
  EXPECT_TRUE(std::isnan(planes[0].mean) && std::isnan(planes[0].squares));
  EXPECT_TRUE(std::isnan(planes[1].squares));
  EXPECT_EQ(planes[2].mean, 1);
}

TEST(PlaneMoments, AreOfFloatsOnly) {
  const std::vector<std::int16_t> values(8);
  std::vector<Moments> planes(2);
  expect_refused([&] { convt3d::plane_moments(view_of(values, {2, 2, 2}), planes); }, {"float32", "int16"});
}

}  // namespace
}  // namespace testing_support
