#pragma once

#include <cstdint>

#include "convt3d/base/machine.hpp"

// The kernel of gemm and col2vol_rows for few results. T is float or double.
namespace convt3d::kernels {

/// Of more columns a sum over all channels in registers is as fast.
inline constexpr int kMostLongRows = 3;

/// Rows of products, lanes along the rows, `count` cells long:
///   target[p*target_stride + x] = init[p] + Σ_c input[c*channel_stride + x] * weights[c*columns + p]
/// for p < columns; nothing is read or written beyond a row.
template <typename T>
struct LongRowsArgs {
  const T* input = nullptr;
  std::int64_t channel_stride = 0;
  std::int64_t channels = 1;
  const T* weights = nullptr;
  const T* init = nullptr;
  int columns = 1;  ///< 1 to kMostLongRows
  T* target = nullptr;
  std::int64_t target_stride = 0;
  std::int64_t count = 0;
};

template <typename T>
using LongRowsFn = void (*)(const LongRowsArgs<T>&);
template <typename T>
LongRowsFn<T> long_rows(Isa isa);

}  // namespace convt3d::kernels
