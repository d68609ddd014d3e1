#pragma once

#include <cstdint>
#include <vector>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/summed_runs.hpp"
#include "convt3d/conv/winograd_transforms.hpp"

namespace convt3d {

/// Tiles of a block that are multiplied at once at a point, each the sum of the same taps.
struct WinogradRun {
  std::int64_t first, tiles;
  std::int64_t first_tap, taps;
};

/// What is summed at a point: with d summed, of each tile the residue's taps on d that reach a plane of the volume, else one
/// for all tiles. Allocates nothing once it was asked for as many.
class WinogradRuns {
 public:
  /// For residue rd and products of nr vectors of columns.
  void list(const WinogradTiling& tiling, const WinogradBlock& block, std::int64_t rd, std::int64_t nr);

  const std::vector<WinogradRun>& all() const { return runs_; }
  /// In elements from the point's first plane and from its weights on.
  const kernels::ProductTap* taps_of(const WinogradRun& run) const { return taps_.data() + run.first_tap; }

 private:
  SummedRuns cells_;
  std::vector<WinogradRun> runs_;
  std::vector<kernels::ProductTap> taps_;
};

}  // namespace convt3d
