#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "convt3d/nn/range_statistics.hpp"

namespace convt3d {

/// The range between two percentiles, each between the values of neighbouring ranks as numpy.percentile's: percentile p of n
/// values is at rank p/100·(n - 1), interpolated. Exact, by radix selection: each pass counts the next 11 bits of the values
/// that have the bits known so far, 3 passes for float32 and 6 for float64, in 64 KiB per channel.
class PercentileStatistics final : public RangeStatistics {
 public:
  /// 0 <= low < high <= 100.
  PercentileStatistics(const Shape& input, double low, double high);

  void add(const ConstTensorView& planes, std::int64_t first_n, std::int64_t first_d, int threads) override;
  bool finish_pass() override;
  ValueRange range(std::int64_t n, std::int64_t c) const override;

  /// What it allocates for such an input.
  static std::int64_t bytes(const Shape& input);

 private:
  static constexpr std::size_t kRanks = 4;  ///< of both percentiles: the value below, the value above
  static constexpr int kDigit = 11;         ///< bits

  /// A channel's selection: of each rank the bits known of its value, and its rank among the values that share them.
  struct Selection {
    std::array<std::uint64_t, kRanks> prefix = {};
    std::array<std::int64_t, kRanks> rank = {};
    std::array<std::vector<std::int64_t>, kRanks> counts =
        {};  ///< by the next digit; of a rank whose prefix is its own first
    bool has_nan = false;

    /// The rank whose counts are of those with this one's prefix.
    std::size_t counted_as(std::size_t which) const;
  };

  template <typename T>
  void count(const T* values, std::int64_t count, std::vector<std::int64_t>& counts, bool& has_nan,
             const Selection& selection) const;
  int digit_bits() const;
  double value(const Selection& selection, std::size_t which) const;

  std::array<double, 2> positions_;  ///< of the percentiles, as ranks
  int total_bits_ = 0;               ///< of a value; 0: nothing has been added yet
  int known_bits_ = 0;
  std::vector<Selection> channels_;
};

}  // namespace convt3d
