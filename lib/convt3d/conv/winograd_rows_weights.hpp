#pragma once

#include <array>
#include <cstdint>

#include "convt3d/base/buffer.hpp"
#include "convt3d/conv/winograd_rows_tiling.hpp"

namespace convt3d {

/// [point d][point h]
using PointGrid = std::array<std::array<double, kernels::kMostFourierInputs>, kernels::kMostFourierInputs>;

/// Kernels transformed by G on d and h, and the bias, as the products of winograd_rows.cpp read them.
class WinogradRowsWeights {
 public:
  /// weight: (ci, co/groups, kd, kh, kw); bias: co values, or null for zero.
  WinogradRowsWeights(const Problem& problem, const WinogradRowsTiling& tiling, int threads, const float* weight,
                      const float* bias);

  /// [group of points of h][product][ci][e][column] of a set at group g of the points of d.
  const float* of(std::int64_t group, std::size_t g, const WinogradRowsSet& set) const {
    return packed() + offset(group, g, set);
  }

  /// A vector of one channel's bias; channels are counted through all groups.
  const float* bias(std::int64_t co) const { return bias_ + co * tiling_.lanes; }

  /// Inputs up to this magnitude overflow in no transform and no sum of products, whatever the others are; negative where
  /// a weight is not finite.
  float most_input() const { return most_input_; }

 private:
  const float* packed() const { return static_cast<const float*>(packed_.data()); }
  std::int64_t offset(std::int64_t group, std::size_t g, const WinogradRowsSet& set) const;
  void pack_set(const float* weight, std::int64_t group, const WinogradRowsSet& set);
  /// G on h and d of one column's taps tap_at(d, h).
  template <typename TapAt>
  void transform(const TapAt& tap_at, PointGrid& points) const;

  Problem problem_;
  WinogradRowsTiling tiling_;
  Buffer packed_;
  const float* bias_ = nullptr;
  float most_input_ = 0;
};

}  // namespace convt3d
