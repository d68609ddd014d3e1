#pragma once

#include <array>
#include <cstdint>

#include "convt3d/base/extent.hpp"
#include "convt3d/base/machine.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/plane_reach.hpp"
#include "convt3d/conv/winograd_tiling.hpp"

namespace convt3d {

/// A block of tiles of one volume and group.
struct WinogradBlock {
  std::int64_t n = 0, group = 0;
  Extent3 first_tile, tiles;
  Extent3 first_cell;       ///< absolute
  Planes panel;             ///< planes of the input, in the volume where d is summed
  std::int64_t planes = 0;  ///< of points: those, or with d transformed one for each tile along d

  std::int64_t tile_count() const { return tiles.d * tiles.h * tiles.w; }
};

/// Bᵀ and Aᵀ for the tiles of a block, axis by axis, a vector of channels at a time. Single residues are copied instead.
/// Strides are in floats; `lines` is scratch of tiling.lines_size. Allocates nothing after construction.
class WinogradTransforms {
 public:
  WinogradTransforms(const WinogradTiling& tiling, Isa isa);

  /// Bᵀ on d, h, w for vector v of the input channels of every tile, from its panel [d][h][w][lane] into its lanes of
  /// points V[point d, h, w][tile][ci]. d and h are transformed for whole rows of inputs, which neighbouring tiles share. A
  /// single axis takes only the inputs that its residues read.
  void input(const WinogradBlock& block, const WinogradView& view, std::int64_t v, const float* panel, float* points,
             float* lines) const;

  /// Aᵀ on d: products [point d][size] to outputs [output d] of `size` floats each, sums_stride apart.
  void output_on_d(std::int64_t rd, const float* products, float* sums, std::int64_t size, std::int64_t sums_stride) const;

  /// Aᵀ on h and w for one column of every tile, and the bias (a vector). The column stands at
  /// sums[((output d * points h * points w + point) * tiles + tile) * pitch], and goes to the staging row
  /// [cell d][cell h][output w][lane], whose first place for the residue rw `staging` is.
  void output_on_h_w(const WinogradBlock& block, std::int64_t rh, std::int64_t rw, const float* sums, std::int64_t pitch,
                     const float* bias, float* staging, float* lines) const;

 private:
  /// Place of a tile's first cell in its block, in cells.
  std::int64_t place(std::size_t axis, const WinogradBlock& block, std::int64_t tile) const;

  /// Calls body(tile w, count) for groups of tiles along w that lie equally far apart, as many as the lines have room for.
  template <typename Body>
  void for_each_group(const WinogradBlock& block, const Body& body) const;

  WinogradTiling tiling_;
  std::array<kernels::LinesFn, 3> input_{}, output_{}, copy_{};
};

}  // namespace convt3d
