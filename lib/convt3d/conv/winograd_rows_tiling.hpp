#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/winograd_axis.hpp"

// How Winograd's algorithm along rows cuts a problem: d and h into tiles, tiles into blocks, outputs into columns.
// Derivation: winograd_rows.cpp.
namespace convt3d {

/// Columns of one kernel call: all residues of w of the output rows [first, first + count), counted (co*sd + rd)*sh + rh.
struct WinogradRowsSet {
  std::int64_t first = 0;
  std::int64_t count = 1;
};

struct WinogradRowsTiling {
  WinogradAxis d, h;
  CellAxis w;
  std::int64_t lanes = 1;
  std::int64_t ci = 1, co = 1;  ///< per group
  std::vector<WinogradRowsSet> sets;
  std::int64_t block_d = 1, block_h = 1;  ///< tiles of a task
  std::int64_t blocks_d = 1, blocks_h = 1;
  std::int64_t splits = 1;  ///< tasks that share a block, each with its own sets
  std::int64_t pitch = 1;   ///< elements of a row, halo included; short rows run on into one another
  std::int64_t panel_d = 1;
  std::int64_t slots = 1;  ///< tiles along h that the rows of a panel belong to: those of a block and what they reach into
  std::int64_t plane = 1;  ///< elements of a panel's plane
  std::int64_t ld = 1;     ///< elements from one channel's run of points to the next one's
  std::int64_t point_size = 1;  ///< elements of all channels' runs
  std::int64_t row = 1;         ///< elements of a run of outputs of one residue of d and h

  std::int64_t points() const { return d.scheme.points() * h.scheme.points(); }
  /// Output rows of a cell row, over all channels of a group.
  std::int64_t rows() const { return co * d.cells.stride * h.cells.stride; }
  /// Rows of a panel's plane.
  std::int64_t most_places() const { return h.scheme.outputs * slots; }
  std::int64_t most_rows() const { return sets.front().count; }
  int columns(const WinogradRowsSet& set) const { return static_cast<int>(set.count * w.stride); }
  /// Cells of a kernel call for so many tiles; those between rows are halo, computed and left alone.
  std::int64_t run_cells(std::int64_t tiles) const { return (tiles - 1) * pitch + w.cells(); }
  /// Slots that rows of kind j < scheme.outputs of the tiles have: row i = j + q*outputs of a tile is kind j of the tile
  /// q*step further on.
  std::int64_t slots_of(std::int64_t j, std::int64_t tiles) const {
    return tiles + (h.scheme.points() - 1 - j) / h.scheme.outputs * h.step;
  }

  /// Parts of a thread's scratch, in floats, each with room for the vectors that go on behind its last row.
  std::int64_t panel_size() const { return panel_d * plane + lanes; }
  std::int64_t lines_size() const { return d.scheme.points() * plane + lanes; }
  std::int64_t points_size() const { return points() * point_size; }
  std::int64_t products_size() const { return d.scheme.points() * most_rows() * row; }
  std::int64_t sums_size() const { return d.scheme.outputs * h.scheme.points() * most_rows() * row; }
  std::int64_t staging_size() const { return h.cells.stride * h.scheme.outputs * row; }
  std::int64_t scratch_floats() const {
    return panel_size() + lines_size() + points_size() + products_size() + sums_size() + staging_size();
  }
};

/// The fastest tiling by estimate, or none: then `reason` says why. The schemes decide how results are rounded, so they are
/// chosen for one volume, one thread and ordinary caches; the block, which changes no bit, for the query as it is.
std::optional<WinogradRowsTiling> winograd_rows_tiling(const Query& query, std::string& reason);

/// Estimated seconds of one run.
double winograd_rows_seconds(const WinogradRowsTiling& tiling, const Query& query);

}  // namespace convt3d
