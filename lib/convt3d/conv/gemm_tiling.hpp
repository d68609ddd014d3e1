#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/row_sets.hpp"

// How gemm cuts a 1x1x1 layer into pieces and columns. What for: gemm.cpp.
namespace convt3d {

/// Where the cells of an axis go: cell q to output q*stride - padding, if there is one. It writes the outputs up to the next
/// cell's, too, which are the bias; the first and the last such cell those at the ends.
struct GemmAxis {
  std::int64_t stride = 1, padding = 0, output = 1;
  std::int64_t first = 0, end = 0;  ///< cells that have an output

  std::int64_t output_of(std::int64_t cell) const { return cell * stride - padding; }
  std::int64_t begin_of(std::int64_t cell) const { return cell == first ? 0 : output_of(cell); }
  std::int64_t end_of(std::int64_t cell) const { return cell == end - 1 ? output : output_of(cell + 1); }
};

struct GemmTiling {
  std::array<GemmAxis, 3> axes;
  bool gaps = false;            ///< there are outputs without a tap
  std::int64_t ci = 1, co = 1;  ///< per group
  std::int64_t lanes = 1;
  std::vector<RowSet> sets;            ///< of a group's output channels
  std::int64_t strip = 1;              ///< cells of a kernel call, whole vectors
  std::int64_t unit = 1;               ///< a strip's cells, or with gaps a row's
  std::int64_t piece = 1;              ///< cells of a task at most, whole units
  std::int64_t blocks = 1;             ///< tasks that share a piece, each with its own sets
  std::int64_t sets_of_block = 1;      ///< at most
  std::int64_t channels_of_block = 1;  ///< at most

  std::int64_t chunks = 1;  ///< parts of the input's channels
  bool long_rows = false;   ///< a piece's results are added up few channels of the input at a time

  /// Channels of the input from which chunk i begins: each is added up from zero and then added to the sum of those before
  /// it, since the rounding error of a sum grows with the root of its terms.
  std::int64_t chunk_begin(std::int64_t i) const { return ci * i / chunks; }
  /// Where piece i of these begins, which are nearly equal.
  std::int64_t piece_begin(std::int64_t i, std::int64_t pieces, std::int64_t cells) const {
    return std::min(cells, ceil_div(cells, unit) * i / pieces * unit);
  }
  std::int64_t packed_size() const { return ceil_div(ci, chunks) * strip; }
  /// Results that do not go to the output at once: the last strip's, or with gaps all.
  std::int64_t kept_pitch() const { return gaps ? round_up(piece, strip) : strip; }
  std::int64_t kept_size() const { return channels_of_block * kept_pitch(); }
  std::int64_t row_size() const { return gaps ? round_up(axes[2].output, lanes) : 0; }
};

/// For elements T.
template <typename T>
GemmTiling gemm_tiling(const Query& query);

/// Estimated seconds of one run.
template <typename T>
double gemm_seconds(const GemmTiling& tiling, const Query& query);

/// Why the problem is not of 1x1x1 kernels; "" if it is.
std::string not_of_one_tap(const Problem& problem);

}  // namespace convt3d
