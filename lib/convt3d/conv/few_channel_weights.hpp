#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "convt3d/base/buffer.hpp"
#include "convt3d/conv/few_channel_tiling.hpp"

namespace convt3d {

/// What one set sums for one residue along d: which input rows, with which weights [row][ci][e][column].
template <typename T>
struct FewChannelReduction {
  std::vector<std::int64_t> planes;  ///< those e of d that have a tap, ascending
  std::vector<std::int64_t> rows;    ///< offsets in the panel, as many for each of these
  const T* weights = nullptr;

  std::int64_t rows_of_plane() const { return planes.empty() ? 0 : static_cast<std::int64_t>(rows.size() / planes.size()); }
  /// Planes with e < `end`.
  std::int64_t planes_before(std::int64_t end) const {
    return std::lower_bound(planes.begin(), planes.end(), end) - planes.begin();
  }
};

/// Weights and bias as the few-channel algorithm's kernel reads them: a zero for every tap that a column lacks where another
/// one of its set has one.
template <typename T>
class FewChannelWeights {
 public:
  /// weight: (ci, co/groups, kd, kh, kw); bias: co values, or null for zero.
  FewChannelWeights(const Problem& problem, const FewChannelTiling& tiling, const T* weight, const T* bias);

  /// What is allocated: packed elements of T, and bytes of the lists of rows.
  static std::int64_t elements(const Problem& problem, const FewChannelTiling& tiling);
  static std::int64_t list_bytes(const Problem& problem, const FewChannelTiling& tiling);

  const FewChannelReduction<T>& reduction(std::int64_t group, std::size_t set, std::int64_t rd) const;

  /// The bias of each column of a set.
  const T* init(std::int64_t group, std::size_t set) const;

 private:
  using Reduction = FewChannelReduction<T>;

  /// Packs at `target` and moves it on.
  Reduction pack_reduction(const T* weight, std::int64_t group, const ColumnSet& set, std::int64_t rd, T*& target) const;

  FewChannelTiling tiling_;
  Buffer packed_;
  std::vector<const T*> init_;         ///< [group][set]
  std::vector<Reduction> reductions_;  ///< [group][set][rd]
};

}  // namespace convt3d
