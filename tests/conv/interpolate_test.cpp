// Interpolation on three axes against its definition, on every instruction set: tails, long rows, what has no weight.
#include "convt3d/conv/interpolate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace testing_support {
namespace {

using convt3d::AxisBlend;
using convt3d::AxisBlends;
using convt3d::Extent3;

/// `outputs` places that rise from 0 to the last input, some of them whole.
AxisBlend rising(std::int64_t inputs, std::int64_t outputs) {
  AxisBlend axis;
  for (std::int64_t o = 0; o < outputs; ++o) {
    const double place =
        outputs == 1 ? 0 : std::round(8.0 * static_cast<double>(o * (inputs - 1)) / static_cast<double>(outputs - 1)) / 8;
    const auto first = static_cast<std::int64_t>(place);
    axis.first.push_back(first);
    axis.weight.push_back(place - static_cast<double>(first));
    axis.second.push_back(axis.weight.back() > 0 ? first + 1 : first);
  }
  return axis;
}

template <typename T>
struct Volumes {
  Extent3 in, out;
  std::int64_t count;
  std::vector<T> input;
  AxisBlends axes;

  Volumes(const Extent3& in_extent, const Extent3& out_extent, std::int64_t volumes)
      : in(in_extent),
        out(out_extent),
        count(volumes),
        input(standard_normal<T>(volumes * in_extent.d * in_extent.h * in_extent.w, 8)),
        axes{rising(in.d, out.d), rising(in.h, out.h), rising(in.w, out.w)} {}

  std::vector<T> run(int threads, std::optional<convt3d::Isa> isa = std::nullopt) const {
    std::vector<T> output(static_cast<std::size_t>(count * out.d * out.h * out.w), std::numeric_limits<T>::quiet_NaN());
    convt3d::interpolate({input.data(), convt3d::dtype_of<T>(), 1, count, in},
                         {output.data(), convt3d::dtype_of<T>(), 1, count, out}, axes, threads, isa);
    return output;
  }

  double expected(std::int64_t volume, std::int64_t od, std::int64_t oh, std::int64_t ow) const {
    double sum = 0;
    for (int corner = 0; corner < 8; ++corner) {
      double weight = 1;
      std::int64_t at = volume;
      const std::int64_t o[3] = {od, oh, ow};
      for (int axis = 0; axis < 3; ++axis) {
        const AxisBlend& its = axes[static_cast<std::size_t>(axis)];
        const auto i = static_cast<std::size_t>(o[axis]);
        const bool second = (corner >> axis & 1) != 0;
        weight *= second ? its.weight[i] : 1 - its.weight[i];
        at = at * in[axis] + (second ? its.second[i] : its.first[i]);
      }
      if (weight > 0) sum += weight * static_cast<double>(input[static_cast<std::size_t>(at)]);
    }
    return sum;
  }
};

template <typename T>
void expect_definition(const Extent3& in, const Extent3& out, double bound) {
  const Volumes<T> volumes(in, out, 2);
  for (const convt3d::Isa isa : convt3d::available_isas()) {
    const std::vector<T> output = volumes.run(2, isa);
    std::size_t at = 0;
    for (std::int64_t volume = 0; volume < 2; ++volume) {
      for (std::int64_t od = 0; od < out.d; ++od) {
        for (std::int64_t oh = 0; oh < out.h; ++oh) {
          for (std::int64_t ow = 0; ow < out.w; ++ow, ++at) {
            ASSERT_NEAR(static_cast<double>(output[at]), volumes.expected(volume, od, oh, ow), bound) << "element " << at;
          }
        }
      }
    }
  }
}

TEST(Interpolate, IsTheDefinition) {
  expect_definition<float>({3, 4, 5}, {7, 9, 33}, 1e-6);
  expect_definition<double>({3, 4, 5}, {7, 9, 33}, 1e-14);
  expect_definition<float>({1, 7, 16}, {3, 2, 15}, 1e-6);
  expect_definition<double>({4, 1, 1}, {1, 5, 17}, 1e-14);
}

TEST(Interpolate, TakesRowsThatFillTheCache) {
  expect_definition<float>({2, 5, 3}, {3, 11, 20'000}, 1e-6);  // fewer rows at a time than there are
}

TEST(Interpolate, GivesTheSameBitsForAnyNumberOfThreadsAndPastTheCaches) {
  const Volumes<float> volumes({33, 40, 41}, {130, 131, 133}, 3);  // 27 MB: more than a task, and than most caches
  const std::vector<float> one = volumes.run(1);
  EXPECT_EQ(volumes.run(3), one);
  const Volumes<float> alone({33, 40, 41}, {130, 131, 133}, 1);
  const std::vector<float> first = alone.run(2);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), one.begin()));
}

TEST(Interpolate, HandsNanToThoseOnlyThatWeighIt) {
  Volumes<float> volumes({3, 3, 3}, {5, 5, 5}, 1);              // every other output is an input
  volumes.input[13] = std::numeric_limits<float>::quiet_NaN();  // the middle
  const std::vector<float> output = volumes.run(1);
  for (std::size_t at = 0; at < output.size(); ++at) {
    const bool near = at / 25 % 5 % 4 != 0 && at / 5 % 5 % 4 != 0 && at % 5 % 4 != 0;
    EXPECT_EQ(std::isnan(output[at]), near) << at;
  }
}

TEST(Interpolate, IsOfFloatsOnly) {
  std::vector<std::int16_t> values(8);
  const AxisBlends axes = {rising(2, 2), rising(2, 2), rising(2, 2)};
  expect_refused(
      [&] {
        convt3d::interpolate({values.data(), convt3d::DType::kInt16, 1, 1, 2},
                             {values.data(), convt3d::DType::kInt16, 1, 1, 2}, axes);
      },
      {"float32", "int16"});
}

}  // namespace
}  // namespace testing_support
