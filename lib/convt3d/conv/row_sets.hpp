#pragma once

#include <cstdint>
#include <vector>

namespace convt3d {

/// Columns [first, first + count) of a product of rows: those of one call of kernels/row_product.cpp.
struct RowSet {
  std::int64_t first = 0, count = 1;

  std::int64_t end() const { return first + count; }
};

/// Channels that are added up one after the other, as in direct's products (kernels::ProductArgs::part).
inline constexpr std::int64_t kMostRowTerms = 512;

/// As few sets as there are kernels for, of nearly equal numbers; `wide` where there are 32 registers.
std::vector<RowSet> even_row_sets(std::int64_t columns, bool wide);

/// Estimated cycles of all sets on one strip of so many vectors of voxels, with channels of the input in so many chunks.
double strip_cycles(const std::vector<RowSet>& sets, std::int64_t vectors, std::int64_t channels, std::int64_t chunks);

}  // namespace convt3d
