#include "convt3d/conv/row_sets.hpp"

#include <algorithm>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/kernels/row_product.hpp"

namespace convt3d {

std::vector<RowSet> even_row_sets(std::int64_t columns, bool wide) {
  const std::int64_t count = ceil_div(columns, kernels::most_row_columns(wide));
  std::vector<RowSet> sets;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t first = columns * i / count;
    sets.push_back({first, columns * (i + 1) / count - first});
  }
  return sets;
}

double strip_cycles(const std::vector<RowSet>& sets, std::int64_t vectors, std::int64_t channels, std::int64_t chunks) {
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  double cycles = 0;
  for (const RowSet& set : sets) {
    const double fma = std::max(8.0, real(set.count * vectors));
    const double loads = real(2 * vectors + set.count);  // an unaligned load touches two lines
    cycles += real(channels) * std::max(fma, loads) / 2 + real(chunks) * (30 + real(set.count * vectors));
  }
  return cycles;
}

}  // namespace convt3d
