#pragma once

#include <algorithm>
#include <cstdint>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/kernels/kernels.hpp"

namespace convt3d {

/// Estimated cycles of one step of the product kernel's reduction (kernels/product.cpp), for so many positions and `nr`
/// vectors of columns: mr x nr at a time, against two FMA and two load ports and four cycles of latency. `wide` where there
/// are 32 registers; `apart` as in ProductArgs.
inline double product_cycles(std::int64_t positions, std::int64_t nr, bool wide, bool apart = false) {
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  const double latency = apart && nr == 1 ? 2 : 4;
  const std::int64_t blocks = ceil_div(positions, kernels::product_positions(static_cast<int>(nr), wide, apart));
  const double mr = real(positions) / real(blocks), vectors = real(nr);
  return real(blocks) * std::max({mr * vectors / 2, (mr + vectors) / 2, 1.4 * vectors, latency}) / 0.85;
}

}  // namespace convt3d
