#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/phases.hpp"
#include "convt3d/conv/row_sets.hpp"

// How direct_rows cuts a problem into pieces and columns. What for: direct_rows.cpp.
namespace convt3d {

struct DirectRowsTiling {
  std::vector<AxisPhase> phases_d;
  AxisPhase h;                        ///< the only one
  std::vector<AlikePositions> alike;  ///< its positions, the rows of a plane
  std::int64_t ci = 1, co = 1;        ///< per group
  std::int64_t lanes = 1;
  std::vector<RowSet> sets;            ///< of a group's output channels
  std::int64_t strip = 1;              ///< voxels of a kernel call, whole vectors
  std::int64_t strips_at_once = 1;     ///< that one set is multiplied with before the next
  std::int64_t taps_at_once = 1;       ///< whose channels are added up one after the other
  std::int64_t chunks = 1;             ///< parts of the input's channels, where one tap has too many
  std::int64_t blocks = 1;             ///< tasks that share a piece, each with its own sets
  std::int64_t sets_of_block = 1;      ///< at most
  std::int64_t piece = 1, pieces = 1;  ///< voxels of an output plane that are a task's, and tasks of a plane
  std::int64_t planes = 1;             ///< of a task, one after the other

  std::int64_t chunk_begin(std::int64_t i) const { return ci * i / chunks; }
};

/// For elements T.
template <typename T>
DirectRowsTiling direct_rows_tiling(const Query& query);

/// Estimated seconds of one run.
template <typename T>
double direct_rows_seconds(const DirectRowsTiling& tiling, const Query& query);

/// Why the rows cannot be read where they lie; "" if they can.
std::string not_in_rows(const Query& query);

}  // namespace convt3d
