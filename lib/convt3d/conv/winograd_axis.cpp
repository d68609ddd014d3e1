#include "convt3d/conv/winograd_axis.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/phases.hpp"

namespace convt3d {

using kernels::WinogradScheme;

std::int64_t WinogradAxis::cells_covered(std::int64_t tile, std::int64_t count) const {
  const std::int64_t last = first_cell(tile + count - 1);  // which rises with the tile
  return last + (scheme.outputs - 1) * step + 1 - first_of_run(tile);
}

void WinogradAxis::cut_to(const Planes& wanted, std::int64_t& first, std::int64_t& count) const {
  const auto first_tile_of = [&](std::int64_t output) { return (cells.cell_of(output) - cells.begin) / run_cells() * step; };
  const std::int64_t end = std::min(first + count, first_tile_of(wanted.end - 1) + step);
  first = std::max(first, first_tile_of(wanted.begin));
  count = end - first;
}

WinogradAxis summed(const WinogradAxis& axis) {
  WinogradAxis result;
  result.cells = axis.cells;
  result.single.assign(static_cast<std::size_t>(axis.cells.stride), false);
  result.has_transformed = true;
  result.summed = true;
  result.tiles = axis.cells.cells();
  for (std::int64_t residue = 0; residue < axis.cells.stride; ++residue) {
    std::vector<std::int64_t>& shifts = result.shifts.emplace_back();
    for (std::int64_t shift = 0; shift < axis.cells.shifts(); ++shift) {
      if (axis.cells.kernel_index(residue, axis.cells.lowest + shift) >= 0) shifts.push_back(shift);
    }
  }
  return result;
}

std::string examine(WinogradAxis& axis, int& taps) {
  const CellAxis& cells = axis.cells;
  axis.step = cells.dilation / std::gcd(cells.dilation, cells.stride);
  axis.single.assign(static_cast<std::size_t>(cells.stride), false);
  // All taps must lie at lowest + k*step, and the longest residue must have all of these places.
  const auto places = static_cast<int>((cells.highest - cells.lowest) / axis.step + 1);
  constexpr const char* kUneven = "residues whose taps do not line up";
  taps = 0;
  std::int64_t single_tap = -1;
  for (std::int64_t r = 0; r < cells.stride; ++r) {
    int count = 0;
    std::int64_t place = 0;
    for (std::int64_t e = cells.lowest; e <= cells.highest; ++e) {
      if (cells.kernel_index(r, e) < 0) continue;
      if ((e - cells.lowest) % axis.step != 0) return kUneven;
      place = (e - cells.lowest) / axis.step;
      ++count;
    }
    taps = std::max(taps, count);
    if (count != 1 || places == 1) continue;
    if (single_tap >= 0 && single_tap != place) return kUneven;
    single_tap = place;
    axis.single[static_cast<std::size_t>(r)] = true;
  }
  axis.single_tap = std::max<std::int64_t>(0, single_tap);
  axis.has_single = std::find(axis.single.begin(), axis.single.end(), true) != axis.single.end();
  axis.has_transformed = std::find(axis.single.begin(), axis.single.end(), false) != axis.single.end();
  return places == taps ? "" : kUneven;
}

std::string to_string(const WinogradScheme& scheme) {
  return (scheme.fourier != 0 ? "DFT" + std::to_string(scheme.fourier) + "(" : "F(") + std::to_string(scheme.outputs) +
         ", " + std::to_string(scheme.taps) + ")";
}

void set_scheme(WinogradAxis& axis, const WinogradScheme& scheme) {
  axis.scheme = scheme;
  axis.tiles = ceil_div(axis.cells.cells(), axis.run_cells()) * axis.step;
}

std::vector<WinogradScheme> schemes_for(int taps) {
  std::vector<WinogradScheme> schemes;
  for (const WinogradScheme& scheme : kernels::kWinogradSchemes) {
    if (scheme.taps == taps) schemes.push_back(scheme);
  }
  return schemes;
}

namespace {

/// Cells of an axis that one tile would have, were there one for all, or one for each cell of a step.
std::int64_t cells_in_one(const WinogradAxis& axis) { return ceil_div(axis.cells.cells(), axis.step); }

/// Whether one tile of a Fourier transform of `size` elements may make all outputs: those that read past its last input go
/// around to its first ones, so there must be zeros at both ends. Of a step's tiles the last one has the fewest before its
/// inputs, the first one the most behind its last.
bool may_wrap(const WinogradAxis& axis, int taps, int size) {
  const CellAxis& cells = axis.cells;
  const std::int64_t first = cells.begin + cells.lowest;  // input of the first output's last tap
  const std::int64_t outputs = cells_in_one(axis), around = outputs + taps - 1 - size;
  return taps <= size && outputs <= size && around <= floor_div(-first, axis.step) &&
         first + size * axis.step >= cells.input;
}

}  // namespace

void append_fourier_schemes(const WinogradAxis& axis, int taps, bool triples, std::vector<WinogradScheme>& schemes) {
  for (const int size : kernels::kFourierSizes) {
    const int outputs = size - taps + 1, fewest = kernels::fewest_fourier_outputs(size);
    if (outputs >= fewest) schemes.push_back({.outputs = outputs, .taps = taps, .fourier = size, .triples = triples});
    const std::int64_t all = cells_in_one(axis);
    if (all > outputs && all >= fewest && may_wrap(axis, taps, size))
      schemes.push_back({.outputs = static_cast<int>(all), .taps = taps, .fourier = size, .triples = triples});
  }
}

double error_growth(const WinogradScheme& scheme) {
  if (scheme.fourier == 16) return scheme.triples ? 1.45 : 1.25;
  if (scheme.fourier != 0) return scheme.triples ? 1.35 : 1.2;
  constexpr std::array kGrowth = {1.0, 1.7, 1.3, 2.25, 1.3, 2.05, 2.35, 2.25, 2.35, 2.45};
  static_assert(kGrowth.size() == std::size(kernels::kWinogradSchemes));
  const auto* const at = std::find(std::begin(kernels::kWinogradSchemes), std::end(kernels::kWinogradSchemes), scheme);
  return kGrowth[static_cast<std::size_t>(at - kernels::kWinogradSchemes)];
}

float winograd_most_input(std::span<const WinogradScheme> schemes, std::int64_t terms, const float* weight,
                          std::int64_t weights) {
  // V = Bᵀx, M = Σ V·U over the channels, U = G w, and Aᵀ M, each at its largest: on an axis by the greatest row of its
  // matrix.
  kernels::WinogradNorms all;
  for (const WinogradScheme& scheme : schemes) {
    const kernels::WinogradNorms norms = kernels::winograd_norms(scheme);
    all.input *= norms.input;
    all.weights *= norms.weights;
    all.output *= norms.output;
  }
  double largest = 0;
  for (std::int64_t i = 0; i < weights; ++i) {
    if (!std::isfinite(weight[i])) return -1;
    largest = std::max(largest, std::abs(static_cast<double>(weight[i])));
  }
  const double sums = static_cast<double>(terms) * largest * all.weights * all.output;
  return static_cast<float>(static_cast<double>(std::numeric_limits<float>::max()) / (all.input * std::max(1.0, sums)));
}

double expected_error(const Problem& problem, std::int64_t terms, std::int64_t part) {
  constexpr double kUnitRoundoff = 0x1p-24;
  const std::int64_t parts = ceil_div(terms, part);
  const auto steps = static_cast<double>(std::min(terms, part) + 7 * (parts - 1));
  // Taps outside the volume make results smaller, but not the transforms' rounding.
  const double share = inside_share(problem, 0) * inside_share(problem, 1) * inside_share(problem, 2);
  return kUnitRoundoff * std::sqrt((1 + 0.09 * steps) / share);
}

}  // namespace convt3d
