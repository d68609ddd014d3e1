#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"

// How gemm cuts a 1x1x1 layer into pieces and columns. What for: gemm.cpp.
namespace convt3d {

/// Output channels [first, first + count) of a group: the columns of one kernel call.
struct GemmSet {
  std::int64_t first = 0, count = 1;

  std::int64_t end() const { return first + count; }
};

struct GemmTiling {
  std::int64_t ci = 1, co = 1;  ///< per group
  std::int64_t lanes = 1;
  std::vector<GemmSet> sets;           ///< of a group
  std::int64_t strip = 1;              ///< cells of a kernel call, whole vectors
  std::int64_t piece = 1;              ///< cells of a task, whole strips
  std::int64_t blocks = 1;             ///< tasks that share a piece, each with its own sets
  std::int64_t sets_of_block = 1;      ///< at most
  std::int64_t channels_of_block = 1;  ///< at most

  std::int64_t chunks = 1;  ///< parts of the input's channels

  /// Channels of the input from which chunk i begins: each is added up from zero and then added to the sum of those before
  /// it, since the rounding error of a sum grows with the root of its terms.
  std::int64_t chunk_begin(std::int64_t i) const { return ci * i / chunks; }
  std::int64_t packed_size() const { return ceil_div(ci, chunks) * strip; }
  std::int64_t tail_size() const { return channels_of_block * strip; }
};

/// For elements T.
template <typename T>
GemmTiling gemm_tiling(const Query& query);

/// Estimated seconds of one run.
template <typename T>
double gemm_seconds(const GemmTiling& tiling, const Query& query);

/// Why the problem is not of 1x1x1 kernels that leave every voxel where it is; "" if it is.
std::string not_voxel_by_voxel(const Problem& problem);

}  // namespace convt3d
