#pragma once

#include <cstdint>

#include "convt3d/base/machine.hpp"

// The kernels of gemm, direct_rows and col2vol_rows. T is float or double.
namespace convt3d::kernels {

/// Channels that are added up one after the other: rows from input + `input` on, weights from weights + weights*columns on.
struct RowTap {
  std::int64_t input = 0;
  std::int64_t weights = 0;
};
inline constexpr RowTap kOneRowTap = {};

/// Rows of products, lanes along the rows:
///   target[p*target_stride + x] = init[p] + Σ_tap Σ_c input[tap.input + c*channel_stride + x] * weights[(tap.weights +
///   c)*columns + p]
/// for p < columns and x < vectors*lanes; where init is null, the sum from zero is added to what stands there.
template <typename T>
struct RowProductArgs {
  const RowTap* taps = &kOneRowTap;
  std::int64_t tap_count = 1;
  const T* input = nullptr;
  std::int64_t channel_stride = 0;
  std::int64_t channels = 0;
  const T* weights = nullptr;
  const T* init = nullptr;
  int columns = 1;           ///< 1 to most_row_columns
  std::int64_t vectors = 1;  ///< 1 to row_vectors(columns)
  T* target = nullptr;
  std::int64_t target_stride = 0;
  bool stream = false;       ///< past the caches: rows are aligned to lines, and nothing is added to
  bool from_memory = false;  ///< the target's lines will come from there: asked for by the first tap's channels
  /// What will be wanted next, as many cells of channel c at ahead + c*channel_stride: asked for by the first tap's channels
  /// [ahead_begin, ahead_end).
  const T* ahead = nullptr;
  std::int64_t ahead_begin = 0, ahead_end = 0;
};

/// Columns and vectors that registers hold at once; `wide` where there are 32 of them: columns*vectors accumulators, vectors
/// of inputs and a weight.
inline constexpr int most_row_columns(bool wide) { return wide ? 9 : 4; }
inline constexpr int row_vectors(int columns, bool wide) {
  const int fit = ((wide ? 32 : 16) - 1) / (columns + 1);
  return fit < 8 ? fit : 8;  // 8 chains of 4 cycles keep two FMA units busy
}

template <typename T>
using RowProductFn = void (*)(const RowProductArgs<T>&);
template <typename T>
RowProductFn<T> row_product(Isa isa);

/// The first `count` cells of rows of channels side by side: source[c*channel_stride + x] to target[c*pitch + x], zeros up
/// to the pitch, a number of whole vectors.
template <typename T>
struct GatherRowsArgs {
  const T* source = nullptr;
  std::int64_t channel_stride = 0;
  std::int64_t channels = 0;
  std::int64_t count = 0;
  T* target = nullptr;
  std::int64_t pitch = 0;
};
template <typename T>
using GatherRowsFn = void (*)(const GatherRowsArgs<T>&);
template <typename T>
GatherRowsFn<T> gather_rows(Isa isa);

}  // namespace convt3d::kernels
