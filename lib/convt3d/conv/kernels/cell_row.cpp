// The kernel of the few-channel algorithm: a row of cells, lanes along w.
//
//   for x: for p: for row: for c: for e:  acc[p][x] += input[row][c][x + e] * weights[row][c][e][p]
//
// A vector of inputs serves all columns p, a broadcast weight serves all vectors: nv vectors times `columns` accumulators
// stay in registers over the whole reduction. Registers: columns*nv accumulators + nv inputs + 1 weight.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/cell_row.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/partial-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

constexpr int most_vectors(int columns) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
  constexpr int kRegisters = 32;
#else
  constexpr int kRegisters = 16;
#endif
  const int fit = (kRegisters - 1) / (columns + 1);  // columns*nv + nv + 1 <= kRegisters
  return fit < 8 ? fit : 8;                          // 8 chains of 4 cycles keep two FMA units busy
}

/// `count` vectors of neighbouring phases, of the `columns` that stand one behind the other at `phases`, to the row they
/// make.
template <int columns, class D, typename T = hn::TFromD<D>>
HWY_INLINE void store_interleaved(D d, const T* phases, int count, std::int64_t step, T* target) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
#if HWY_TARGET != HWY_SCALAR
  if (step == count) {
    const auto v = [&](int p) { return hn::Load(d, phases + p * kLanes); };
    if (count == 1) return hn::StoreU(v(0), d, target);
    if constexpr (columns >= 2) {
      if (count == 2) return hn::StoreInterleaved2(v(0), v(1), d, target);
    }
    if constexpr (columns >= 3) {
      if (count == 3) return hn::StoreInterleaved3(v(0), v(1), v(2), d, target);
    }
    if constexpr (columns >= 4) {
      if (count == 4) return hn::StoreInterleaved4(v(0), v(1), v(2), v(3), d, target);
    }
  }
#endif
  for (int p = 0; p < count; ++p) {
    for (std::int64_t x = 0; x < kLanes; ++x) target[x * step + p] = phases[p * kLanes + x];
  }
}

template <typename T, int columns, int nv>
void micro_kernel(const CellRowArgs<T>& args, std::int64_t first, T* phases) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));

  V acc[nv][columns];
#pragma GCC unroll 16
  for (int p = 0; p < columns; ++p) {
#pragma GCC unroll 16
    for (int v = 0; v < nv; ++v) acc[v][p] = hn::Set(d, args.init[p]);
  }
  const T* weights = args.weights;
  for (std::int64_t row = 0; row < args.row_count; ++row) {
    const T* source = args.input + args.rows[row] + first;
    for (std::int64_t c = 0; c < args.channels; ++c, source += args.channel_stride) {
      for (std::int64_t e = 0; e < args.shifts; ++e, weights += columns) {
        V x[nv];
#pragma GCC unroll 16
        for (int v = 0; v < nv; ++v) x[v] = hn::LoadU(d, source + e + v * kLanes);
#pragma GCC unroll 16
        for (int p = 0; p < columns; ++p) {
          const V w = hn::Set(d, weights[p]);
#pragma GCC unroll 16
          for (int v = 0; v < nv; ++v) acc[v][p] = hn::MulAdd(x[v], w, acc[v][p]);
        }
      }
    }
  }
  // By way of memory: indexing acc with a number known at run time would keep it out of the registers.
#pragma GCC unroll 16
  for (int v = 0; v < nv; ++v) {
#pragma GCC unroll 16
    for (int p = 0; p < columns; ++p) hn::Store(acc[v][p], d, phases + p * kLanes);
    for (int p = 0; p < columns; p += args.interleave) {
      T* target = args.targets[p / args.interleave] + (first + v * kLanes) * args.step;
      store_interleaved<columns>(d, phases + p * kLanes, args.interleave, args.step, target);
    }
  }
}

template <typename T, int columns, int most = most_vectors(columns)>
void vectors_from(const CellRowArgs<T>& args, std::int64_t first, std::int64_t nv, T* phases) {
  if constexpr (most > 0) {
    if (nv == most) return micro_kernel<T, columns, most>(args, first, phases);
    vectors_from<T, columns, most - 1>(args, first, nv, phases);
  }
}

/// Splits the row into blocks of nearly equal numbers of vectors.
template <typename T, int columns>
void blocks(const CellRowArgs<T>& args) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
  constexpr std::int64_t kMost = most_vectors(columns);
  HWY_ALIGN T phases[columns * kLanes] = {};
  std::int64_t vectors = (args.cells + kLanes - 1) / kLanes;
  std::int64_t left = (vectors + kMost - 1) / kMost;
  for (std::int64_t first = 0; vectors > 0; --left) {
    const std::int64_t nv = (vectors + left - 1) / left;
    vectors_from<T, columns>(args, first * kLanes, nv, phases);
    first += nv;
    vectors -= nv;
  }
}

template <typename T>
void cell_row(const CellRowArgs<T>& args) {
  switch (args.columns) {
    case 1: return blocks<T, 1>(args);
    case 2: return blocks<T, 2>(args);
    case 3: return blocks<T, 3>(args);
    case 4: return blocks<T, 4>(args);
    case 6: return blocks<T, 6>(args);
    case 8: return blocks<T, 8>(args);
    default: return blocks<T, 9>(args);
  }
}

/// Ordinary stores up to the first address aligned to a vector and behind the last; between them past the caches.
template <typename T>
void copy_row(const T* source, T* target, std::int64_t count, bool stream) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  std::int64_t x = 0;
  if (stream) {
    const auto past = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(target) / sizeof(T)) % kLanes;
    const std::int64_t head = past == 0 ? 0 : kLanes - past;
    if (head < count) {
      if (head > 0) store_first(load_first(d, source, head), d, target, head);
      for (x = head; x + kLanes <= count; x += kLanes) hn::Stream(hn::LoadU(d, source + x), d, target + x);
    }
  } else {
    for (; x + kLanes <= count; x += kLanes) hn::StoreU(hn::LoadU(d, source + x), d, target + x);
  }
  if (x < count) store_first(load_first(d, source + x, count - x), d, target + x, count - x);
}

}  // namespace

inline constexpr CellRowFn<float> kCellRowF32 = cell_row<float>;
inline constexpr CellRowFn<double> kCellRowF64 = cell_row<double>;
inline constexpr CopyRowFn<float> kCopyRowF32 = copy_row<float>;
inline constexpr CopyRowFn<double> kCopyRowF64 = copy_row<double>;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

template <>
CellRowFn<float> cell_row<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kCellRowF32)
}
template <>
CellRowFn<double> cell_row<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kCellRowF64)
}
template <>
CopyRowFn<float> copy_row<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kCopyRowF32)
}
template <>
CopyRowFn<double> copy_row<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kCopyRowF64)
}

}  // namespace convt3d::kernels
#endif
