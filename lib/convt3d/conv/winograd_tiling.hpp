#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/winograd_axis.hpp"

// How Winograd's algorithm cuts a problem: axes into tiles, tiles into blocks, the work into units. Derivation:
// winograd.cpp.
namespace convt3d {

/// Which of an axis's two kinds of residues are meant, on d and h.
struct WinogradView {
  bool single_d = false;
  bool single_h = false;

  friend bool operator==(const WinogradView&, const WinogradView&) = default;
};

/// Vectors of columns of one product: residues rw of vectors of output channels, all single or none.
struct WinogradColumns {
  bool single = false;
  std::vector<std::pair<std::int64_t, std::int64_t>> entries;  ///< (vector in the chunk, rw)
};

struct WinogradTiling {
  std::array<WinogradAxis, 3> axes;
  std::int64_t lanes = 1;
  std::int64_t ci = 1, co = 1;  ///< per group
  std::int64_t ci_vectors = 1;
  std::int64_t taps_d = 1;         ///< that are summed up, at most
  std::int64_t chunk_vectors = 1;  ///< vectors of output channels that are stored together
  std::int64_t chunks = 1;
  std::int64_t part = 1;            ///< channels summed at a time: one of kWinogradParts
  std::vector<WinogradView> views;  ///< those that residues have
  Extent3 block;                    ///< tiles of a task
  Extent3 blocks;
  std::int64_t splits = 1;  ///< tasks that share a block, each with its own units
  bool shared = false;      ///< all blocks' points are made before any product
  Extent3 span;             ///< cells of a block
  Extent3 panel;            ///< inputs of a block
  std::int64_t group = 1;   ///< tiles along w that are transformed together
  std::int64_t panels = 1;  ///< vectors of input channels packed at once
  std::int64_t panel_size = 0, points_size = 0, products_size = 0, sums_size = 0, staging_size = 0,
               lines_size = 0;  ///< floats

  /// Floats from one tile's input channels to the next one's; off the powers of two that compete for one cache set.
  std::int64_t ld() const { return (ci_vectors + (ci_vectors % 4 == 0 ? 1 : 0)) * lanes; }
  /// Planes of points that so many tiles along d are made from, at most.
  std::int64_t planes(std::int64_t tiles_d) const {
    const CellAxis& d = axes[0].cells;
    return axes[0].summed ? std::min(tiles_d + d.shifts() - 1, d.input + 2 * axes[0].margin) : tiles_d;
  }
  /// Of the sums at a point: at most.
  std::int64_t terms() const { return ci * taps_d; }
  /// A unit is (chunk, rd, rh): what is computed and stored in one go.
  std::int64_t units() const { return chunks * axes[0].cells.stride * axes[1].cells.stride; }
  std::int64_t co_vectors() const { return ceil_div(co, lanes); }
  std::int64_t vectors_in(std::int64_t chunk) const { return std::min(chunk_vectors, co_vectors() - chunk * chunk_vectors); }
  /// Points along w: the scheme's, then the single residues'.
  std::int64_t points_w() const {
    return (axes[2].has(false) ? axes[2].points(false) : 0) + (axes[2].has(true) ? axes[2].points(true) : 0);
  }
  std::int64_t first_point_w(bool single) const { return single && axes[2].has(false) ? axes[2].points(false) : 0; }
  /// Whether no block's rows begin or end within a vector of the output: only whole ones go past the caches.
  bool rows_whole(const Problem& problem) const;
  /// Over all volumes and groups.
  std::int64_t block_count(const Problem& problem) const {
    return problem.n * problem.groups * blocks.d * blocks.h * blocks.w;
  }
  /// Of the points that all threads share.
  std::int64_t shared_floats(const Problem& problem) const { return shared ? block_count(problem) * points_size : 0; }
  /// Of a thread.
  std::int64_t scratch_floats() const {
    return panel_size + (shared ? 0 : points_size) + products_size + sums_size + staging_size + lines_size;
  }
};

inline constexpr std::int64_t kWinogradColumns = 2;  ///< vectors per product: 14 x 2 accumulators fill the registers best

/// Channels that may be summed at a time. Fewer round less, which allows larger tiles, and take longer: 12 % of the
/// products' time where there are two parts of 32.
inline constexpr std::int64_t kWinogradParts[] = {128, 32};

/// Columns of a chunk in the order in which they are multiplied and packed.
std::vector<WinogradColumns> winograd_columns(const WinogradTiling& tiling, std::int64_t chunk);

/// Transformed weights, in floats: (points, columns, ci) over all groups, and the bias.
std::int64_t winograd_weights_size(const Problem& problem, const WinogradTiling& tiling);

/// The fastest tiling by estimate, or none: then `reason` says why. The schemes decide how results are rounded, so they are
/// chosen for one volume, one thread and ordinary caches; the block, which changes no bit, for the query as it is.
std::optional<WinogradTiling> winograd_tiling(const Query& query, std::string& reason);

/// Estimated seconds of one run (winograd_seconds.cpp).
double winograd_seconds(const WinogradTiling& tiling, const Query& query);

/// What no block of these schemes takes less than: the multiplications of all tiles.
double winograd_least_seconds(const WinogradTiling& tiling, const Query& query);

}  // namespace convt3d
