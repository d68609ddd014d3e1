// The kernels of gemm, direct_rows and col2vol_rows: products of rows with weights, lanes along the rows.
//
//   for tap: for c: for p: for x:  acc[p][x] += input[tap][c][x] * weights[tap][c][p]
//
// A vector of inputs serves all columns p, a broadcast weight serves all vectors. Registers: columns*nv accumulators + nv
// inputs + 1 weight.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/row_product.cpp"
#include "convt3d/conv/kernels/row_product.hpp"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>

#include "convt3d/conv/kernels/partial-inl.hpp"
#include "convt3d/conv/kernels/prefetch.hpp"
#include "convt3d/conv/kernels/registers-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

template <typename T, int columns, int nv>
void micro_kernel(const RowProductArgs<T>& args) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  constexpr auto kLine = static_cast<std::int64_t>(64 / sizeof(T));

  V acc[columns][nv];
#pragma GCC unroll 16
  for (int p = 0; p < columns; ++p) {
#pragma GCC unroll 16
    for (int v = 0; v < nv; ++v) acc[p][v] = args.init != nullptr ? hn::Set(d, args.init[p]) : hn::Zero(d);
  }
  const T* ahead = args.ahead + args.ahead_begin * args.channel_stride;
  // What the first tap asks for. Few channels are over before their target would have come.
  std::int64_t ahead_end = args.ahead_end;
  std::int64_t asked_rows = args.from_memory && args.channels >= 2 * columns ? columns : 0;
  for (std::int64_t tap = 0; tap < args.tap_count; ++tap, ahead_end = asked_rows = 0) {
    const T* source = args.input + args.taps[tap].input;
    const T* weights = args.weights + args.taps[tap].weights * columns;
    for (std::int64_t c = 0; c < args.channels; ++c, source += args.channel_stride, weights += columns) {
      if (c >= args.ahead_begin && c < ahead_end) {
#pragma GCC unroll 16
        for (std::int64_t x = 0; x <= nv * kLanes; x += kLine) prefetch_to_l2(ahead + x);
        ahead += args.channel_stride;
      }
      if (c < asked_rows) {
#pragma GCC unroll 16
        for (std::int64_t x = 0; x <= nv * kLanes; x += kLine) prefetch_to_write(args.target + c * args.target_stride + x);
      }
      V x[nv];
#pragma GCC unroll 16
      for (int v = 0; v < nv; ++v) x[v] = hn::LoadU(d, source + v * kLanes);
      keep_loaded(x);
#pragma GCC unroll 16
      for (int p = 0; p < columns; ++p) {
        const V w = hn::Set(d, weights[p]);
#pragma GCC unroll 16
        for (int v = 0; v < nv; ++v) acc[p][v] = hn::MulAdd(x[v], w, acc[p][v]);
      }
    }
  }
  // Copies, for what is stored might be the arguments for all the compiler knows.
  const auto each = [target = args.target, target_stride = args.target_stride](const auto& function) HWY_ATTR {
#pragma GCC unroll 16
    for (int p = 0; p < columns; ++p) {
#pragma GCC unroll 16
      for (int v = 0; v < nv; ++v) function(p, v, target + p * target_stride + v * kLanes);
    }
  };
  if (args.init == nullptr) {
    each([&](int p, int v, const T* from) HWY_ATTR { acc[p][v] = hn::Add(acc[p][v], hn::LoadU(d, from)); });
  }
  if (args.stream) {
    each([&](int p, int v, T* to) HWY_ATTR { hn::Stream(acc[p][v], d, to); });
  } else {
    each([&](int p, int v, T* to) HWY_ATTR { hn::StoreU(acc[p][v], d, to); });
  }
}

template <typename T, int columns, int most = row_vectors(columns, kWide)>
void vectors_from(const RowProductArgs<T>& args) {
  if constexpr (most > 0) {
    if (args.vectors == most) return micro_kernel<T, columns, most>(args);
    vectors_from<T, columns, most - 1>(args);
  }
}

template <typename T, int most = most_row_columns(kWide)>
void columns_from(const RowProductArgs<T>& args) {
  if constexpr (most > 0) {
    if (args.columns == most) return vectors_from<T, most>(args);
    columns_from<T, most - 1>(args);
  }
}

template <typename T>
void row_product(const RowProductArgs<T>& args) {
  columns_from<T>(args);
}

template <typename T>
void gather_rows(const GatherRowsArgs<T>& args) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  constexpr auto kLine = static_cast<std::int64_t>(64 / sizeof(T));
  constexpr std::int64_t kAhead = 8;  // rows: what arrives from memory meanwhile
  const T* source = args.source;
  T* target = args.target;
  for (std::int64_t c = 0; c < args.channels; ++c, source += args.channel_stride, target += args.pitch) {
    if (c + kAhead < args.channels) {
      for (std::int64_t x = 0; x < args.count; x += kLine) prefetch_to_l2(source + kAhead * args.channel_stride + x);
    }
    std::int64_t x = 0;
    for (; x + kLanes <= args.count; x += kLanes) hn::Store(hn::LoadU(d, source + x), d, target + x);
    if (x < args.count) {
      hn::Store(load_first(d, source + x, args.count - x), d, target + x);
      x += kLanes;
    }
    for (; x < args.pitch; x += kLanes) hn::Store(hn::Zero(d), d, target + x);
  }
}

}  // namespace

inline constexpr RowProductFn<float> kRowProductF32 = row_product<float>;
inline constexpr RowProductFn<double> kRowProductF64 = row_product<double>;
inline constexpr GatherRowsFn<float> kGatherRowsF32 = gather_rows<float>;
inline constexpr GatherRowsFn<double> kGatherRowsF64 = gather_rows<double>;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

template <>
RowProductFn<float> row_product<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kRowProductF32)
}
template <>
RowProductFn<double> row_product<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kRowProductF64)
}
template <>
GatherRowsFn<float> gather_rows<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kGatherRowsF32)
}
template <>
GatherRowsFn<double> gather_rows<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kGatherRowsF64)
}

}  // namespace convt3d::kernels
#endif
