#include "convt3d/nn/percentile_statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <mutex>
#include <type_traits>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/parallel.hpp"
#include "convt3d/nn/element_type.hpp"

namespace convt3d {
namespace {

/// Unsigned integers in the order of the floats: negative ones have all their bits turned over, others the sign alone.
template <typename T>
std::uint64_t key_of(T value) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const auto bits = std::bit_cast<Bits>(value);
  constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
  return (bits & kSign) != 0 ? static_cast<Bits>(~bits) : static_cast<Bits>(bits | kSign);
}

template <typename T>
double value_of(std::uint64_t key) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const auto bits = static_cast<Bits>(key);
  constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
  return static_cast<double>(
      std::bit_cast<T>((bits & kSign) != 0 ? static_cast<Bits>(bits & ~kSign) : static_cast<Bits>(~bits)));
}

}  // namespace

std::size_t PercentileStatistics::Selection::counted_as(std::size_t which) const {
  return static_cast<std::size_t>(std::find(prefix.begin(), prefix.end(), prefix[which]) - prefix.begin());
}

PercentileStatistics::PercentileStatistics(const Shape& input, double low, double high)
    : RangeStatistics(input), channels_(static_cast<std::size_t>(input[0] * input[1])) {
  const std::int64_t last = input[2] * input[3] * input[4] - 1;
  positions_ = {low / 100 * static_cast<double>(last), high / 100 * static_cast<double>(last)};
  for (Selection& selection : channels_) {
    for (std::size_t which = 0; which < kRanks; ++which) {
      const auto below = static_cast<std::int64_t>(std::floor(positions_[which / 2]));
      selection.rank[which] = std::min(below + static_cast<std::int64_t>(which % 2), last);
    }
  }
}

int PercentileStatistics::digit_bits() const { return std::min(kDigit, total_bits_ - known_bits_); }

/// Into one list: the digits' counts of each rank that has a prefix of its own.
template <typename T>
void PercentileStatistics::count(const T* values, std::int64_t count, std::vector<std::int64_t>& counts, bool& has_nan,
                                 const Selection& selection) const {
  const int below = total_bits_ - known_bits_ - digit_bits();  // bits behind the digit
  const std::uint64_t mask = (std::uint64_t{1} << digit_bits()) - 1;
  for (std::int64_t i = 0; i < count; ++i) {
    has_nan |= values[i] != values[i];
    const std::uint64_t rest = key_of(values[i]) >> below;
    const std::uint64_t prefix = rest >> digit_bits();
    for (std::size_t which = 0; which < kRanks; ++which) {
      if (prefix != selection.prefix[which]) continue;
      ++counts[(which << kDigit) + (rest & mask)];
      break;
    }
  }
}

void PercentileStatistics::add(const ConstTensorView& planes, std::int64_t first_n, std::int64_t, int threads) {
  total_bits_ = planes.dtype == DType::kFloat64 ? 64 : 32;
  for (Selection& selection : channels_) {
    for (std::vector<std::int64_t>& counts : selection.counts) counts.resize(std::size_t{1} << kDigit);
  }
  std::mutex mutex;
  const std::int64_t channel = planes.extent.d * planes.extent.h * planes.extent.w;
  // A part's counts, 64 KiB, are added to the channel's in no time against counting half a million values.
  constexpr std::int64_t kPart = std::int64_t{1} << 19;
  const std::int64_t parts = ceil_div(channel, kPart);
  const auto count_part = [&]<typename T>(T, std::int64_t task) {
    const std::int64_t row = task / parts;
    const std::int64_t begin = task % parts * kPart;
    Selection& selection = channels_[channel_index(first_n + row / planes.c, row % planes.c)];
    std::vector<std::int64_t> counts(kRanks << kDigit);
    bool has_nan = false;
    count(static_cast<const T*>(planes.data) + row * channel + begin, std::min(kPart, channel - begin), counts, has_nan,
          selection);
    const std::lock_guard lock(mutex);
    selection.has_nan |= has_nan;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      selection.counts[i >> kDigit][i & ((std::size_t{1} << kDigit) - 1)] += counts[i];
    }
  };
  with_element_type(planes.dtype, [&]<typename T>(T) {
    parallel_for(threads, planes.n * planes.c * parts, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t task = begin; task < end; ++task) count_part(T{}, task);
    });
  });
}

bool PercentileStatistics::finish_pass() {
  if (total_bits_ == 0) return false;  // there are no volumes
  for (Selection& selection : channels_) {
    const Selection before = selection;
    for (std::size_t which = 0; which < kRanks; ++which) {
      const std::vector<std::int64_t>& counts = before.counts[before.counted_as(which)];
      std::uint64_t digit = 0;
      while (selection.rank[which] >= counts[digit]) selection.rank[which] -= counts[digit++];
      selection.prefix[which] = before.prefix[which] << digit_bits() | digit;
    }
    for (std::vector<std::int64_t>& counts : selection.counts) std::fill(counts.begin(), counts.end(), 0);
  }
  known_bits_ += digit_bits();
  return known_bits_ < total_bits_;
}

double PercentileStatistics::value(const Selection& selection, std::size_t which) const {
  return total_bits_ == 64 ? value_of<double>(selection.prefix[which]) : value_of<float>(selection.prefix[which]);
}

ValueRange PercentileStatistics::range(std::int64_t n, std::int64_t c) const {
  const Selection& selection = channels_[channel_index(n, c)];
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (selection.has_nan) return {kNan, kNan};
  std::array<double, 2> at{};
  for (std::size_t end = 0; end < 2; ++end) {
    const double share = positions_[end] - std::floor(positions_[end]);
    const double below = value(selection, 2 * end);
    const double above = value(selection, 2 * end + 1);
    at[end] = share == 0 ? below : below + share * (above - below);
  }
  return {.centre = at[0], .scale = at[1] - at[0]};
}

std::int64_t PercentileStatistics::bytes(const Shape& input) {
  return input[0] * input[1] * static_cast<std::int64_t>(sizeof(std::int64_t) * (kRanks << kDigit));
}

}  // namespace convt3d
