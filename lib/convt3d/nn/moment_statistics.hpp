#pragma once

#include <cstdint>
#include <vector>

#include "convt3d/conv/moments.hpp"
#include "convt3d/nn/statistics.hpp"

namespace convt3d {

/// Mean and variance of groups of channels of each volume: group g has the channels g·C/groups and up.
class MomentStatistics final : public Statistics {
 public:
  /// Of inputs (N, C, D, H, W) whose C `groups` divides.
  MomentStatistics(const Shape& input, std::int64_t groups);

  void add(const ConstTensorView& planes, std::int64_t first_n, std::int64_t first_d, int threads) override;
  bool finish_pass() override;

  double mean(std::int64_t n, std::int64_t group) const { return group_at(n, group).mean; }
  /// Biased: the squares divided by the number of values.
  double variance(std::int64_t n, std::int64_t group) const { return group_at(n, group).squares / values_per_group_; }

  /// What it allocates.
  static std::int64_t bytes(const Shape& input);

 private:
  const Moments& group_at(std::int64_t n, std::int64_t group) const {
    return groups_[static_cast<std::size_t>(n * per_volume_ + group)];
  }

  Shape shape_;
  std::int64_t per_volume_;  ///< groups
  double values_per_group_;
  std::vector<Moments> planes_;  ///< (n, c, d)
  std::vector<Moments> groups_;  ///< (n, group)
};

}  // namespace convt3d
