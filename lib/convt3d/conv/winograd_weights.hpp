#pragma once

#include <cstdint>
#include <vector>

#include "convt3d/base/buffer.hpp"
#include "convt3d/conv/winograd_tiling.hpp"

namespace convt3d {

/// Kernels transformed by G, and the bias, as the products of winograd.cpp read them.
class WinogradWeights {
 public:
  /// weight: (ci, co/groups, kd, kh, kw); bias: co values, or null for zero.
  WinogradWeights(const Problem& problem, const WinogradTiling& tiling, int threads, const float* weight, const float* bias);

  /// [columns of the chunk][point d, h, w][ci][column][lane] of residues (rd, *) and (rh, *).
  const float* unit(std::int64_t group, std::int64_t chunk, std::int64_t rd, std::int64_t rh) const;

  /// One vector of output channels' bias; channels past the last are zero.
  const float* bias(std::int64_t group, std::int64_t co_vector) const;

  /// Inputs up to this magnitude overflow in no transform and no sum of products, whatever the others are; negative where
  /// a weight is not finite.
  float most_input() const { return most_input_; }

  const std::vector<WinogradColumns>& columns(std::int64_t chunk) const { return columns_[static_cast<std::size_t>(chunk)]; }

 private:
  struct Lines;
  struct Unit {
    std::int64_t group, chunk, rd, rh;
    std::int64_t offset;  ///< in packed_
  };

  void pack_unit(const float* weight, const Unit& unit);
  void transform(const float* kernel, const std::array<std::int64_t, 3>& residues, Lines& lines) const;
  void transform_line(std::size_t axis, std::int64_t residue, const double* taps, std::int64_t tap_stride, double* points,
                      std::int64_t point_stride) const;
  std::int64_t kernel_index(std::size_t axis, std::int64_t residue, std::int64_t tap) const;

  Problem problem_;
  WinogradTiling tiling_;
  std::vector<std::vector<WinogradColumns>> columns_;  ///< of each chunk
  std::vector<Unit> units_;                            ///< [group][chunk][rd][rh]
  Buffer packed_;
  const float* bias_ = nullptr;
  float most_input_ = 0;
};

}  // namespace convt3d
