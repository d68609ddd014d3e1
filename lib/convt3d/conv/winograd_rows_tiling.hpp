#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/winograd_axis.hpp"

// How Winograd's algorithm along rows cuts a problem: d and h into tiles, tiles into blocks, outputs into columns.
// Derivation: winograd_rows.cpp.
namespace convt3d {

/// Columns of one kernel call: all residues of w of the output rows [first, first + count). Rows are (co, rd, rh), rh
/// running fastest, and residues those that have taps.
struct WinogradRowsSet {
  std::int64_t first = 0;
  std::int64_t count = 1;
};

/// Points of an axis that are multiplied together: one, or the real and the imaginary part at a frequency.
struct PointGroup {
  std::int64_t first = 0;
  std::int64_t count = 1;
};

/// Real products of a group of d and one of h: of one number each; of a number and a complex one, which is complex; or of
/// two complex ones, which are two frequencies, (k, l) and (k, -l).
constexpr std::int64_t products_of(const PointGroup& d, const PointGroup& h) {
  return d.count * h.count == 1 ? 1 : d.count * h.count == 2 ? 4 : 8;
}

struct WinogradRowsTiling {
  WinogradAxis d, h;
  CellAxis w;
  TappedResidues residues_d, residues_h, residues_w;
  std::vector<PointGroup> groups_d, groups_h;
  std::int64_t lanes = 1;
  std::int64_t ci = 1, co = 1;  ///< per group
  std::vector<WinogradRowsSet> sets;
  std::int64_t block_d = 1, block_h = 1;  ///< tiles of a task
  std::int64_t block_w = 1;               ///< cells of it
  std::int64_t blocks_d = 1, blocks_h = 1, blocks_w = 1;
  bool by_sets = false;  ///< the points of all of d are made before the products, and each set is finished before the next
  std::int64_t splits = 1;  ///< tasks that share a block, each with its own sets
  std::int64_t pitch = 1;   ///< elements of a row, halo included; short rows run on into one another
  std::int64_t panel_d = 1;
  std::int64_t slots = 1;         ///< tiles along h that a panel's rows belong to: those of a block and what they reach into
  std::int64_t plane = 1;         ///< elements of a panel's plane
  std::int64_t lines_size = 1;    ///< elements of all channels' planes at a point of d
  std::int64_t ld = 1;            ///< elements from one channel's run of points to the next one's
  std::int64_t point_size = 1;    ///< elements of all channels' runs
  std::int64_t row = 1;           ///< elements of a run of outputs of one residue of d and h
  std::int64_t outputs_size = 1;  ///< elements of all rows of outputs at a point of d

  /// Output rows of a cell row, over all channels of a group.
  std::int64_t rows() const { return co * residues_d.count() * residues_h.count(); }
  std::int64_t most_rows() const { return sets.front().count; }
  int columns(const WinogradRowsSet& set) const { return static_cast<int>(set.count * residues_w.count()); }
  /// Weights of a set in one product.
  std::int64_t weights_of_point(const WinogradRowsSet& set) const {
    return ci * w.shifts() * set.count * residues_w.count();
  }
  /// Real products at all points of h and of a group of d, or of all of d.
  std::int64_t products(const PointGroup& group_d) const;
  std::int64_t products() const;
  /// Points of d that are multiplied at once, and those that are there at once.
  std::int64_t most_grouped() const { return groups_d.back().count; }
  std::int64_t points_kept() const { return by_sets ? d.scheme.points() : most_grouped(); }
  /// Rows of a panel's plane, or of a plane of the output.
  std::int64_t most_places() const { return h.scheme.outputs * std::max(slots, block_h * h.cells.stride); }
  /// Cells of a kernel call for so many tiles; those between rows are halo, computed and left alone.
  std::int64_t run_cells(std::int64_t tiles) const { return (tiles - 1) * pitch + block_w; }
  /// Slots that rows of kind j < scheme.outputs of the tiles have: row i = j + q*outputs of a tile is kind j of the tile
  /// q*step further on.
  std::int64_t slots_of(std::int64_t j, std::int64_t tiles) const {
    return tiles + (h.scheme.points() - 1 - j) / h.scheme.outputs * h.step;
  }
  /// Elements of a plane from one kind to the next and from one slot to the next: kinds apart, so that tiles run on, but for
  /// one tile, whose rows then stand without gaps.
  std::int64_t kind_stride() const { return block_h == 1 ? pitch : slots * pitch; }
  std::int64_t slot_stride() const { return block_h == 1 ? h.scheme.outputs * pitch : pitch; }

  /// Parts of a thread's scratch, in floats, each with room for the vectors that go on behind its last row.
  std::int64_t panel_floats() const { return panel_d * plane + lanes; }
  std::int64_t lines_floats() const { return d.scheme.points() * lines_size + lanes; }
  std::int64_t points_floats() const { return points_kept() * h.scheme.points() * point_size; }
  std::int64_t products_floats() const { return most_grouped() * h.scheme.points() * most_rows() * row; }
  std::int64_t outputs_floats() const { return d.scheme.points() * outputs_size; }
  std::int64_t staging_floats() const { return d.scheme.outputs * residues_h.count() * h.scheme.outputs * row; }
  std::int64_t output_row_floats() const { return block_w * w.stride; }
  std::int64_t scratch_floats() const {
    return panel_floats() + lines_floats() + points_floats() + products_floats() + outputs_floats() + staging_floats() +
           2 * round_up(output_row_floats(), lanes);
  }
};

/// Transformed weights, in floats: over all groups, and the bias, a vector for each channel.
std::int64_t winograd_rows_weights_size(const Problem& problem, const WinogradRowsTiling& tiling);

/// The fastest tiling by estimate, or none: then `reason` says why. The schemes decide how results are rounded, so they are
/// chosen for one volume, one thread and ordinary caches; the block, which changes no bit, for the query as it is.
std::optional<WinogradRowsTiling> winograd_rows_tiling(const Query& query, std::string& reason);

/// Estimated seconds of one run.
double winograd_rows_seconds(const WinogradRowsTiling& tiling, const Query& query);

}  // namespace convt3d
