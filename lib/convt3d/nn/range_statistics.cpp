#include "convt3d/nn/range_statistics.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/parallel.hpp"
#include "convt3d/nn/element_type.hpp"

namespace convt3d {
namespace {

using Extrema = ExtremaStatistics::Extrema;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// A NaN on either side stays.
Extrema joined(const Extrema& a, const Extrema& b) {
  if (std::isnan(a.least) || std::isnan(b.least)) return {kNan, kNan};
  return {std::min(a.least, b.least), std::max(a.most, b.most)};
}

/// In lanes of their own, which the compiler turns into vectors' since no order of comparisons is asked for.
template <typename T>
Extrema extrema_of(const T* values, std::int64_t count) {
  constexpr std::size_t kLanes = 64 / sizeof(T);
  std::array<T, kLanes> least, most;
  std::array<int, kLanes> nan{};
  least.fill(*values);
  most.fill(*values);
  const auto look = [&](T value, std::size_t lane) {
    least[lane] = value < least[lane] ? value : least[lane];
    most[lane] = value > most[lane] ? value : most[lane];
    nan[lane] |= value != value;
  };
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(kLanes) <= count; i += static_cast<std::int64_t>(kLanes)) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) look(values[i + static_cast<std::int64_t>(lane)], lane);
  }
  for (; i < count; ++i) look(values[i], 0);
  if (std::any_of(nan.begin(), nan.end(), [](int one) { return one != 0; })) return {kNan, kNan};
  return {static_cast<double>(*std::min_element(least.begin(), least.end())),
          static_cast<double>(*std::max_element(most.begin(), most.end()))};
}

}  // namespace

ValueRange DeviationStatistics::range(std::int64_t n, std::int64_t c) const {
  return {.centre = moments_.mean(n, c), .scale = std::sqrt(moments_.variance(n, c))};
}

ExtremaStatistics::ExtremaStatistics(const Shape& input)
    : RangeStatistics(input), channels_(static_cast<std::size_t>(input[0] * input[1]), Extrema{kInfinity, -kInfinity}) {}

void ExtremaStatistics::add(const ConstTensorView& planes, std::int64_t first_n, std::int64_t, int threads) {
  const std::int64_t plane = planes.extent.h * planes.extent.w;
  std::vector<Extrema> found(static_cast<std::size_t>(planes.n * planes.c * planes.extent.d));
  with_element_type(planes.dtype, [&]<typename T>(T) {
    constexpr std::int64_t kGrainElements = std::int64_t{1} << 16;
    parallel_for(threads, static_cast<std::int64_t>(found.size()), ceil_div(kGrainElements, plane),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     found[static_cast<std::size_t>(i)] = extrema_of(static_cast<const T*>(planes.data) + i * plane, plane);
                   }
                 });
  });
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i) / planes.extent.d;
    Extrema& channel = channels_[channel_index(first_n + row / planes.c, row % planes.c)];
    channel = joined(channel, found[i]);
  }
}

ValueRange ExtremaStatistics::range(std::int64_t n, std::int64_t c) const {
  const Extrema& extrema = channels_[channel_index(n, c)];
  return {.centre = extrema.least, .scale = extrema.most - extrema.least};
}

}  // namespace convt3d
