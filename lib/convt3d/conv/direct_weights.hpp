#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "convt3d/base/buffer.hpp"
#include "convt3d/conv/direct_tiling.hpp"

namespace convt3d {

/// Kernels and bias as the products of direct.cpp read them, lanes past the last channel zero.
template <typename T>
class DirectWeights {
 public:
  /// weight: (ci, co/groups, kd, kh, kw); bias: co values, or null for zero. With `pairs`, T = float, an element is a word
  /// of two input channels rounded to bfloat16, and the tiling's channels are such words.
  DirectWeights(const Problem& problem, const DirectTiling& tiling, const T* weight, const T* bias, bool pairs);

  /// What is kept, in elements T.
  static std::int64_t elements(const Problem& problem, const DirectTiling& tiling);

  /// [tap d, h, w from the last on][ci][lane of the chunk's vectors], with `crop` [tap w, d, h from the last on][ci][lane],
  /// of the phase with number f[axis] on each axis.
  const T* phase(std::int64_t group, std::int64_t chunk, const std::array<std::size_t, 3>& f) const;

  /// Of the chunk's output channels.
  const T* bias(std::int64_t group, std::int64_t chunk) const;

 private:
  DirectTiling tiling_;
  Buffer packed_;                      ///< [group][chunk][phase][tap][ci][lane], then the bias [group][lane]
  std::vector<std::int64_t> offsets_;  ///< of each group, chunk and phase in packed_
  const T* bias_ = nullptr;
};

}  // namespace convt3d
