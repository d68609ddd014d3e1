#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/cells.hpp"

// How the few-channel algorithm cuts a problem into blocks and columns. What for: few_channel.cpp.
namespace convt3d {

/// Rows below this many cells run on into one another, since a last vector that is part empty costs much of them.
inline constexpr std::int64_t kShortRow = 128;

/// Columns of one kernel call: channels [co, co + co_count) of the group, residues [rh, rh + rh_count) and all or one of rw.
struct ColumnSet {
  std::int64_t co = 0, co_count = 1;
  std::int64_t rh = 0, rh_count = 1;
  std::int64_t rw = 0, rw_count = 1;

  int columns() const { return static_cast<int>(co_count * rh_count * rw_count); }
};

struct FewChannelTiling {
  std::array<CellAxis, 3> axes;
  double inside_d = 1;          ///< share of taps along d that lie inside the volume; the others are left out
  std::int64_t ci = 1, co = 1;  ///< per group
  std::int64_t lanes = 1;
  std::vector<ColumnSet> sets;
  std::int64_t block_d = 1, block_h = 1;  ///< cell rows of a task
  std::int64_t blocks_d = 1, blocks_h = 1;
  std::int64_t panel_d = 1, panel_h = 1;  ///< input rows of a task, halo included
  std::int64_t pitch = 1;                 ///< elements of a panel row
  std::int64_t run_h = 1;                 ///< cell rows of a kernel call: short rows run on into the next ones
  std::int64_t row_size = 1;              ///< elements of an output row buffer
  std::int64_t stored_h = 1;              ///< residues of h whose rows are stored together, one after the other
  std::int64_t row_buffers = 1;           ///< of the channels of a set, for these residues
  std::int64_t set_splits = 1;            ///< tasks that share a block of cells, each with its own output rows

  /// Sets that follow one another and make the output rows that are stored together, which only one task may do.
  std::int64_t sets_per_store() const { return stored_h / sets.front().rh_count * (axes[2].stride / sets.front().rw_count); }
  std::int64_t stores() const { return static_cast<std::int64_t>(sets.size()) / sets_per_store(); }
  /// With room for the last row's vectors to read on.
  std::int64_t panel_size() const { return ci * panel_d * panel_h * pitch + lanes + axes[2].shifts(); }
  /// Cells of a kernel call of `rows` cell rows; those between rows are halo, computed and left alone.
  std::int64_t run_cells(std::int64_t rows) const { return (rows - 1) * pitch + axes[2].cells(); }
};

/// Whether a zero weight stands for a tap that some column of a set lacks. Along h a set runs over the e that any of its
/// residues reads, along w over all.
bool has_zeros(const FewChannelTiling& tiling);

/// Whether so many channels that lie so many elements apart compete for one set of a cache, so that they are better packed.
bool channels_compete(std::int64_t channels, std::int64_t channel_stride);

/// The cheapest sets of columns, and a block whose panel keeps to half of L2, for elements T.
template <typename T>
FewChannelTiling few_channel_tiling(const Query& query);

/// Whether there is a kernel for so many columns.
bool has_kernel(std::int64_t columns);

/// Time in cycles of one vector of cells of so many columns, in a run of so many vectors, from so many `reads` of input
/// vectors; `wide` where there are 32 registers.
double column_cycles(int columns, double reads, double run, bool wide);

/// Estimated seconds of one run.
template <typename T>
double few_channel_seconds(const FewChannelTiling& tiling, const Query& query);

}  // namespace convt3d
