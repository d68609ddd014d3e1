#include "convt3d/conv/winograd_runs.hpp"

namespace convt3d {

void WinogradRuns::list(const WinogradTiling& tiling, const WinogradBlock& block, std::int64_t rd, std::int64_t nr) {
  const WinogradAxis& d = tiling.axes[0];
  const std::int64_t tiles_h_w = block.tiles.h * block.tiles.w, plane = tiles_h_w * tiling.ld();
  runs_.clear();
  taps_.clear();
  if (!d.summed) {
    runs_.push_back({.first = 0, .tiles = block.tile_count(), .first_tap = 0, .taps = 1});
    taps_.push_back({});
    return;
  }
  const std::vector<std::int64_t>& shifts = d.shifts[static_cast<std::size_t>(rd)];
  const std::int64_t first_cell = block.first_cell.d, end_cell = first_cell + block.tiles.d;
  for (const SummedRun& run : cells_.cut(d, rd, first_cell, end_cell, tiles_h_w * nr, tiling.ci)) {
    runs_.push_back({.first = (run.begin - first_cell) * tiles_h_w,
                     .tiles = run.cells() * tiles_h_w,
                     .first_tap = std::ssize(taps_),
                     .taps = run.taps()});
    for (std::int64_t tap = run.first_tap; tap < run.end_tap; ++tap) {
      const std::int64_t id = run.begin + d.cells.lowest + shifts[static_cast<std::size_t>(tap)];
      taps_.push_back({(id - block.panel.begin) * plane, tap * tiling.ci * nr * tiling.lanes});
    }
  }
}

}  // namespace convt3d
