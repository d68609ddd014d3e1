#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/phases.hpp"

// How the direct algorithm cuts a problem into blocks. What for: direct.cpp.
namespace convt3d {

/// The phases of one axis and what a block of them reads.
struct DirectAxis {
  std::vector<AxisPhase> phases;
  std::int64_t positions = 0;  ///< the largest count of a phase
  std::int64_t lowest = 0;     ///< least and greatest tap offset of all phases
  std::int64_t highest = 0;
  std::int64_t stride = 1;    ///< inputs from one position to the next
  std::int64_t tap_step = 1;  ///< inputs from a tap of a phase to the one before
  double inside = 1;          ///< share of its taps that lie inside the volume

  std::int64_t halo() const { return highest - lowest; }
  /// Inputs that so many positions span, halo included.
  std::int64_t span(std::int64_t count) const { return (count - 1) * stride + 1 + halo(); }
  /// Whether any position reads input lowest + i: not so where the stride passes over more than the taps cover.
  bool reads(std::int64_t i) const;
};

/// Axis 0 is d, 1 is h, 2 is w.
DirectAxis direct_axis(const Problem& problem, int axis);

/// What planes of the output are made from where each is computed from its taps alone.
PlaneReach phase_reach(const Problem& problem);

/// Estimated cycles of a row's products by `crop`, over all output channels and phases along w.
struct RowCycles {
  double term = 0;   ///< for each term of the sums over d, h and the input channels
  double calls = 0;  ///< and beyond, for each phase along d and h that has taps
};

struct DirectTiling {
  std::array<DirectAxis, 3> axes;
  std::vector<std::vector<AlikePositions>> alike_h;  ///< of each phase along h: rows that are one product
  std::int64_t most_alike = 1;                       ///< rows of one of them
  std::int64_t lanes = 1;
  std::int64_t ci = 1;      ///< per group
  std::int64_t co = 1;      ///< per group
  Extent3 block;            ///< positions of a task
  Extent3 blocks;           ///< how many
  Extent3 panel;            ///< rows, rows, columns of the packed input
  bool joins_w = false;     ///< the taps of a phase along w are one run of the product's terms
  bool crop = false;        ///< a product for each tap along w, of the positions whose input lies inside
  RowCycles row;            ///< of a block, with `crop`
  std::int64_t ld = 1;      ///< elements from one panel column to the next: ci or more; with `crop` [slot][ci]
  std::int64_t nr = 1;      ///< vectors of output channels in a chunk
  std::int64_t chunks = 1;  ///< chunks of output channels
  std::int64_t splits = 1;  ///< tasks that share a block, each with its own chunks
  std::int64_t panel_size = 0;
  std::int64_t staging_size = 0;  ///< in elements

  /// Where row i of a plane of the panel stands with `crop`: those that the taps of a phase read are side by side.
  std::int64_t slot(std::int64_t i) const {
    const std::int64_t step = axes[1].tap_step;
    return i % step * ceil_div(panel.h, step) + i / step;
  }

  /// The staging rows are [vector][position of d][row][ow][lane], of a block and one phase along d. Elements of a row:
  std::int64_t staging_row() const { return block.w * axes[2].phases.back().out_step * lanes; }
  std::int64_t staging_rows() const { return block.h * axes[1].phases.back().out_step; }  ///< of a plane
  std::int64_t staging_vector() const { return block.d * staging_rows() * staging_row(); }
  /// With `crop`, whether products sum even and odd terms apart: not where a tiling decides how many vectors they are of.
  bool apart() const { return co <= lanes; }
  std::int64_t chunk_vectors(std::int64_t chunk) const { return std::min(nr, ceil_div(co, lanes) - chunk * nr); }
};

/// A task: positions [begin, end) of one volume and group, for some of its output channels.
struct DirectBlock {
  std::int64_t n = 0, group = 0, first_chunk = 0, last_chunk = 0;
  Extent3 begin, end;
};

/// The block of the least estimate for elements T; output channels are split among tasks where blocks alone are too few.
template <typename T>
DirectTiling direct_tiling(const Query& query);

/// Estimated seconds of one run.
template <typename T>
double direct_seconds(const DirectTiling& tiling, const Query& query);

}  // namespace convt3d
