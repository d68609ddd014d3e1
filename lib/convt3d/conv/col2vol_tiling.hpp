#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/scatter_axis.hpp"

// How the col2vol algorithm cuts a problem into blocks. What for: col2vol.cpp.
namespace convt3d {

struct Col2VolTiling {
  std::array<ScatterAxis, 3> axes;
  std::int64_t lanes = 1;
  std::int64_t ci = 1, co = 1;             ///< per group
  std::int64_t chunk = 1, chunks = 1;      ///< output channels of a task
  std::int64_t block_d = 1, blocks_d = 1;  ///< output planes of a task
  std::int64_t block_h = 1, block_w = 1;   ///< input voxels of a product; of whole rows, or of a part of one
  std::int64_t kept_d = 1;                 ///< output planes that are added to at once
  std::int64_t ld = 1;                     ///< elements from one packed voxel to the next
  std::int64_t line = 1;                   ///< places along w of outputs equal modulo the dilation: output_place
  std::int64_t row = 1;                    ///< elements of an output row being added to

  std::int64_t positions() const { return block_h * block_w; }
  /// What a voxel adds to an output row: [tap w][channel of the chunk].
  std::int64_t run() const { return axes[2].kernel * chunk; }
  /// Vectors of columns, [tap h][run], of one tap of d.
  std::int64_t vectors() const { return ceil_div(axes[1].kernel * run(), lanes); }
  std::int64_t columns() const { return vectors() * lanes; }
  std::int64_t blocks_h() const { return ceil_div(axes[1].input, block_h); }
  /// Rows of the input and taps of h, each of which is added to one row of the output, or to none.
  std::size_t most_sums() const { return static_cast<std::size_t>(axes[1].input * axes[1].kernel); }
  /// Where output `ow` lies in its row, and what is added to it by tap 0 of the voxel that reaches it so; in elements.
  std::int64_t output_place(std::int64_t ow) const {
    const std::int64_t u = ow + axes[2].padding;
    return (u % axes[2].dilation * line + u / axes[2].dilation) * chunk;
  }

  /// Parts of a thread's scratch, in elements, with room for vectors that go on behind the last element.
  std::int64_t packed_size() const { return round_up(positions() * ld, lanes); }
  std::int64_t columns_size() const { return positions() * columns() + lanes; }
  std::int64_t sums_size() const { return kept_d * axes[1].output * row; }
  std::int64_t scratch_size() const { return round_up(packed_size() + columns_size() + sums_size() + row, 16); }
};

/// The tiling of the least estimate for elements T, or none: then `reason` says why. Blocks of h and w, which decide in
/// which order an output's sum is made, depend on the problem alone.
template <typename T>
std::optional<Col2VolTiling> col2vol_tiling(const Query& query, std::string& reason);

/// Estimated seconds of one run.
template <typename T>
double col2vol_seconds(const Col2VolTiling& tiling, const Query& query);

}  // namespace convt3d
