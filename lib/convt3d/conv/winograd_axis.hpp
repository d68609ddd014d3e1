#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/cells.hpp"
#include "convt3d/conv/kernels/kernels.hpp"

// One axis of Winograd's algorithm: what its tiles read and make, and what that costs in rounding. Derivation: winograd.cpp.
namespace convt3d {

/// One axis, cut into tiles of scheme.outputs cells and transformed. A residue of one tap where others have more is
/// "single": it is not transformed, its points are the tile's inputs at cell + lowest + single_tap*step. Or the axis is
/// "summed": nothing is transformed, a tile is one cell, and the products sum up the taps, which may be any.
struct WinogradAxis {
  CellAxis cells;
  kernels::WinogradScheme scheme;
  std::int64_t step = 1;     ///< cells from one output of a tile to the next, and from one tap to the next
  std::vector<bool> single;  ///< of each residue
  bool has_single = false, has_transformed = false;
  std::int64_t single_tap = 0;
  bool summed = false;
  /// With `summed`: where each residue's taps read, in cells from lowest on, ascending.
  std::vector<std::vector<std::int64_t>> shifts;
  std::int64_t margin = 0;  ///< planes beyond the volume that taps may read
  std::int64_t tiles = 1;

  bool is_single(std::int64_t residue) const { return single[static_cast<std::size_t>(residue)]; }
  bool has(bool is_single) const { return is_single ? has_single : has_transformed; }
  std::int64_t points(bool is_single) const { return is_single ? scheme.outputs : scheme.points(); }
  /// Products at a point of the other axes: for each point of this one, or each tap.
  std::int64_t products(std::int64_t residue) const {
    return summed ? std::ssize(shifts[static_cast<std::size_t>(residue)]) : points(is_single(residue));
  }
  /// Cells that a run of `step` interleaving tiles makes.
  std::int64_t run_cells() const { return step * scheme.outputs; }
  /// First cell of a tile, from the axis's first. Runs of `step` tiles interleave.
  std::int64_t first_cell(std::int64_t tile) const { return tile / step * step * scheme.outputs + tile % step; }
  /// First cell of the run that a tile belongs to, from the axis's first.
  std::int64_t first_of_run(std::int64_t tile) const { return tile / step * step * scheme.outputs; }
  /// Cells from one tile to the next of a group: of neighbouring tiles, or with a step of those of one run.
  std::int64_t spacing() const { return step == 1 ? scheme.outputs : 1; }
  /// Inputs that the points of such a group are made from.
  std::int64_t columns(std::int64_t count) const { return (count - 1) * spacing() + (scheme.inputs() - 1) * step + 1; }
  /// Cells that `count` tiles from `tile` on cover, from the first of its run.
  std::int64_t cells_covered(std::int64_t tile, std::int64_t count) const;
  /// Kernel index of a residue's tap at lowest + tap*step, or -1.
  std::int64_t kernel_index(std::int64_t residue, std::int64_t tap) const {
    return cells.kernel_index(residue, cells.lowest + tap * step);
  }
  /// With `summed`: planes that `count` cells from `cell` on read, up to `margin` beyond the volume; end may be before
  /// begin.
  Planes planes_read(std::int64_t cell, std::int64_t count) const {
    return {std::max(-margin, cell + cells.lowest), std::min(cells.input + margin, cell + count + cells.highest)};
  }
  /// Leaves the runs of `count` tiles from `first` on that have an output that is wanted; count is at most 0 where none has.
  void cut_to(const Planes& wanted, std::int64_t& first, std::int64_t& count) const;
};

/// The axis with its taps summed.
WinogradAxis summed(const WinogradAxis& axis);

/// Finds the tap step, the single residues and the number of taps of the longest residue of axis.cells; returns why the axis
/// cannot be transformed, or "".
std::string examine(WinogradAxis& axis, int& taps);

/// "F(outputs, taps)" or "DFT(outputs, taps)"
std::string to_string(const kernels::WinogradScheme& scheme);

/// Sets the scheme, and the tiles that it takes.
void set_scheme(WinogradAxis& axis, const kernels::WinogradScheme& scheme);

/// Schemes worth trying for residues of up to `taps` taps.
std::vector<kernels::WinogradScheme> schemes_for(int taps);

/// Appends the Fourier transforms that there are for an axis whose longest residues have so many taps, and those that make
/// all its outputs by going around.
void append_fourier_schemes(const WinogradAxis& axis, int taps, bool triples, std::vector<kernels::WinogradScheme>& schemes);

/// Growth of the rounding error on one axis, as measured (docs/math.md).
double error_growth(const kernels::WinogradScheme& scheme);

/// Expected ||error|| / ||result||, but for the axes' growth, on data without a common sign, whose results are smallest
/// against what is summed: a random walk over `terms` that are added in parts of at most `part`, and over the parts.
double expected_error(const Problem& problem, std::int64_t terms, std::int64_t part);

/// What that, times the axes' growth, may be at most: an eighth below the bound of the tests, 2e-6. The estimate errs by as
/// much.
inline constexpr double kMostError = 1.75e-6;

/// What schemes are chosen for, so that neither threads nor volumes nor caches change a bit: a query's problem of one
/// volume, on an ordinary machine with its instruction set.
struct OneVolume {
  Problem problem;
  Machine machine;

  explicit OneVolume(const Query& query) : problem(query.problem) {
    problem.n = 1;
    machine.isa = query.machine.isa;
  }
  Query query() const { return {.problem = problem, .machine = machine, .threads = 1, .separable = false}; }
};

/// Inputs up to this magnitude overflow in no transform of these schemes and no sum of `terms` products, whatever the others
/// are; negative where a weight is not finite.
float winograd_most_input(std::span<const kernels::WinogradScheme> schemes, std::int64_t terms, const float* weight,
                          std::int64_t weights);

}  // namespace convt3d
