#pragma once

#include <array>
#include <cstdint>

#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/direct_tiling.hpp"
#include "convt3d/conv/direct_weights.hpp"
#include "convt3d/conv/kernels/kernels.hpp"

namespace convt3d {

/// What stands in direct for the packing and the products of tilings that `crop`.
template <typename T>
class CroppedProducts {
 public:
  /// Keeps all of these.
  CroppedProducts(const Problem& problem, const DirectTiling& tiling, const DirectWeights<T>& weights, Isa isa);

  /// The block's panel [plane][w][row slot][ci], of what lies inside the volume alone: only that is read.
  void pack(const RunArgs& args, const DirectBlock& block, T* panel) const;

  /// The products of phase f[axis] on each axis, for one chunk, into its places of the staging rows.
  void multiply(const DirectBlock& block, const std::array<std::size_t, 3>& f, std::int64_t chunk, const T* panel,
                T* staging) const;

 private:
  /// Rows of it that have the same taps: the bias, then each tap along w, whose weights lie `tap_weights` elements apart.
  /// args.a is the panel's first column, args.b the first tap's weights.
  void multiply_rows(const DirectBlock& block, const AxisPhase& w, std::int64_t tap_weights, kernels::ProductArgs<T> args,
                     T* row) const;

  const Problem& problem_;
  const DirectTiling& tiling_;
  const DirectWeights<T>& weights_;
  kernels::ProductFn<T> product_;
  kernels::PackFn<T> pack_;
};

}  // namespace convt3d
