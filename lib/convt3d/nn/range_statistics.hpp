#pragma once

#include <cstdint>
#include <vector>

#include "convt3d/nn/moment_statistics.hpp"
#include "convt3d/nn/statistics.hpp"

namespace convt3d {

/// Where a channel's values lie: around `centre`, `scale` wide.
struct ValueRange {
  double centre = 0;
  double scale = 1;
};

/// The range of each channel of each volume, once all has been added. NaN where the channel has a NaN.
class RangeStatistics : public Statistics {
 public:
  explicit RangeStatistics(const Shape& input) : shape_(input) {}

  virtual ValueRange range(std::int64_t n, std::int64_t c) const = 0;
  std::int64_t channels() const { return shape_[1]; }

 protected:
  const Shape& shape() const { return shape_; }
  /// In a list of all channels of all volumes.
  std::size_t channel_index(std::int64_t n, std::int64_t c) const { return static_cast<std::size_t>(n * shape_[1] + c); }

 private:
  Shape shape_;
};

/// Mean and standard deviation (of all values: divided by their number).
class DeviationStatistics final : public RangeStatistics {
 public:
  explicit DeviationStatistics(const Shape& input) : RangeStatistics(input), moments_(input, input[1]) {}

  void add(const ConstTensorView& planes, std::int64_t first_n, std::int64_t first_d, int threads) override {
    moments_.add(planes, first_n, first_d, threads);
  }
  bool finish_pass() override { return moments_.finish_pass(); }
  ValueRange range(std::int64_t n, std::int64_t c) const override;

 private:
  MomentStatistics moments_;
};

/// Least value, and the distance of the greatest from it.
class ExtremaStatistics final : public RangeStatistics {
 public:
  explicit ExtremaStatistics(const Shape& input);

  void add(const ConstTensorView& planes, std::int64_t first_n, std::int64_t first_d, int threads) override;
  bool finish_pass() override { return false; }
  ValueRange range(std::int64_t n, std::int64_t c) const override;

  struct Extrema {
    double least;
    double most;
  };

 private:
  std::vector<Extrema> channels_;
};

}  // namespace convt3d
