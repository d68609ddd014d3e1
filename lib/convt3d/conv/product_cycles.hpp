#pragma once

#include <algorithm>
#include <cstdint>

#include "convt3d/base/checked.hpp"

namespace convt3d {

/// Most positions that the product kernel (kernels/product.cpp) sums at once. `wide` where there are 32 registers; `apart`
/// as in ProductArgs.
inline std::int64_t positions_at_once(std::int64_t nr, bool wide, bool apart = false) {
  if (nr == 1 && !apart) return wide ? 16 : 12;
  return nr > 2 ? (wide ? 9 : 4) : (wide ? 14 : 6);
}

/// Rows of so many positions that it multiplies at once.
inline std::int64_t rows_at_once(std::int64_t positions, std::int64_t nr, bool wide, bool apart = false) {
  return positions < 2 ? 1 : std::clamp<std::int64_t>(positions_at_once(nr, wide, apart) / positions, 1, 4);
}

/// Estimated cycles of one step of its reduction, for so many positions and `nr` vectors of columns: mr x nr at a time,
/// against two FMA and two load ports and four cycles of latency.
inline double product_cycles(std::int64_t positions, std::int64_t nr, bool wide, bool apart = false) {
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  const double latency = apart && nr == 1 ? 2 : 4;
  const std::int64_t blocks = ceil_div(positions, positions_at_once(nr, wide, apart));
  const double mr = real(positions) / real(blocks), vectors = real(nr);
  return real(blocks) * std::max({mr * vectors / 2, (mr + vectors) / 2, 1.4 * vectors, latency}) / 0.85;
}

}  // namespace convt3d
