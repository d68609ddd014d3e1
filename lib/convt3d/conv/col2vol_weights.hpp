#pragma once

#include <cstdint>

#include "convt3d/base/buffer.hpp"
#include "convt3d/conv/col2vol_tiling.hpp"

namespace convt3d {

/// Kernels and bias as the products of col2vol.cpp read them, lanes past the last column and channels past the last one of a
/// chunk zero.
template <typename T>
class Col2VolWeights {
 public:
  /// Vectors of columns that a product takes at once.
  static constexpr std::int64_t kNr = 2;

  /// weight: (ci, co/groups, kd, kh, kw); bias: co values, or null for zero.
  Col2VolWeights(const Problem& problem, const Col2VolTiling& tiling, const T* weight, const T* bias);

  /// What is kept, in elements T.
  static std::int64_t elements(const Problem& problem, const Col2VolTiling& tiling);

  /// [ci][lane of kNr vectors, or of one if it is the last] of the columns from vector `first` on, for one tap of d.
  const T* columns(std::int64_t group, std::int64_t chunk, std::int64_t tap, std::int64_t first) const;

  /// Of the chunk's channels.
  const T* bias(std::int64_t group, std::int64_t chunk) const;

 private:
  Col2VolTiling tiling_;
  Buffer packed_;  ///< [group][chunk][tap d][vectors][ci][lane], then the bias [group][chunk][channel]
  const T* bias_ = nullptr;
};

}  // namespace convt3d
