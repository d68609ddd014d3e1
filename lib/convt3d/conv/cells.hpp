#pragma once

#include <cstdint>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/plane_reach.hpp"
#include "convt3d/conv/problem.hpp"

namespace convt3d {

/// One axis seen from its cells. Cell c is the neighbourhood in the input that the outputs o = c*stride + r - padding of all
/// residues 0 <= r < stride are made from: residue r reads input c + e through kernel index t where t*dilation = r -
/// e*stride (docs/math.md). Unlike a phase's positions, cells are numbered alike for all residues.
struct CellAxis {
  std::int64_t stride = 1, padding = 0, dilation = 1, kernel = 1, input = 1, output = 1;
  std::int64_t begin = 0, end = 0;       ///< cells that have an output
  std::int64_t lowest = 0, highest = 0;  ///< least and greatest e of any residue

  std::int64_t cells() const { return end - begin; }
  std::int64_t shifts() const { return highest - lowest + 1; }
  std::int64_t output_of(std::int64_t cell, std::int64_t residue) const { return cell * stride + residue - padding; }
  std::int64_t cell_of(std::int64_t plane) const { return floor_div(plane + padding, stride); }
  /// The kernel index through which `residue` reads cell + e, or -1.
  std::int64_t kernel_index(std::int64_t residue, std::int64_t e) const {
    const std::int64_t reach = residue - e * stride;
    return reach >= 0 && reach % dilation == 0 && reach / dilation < kernel ? reach / dilation : -1;
  }
  /// Whether any residue of [first, first + count) reads cell + e.
  bool reads(std::int64_t first, std::int64_t count, std::int64_t e) const {
    for (std::int64_t r = first; r < first + count; ++r) {
      if (kernel_index(r, e) >= 0) return true;
    }
    return false;
  }
};

/// Axis 0 is d, 1 is h, 2 is w.
CellAxis make_cell_axis(const Problem& problem, int axis);

/// An axis's residues that have taps, in ascending order, and each residue's place among them, or -1: its outputs are the
/// bias.
struct TappedResidues {
  std::vector<std::int64_t> residues;
  std::vector<std::int64_t> places;

  std::int64_t count() const { return static_cast<std::int64_t>(residues.size()); }
  std::int64_t residue(std::int64_t place) const { return residues[static_cast<std::size_t>(place)]; }
  std::int64_t place(std::int64_t residue) const { return places[static_cast<std::size_t>(residue)]; }
  bool all() const { return residues.size() == places.size(); }
};

TappedResidues tapped_residues(const CellAxis& axis);

/// The reach of planes where the cells of axis d are computed in runs of `run`, counted from the first.
PlaneReach reach_of(const CellAxis& d, std::int64_t run);

}  // namespace convt3d
