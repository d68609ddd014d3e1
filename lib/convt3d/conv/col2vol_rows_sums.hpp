#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "convt3d/conv/col2vol_rows_tiling.hpp"
#include "convt3d/conv/kernels/add_rows.hpp"

namespace convt3d {

/// What the products of a block of rows add to one row of outputs, to those whose places along w are equal modulo the
/// stride; and what the rows of products one voxel of h behind add to the row of outputs a stride behind, and so on.
struct RowSum {
  std::int64_t oh = 0, residue = 0;
  std::int64_t rows_of_outputs = 1;
  std::int64_t lowest = 0, highest = 0;  ///< shifts of the rows added
  std::int64_t first = 0, count = 0;     ///< among RowSums::rows, of the first row of outputs
};

/// The sums of col2vol_rows, which are those of every plane.
class RowSums {
 public:
  explicit RowSums(const Col2VolRowsTiling& tiling);

  /// What the sums of this tiling take.
  static std::int64_t bytes(const Col2VolRowsTiling& tiling);

  /// Of the block of rows that begins with ih.
  std::span<const RowSum> of_block(std::int64_t ih) const;

  /// Rows of products, from the first one of a channel and tap of d.
  const kernels::ShiftedRow* rows(const RowSum& sum) const { return rows_.data() + sum.first; }

 private:
  std::int64_t block_h_ = 1;
  std::vector<std::size_t> begins_;  ///< of blocks among the sums, and the end
  std::vector<RowSum> sums_;
  std::vector<kernels::ShiftedRow> rows_;
};

}  // namespace convt3d
