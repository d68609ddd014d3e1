#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/kernels/long_rows.hpp"
#include "convt3d/conv/row_sets.hpp"
#include "convt3d/conv/scatter_axis.hpp"

// How col2vol_rows cuts a problem. What for: col2vol_rows.cpp.
namespace convt3d {

struct Col2VolRowsTiling {
  std::array<ScatterAxis, 3> axes;
  std::int64_t lanes = 1;
  std::int64_t ci = 1, co = 1;             ///< per group
  std::vector<RowSet> sets;                ///< of the columns [tap d][co][tap h][tap w]
  std::int64_t strip = 1;                  ///< voxels of a kernel call, whole vectors
  std::int64_t chunks = 1;                 ///< parts of the input's channels: chunk_begin
  std::int64_t block_h = 1;                ///< rows of the input whose products are held at once
  std::int64_t block_d = 1, blocks_d = 1;  ///< output planes of a task
  std::int64_t kept_d = 1;                 ///< output planes that are added to at once

  std::int64_t columns() const { return axes[0].kernel * tap_columns(); }
  /// Columns of one tap of d, and of one output channel of it.
  std::int64_t tap_columns() const { return co * channel_columns(); }
  std::int64_t channel_columns() const { return axes[1].kernel * axes[2].kernel; }
  /// Whether products are added up a few channels at a time, each of which is read in one run (gemm.cpp).
  bool long_rows() const { return columns() <= kernels::kMostLongRows && chunks == 1; }
  /// Whether each output is the product of one tap: kernels as large as their strides, side by side.
  bool one_tap() const {
    return std::all_of(axes.begin(), axes.end(), [](const ScatterAxis& a) {
      return a.reach() == a.kernel && a.kernel == a.stride && a.padding == 0 && a.output == a.input * a.stride;
    });
  }
  /// Channels of the input from which chunk i begins: each is added up from zero, then added to those before it, since the
  /// rounding error of a sum grows with the root of its terms.
  std::int64_t chunk_begin(std::int64_t i) const { return ci * i / chunks; }
  std::int64_t most_channels() const { return ceil_div(ci, chunks); }

  /// Elements from a column of products to the next one: an odd number of vectors, with room for a whole strip and for what
  /// is read before and behind a row.
  std::int64_t pitch() const { return (round_up(block_h * axes[2].input, strip) / lanes + 2) / 2 * 2 * lanes + lanes; }
  /// Elements from the outputs of a row that are equal modulo the stride to the next such: with a place for each voxel and
  /// tap, and for outputs that have none.
  std::int64_t line() const {
    const ScatterAxis& w = axes[2];
    const std::int64_t places = std::max(w.input + (w.reach() - 1) / w.stride, (w.output - 1 + w.padding) / w.stride + 1);
    return round_up(places, lanes) + lanes;
  }
  std::int64_t row() const { return axes[2].stride * line(); }

  /// Parts of a thread's scratch, in elements.
  std::int64_t packed_size() const { return most_channels() * strip; }
  std::int64_t products_size() const { return columns() * pitch() + 2 * lanes; }
  std::int64_t sums_size() const { return one_tap() ? 0 : kept_d * co * axes[1].output * row(); }
  std::int64_t scratch_size() const { return round_up(packed_size() + products_size() + sums_size(), 16); }
};

/// The tiling of the least estimate for elements T, or none: then `reason` says why.
template <typename T>
std::optional<Col2VolRowsTiling> col2vol_rows_tiling(const Query& query, std::string& reason);

/// Estimated seconds of one run.
template <typename T>
double col2vol_rows_seconds(const Col2VolRowsTiling& tiling, const Query& query);

}  // namespace convt3d
