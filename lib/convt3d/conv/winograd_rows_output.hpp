#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/packed_epilogue.hpp"
#include "convt3d/conv/winograd_rows_tiling.hpp"
#include "convt3d/conv/winograd_rows_weights.hpp"

// The last step of winograd_rows.cpp: rows of outputs to their places in the volume.
namespace convt3d {

/// A block of tiles of one volume and group, cut to what is wanted.
struct WinogradRowsBlock {
  std::int64_t n, group;
  std::int64_t first_d, first_h;  ///< tiles
  std::int64_t tiles_d, tiles_h;
  std::int64_t first_w, cells_w;  ///< cells
  std::size_t first_set, last_set;

  std::int64_t tiles() const { return tiles_d * tiles_h; }
};

/// Aᵀ on d, then each row with its epilogue to its place, in the output's order, with the bias between for residues that
/// have no taps.
class WinogradRowsOutput {
 public:
  /// Tiling and weights are the owner's, and outlive this.
  WinogradRowsOutput(const Plan& plan, const WinogradRowsTiling& tiling, const WinogradRowsWeights& weights,
                     const Epilogue& epilogue);

  struct Scratch {
    kernels::RowPlaces* places;  ///< tiling.most_places()
    float* staging;              ///< [output d][rh][output h][x, rw]
    float* row;                  ///< with the residues of w that have no taps
    float* bias_row;             ///< of bias alone
  };

  /// The rows of one set from `outputs`, [point d][row][output h][x, rw]. With a channel's first row go the planes of those
  /// rd that have no taps.
  void store(const RunArgs& args, const WinogradRowsBlock& block, const WinogradRowsSet& set, const float* outputs,
             const Scratch& scratch) const;

 private:
  /// Some of a channel's rows that share rd, counted among the rh that have taps; with the first of them go those rh that
  /// have none.
  struct PlaneRows {
    std::int64_t co, first, end;

    bool has(std::int64_t place) const { return place < 0 ? first == 0 : place >= first && place < end; }
  };

  /// Output columns of a block that lie in the volume.
  struct Columns {
    std::int64_t skipped;  ///< of those with taps, before them
    std::int64_t residue;  ///< of the first
    std::int64_t first, count;
  };

  using Places = std::span<const kernels::RowPlaces>;

  Columns columns_of(const Box3& box, const WinogradRowsBlock& block) const;
  /// Where a plane's rows lie in staging [rh][output h][tile h, x, rw], and go to in a plane of the output, in its order:
  /// past the caches only rows that follow one another are stored as whole lines.
  Places place_rows(const Box3& box, const WinogradRowsBlock& block, const PlaneRows& rows,
                    kernels::RowPlaces* places) const;
  /// Staging [output d][rh][output h][tile d, tile h, x, rw], or null for the bias alone, to the planes of residue rd.
  void store_planes(const RunArgs& args, const WinogradRowsBlock& block, std::int64_t co, std::int64_t rd, Places places,
                    float* staging, const Scratch& scratch) const;
  /// The rows of one plane from staging, or null, to their places.
  void store_rows(const RunArgs& args, const WinogradRowsBlock& block, std::int64_t co, Places places, float* staging,
                  float* plane, kernels::RowStream<float>& stream, const Scratch& scratch) const;

  Problem problem_;
  const WinogradRowsTiling& tiling_;
  const WinogradRowsWeights& weights_;
  PackedEpilogue<float> epilogue_;
  kernels::LinesFn output_d_;
  kernels::CopyRowsFn<float> copy_rows_;
  kernels::CopyRowFn<float> copy_row_;
  kernels::StreamRowFn<float> stream_row_;
  kernels::SpreadRowFn spread_row_;
  std::vector<std::int32_t> spread_lanes_, spread_taken_;  ///< SpreadRowArgs
};

}  // namespace convt3d
