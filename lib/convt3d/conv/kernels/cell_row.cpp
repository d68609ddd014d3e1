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

#include "convt3d/conv/kernels/interleave-inl.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/registers-inl.hpp"
#include "convt3d/conv/kernels/row_product.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// All columns of all vectors, straight from the registers, where every `count` of them make a row of their own. False where
/// args say otherwise.
template <int count, typename T, int columns, int nv, class V>
HWY_INLINE bool store_rows(const CellRowArgs<T>& args, std::int64_t first, const V (&acc)[nv][columns]) {
  if constexpr (columns % count == 0) {
    if (args.interleave == count && args.step == count) {
      const hn::ScalableTag<T> d;
      constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
#pragma GCC unroll 16
      for (int p = 0; p < columns; p += count) {
        T* const target = args.targets[p / count] + first * count;
#pragma GCC unroll 16
        for (int v = 0; v < nv; ++v) store_interleaved<count>(d, &acc[v][p], target + v * kLanes * count);
      }
      return true;
    }
  }
  return false;
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
        if constexpr (columns == 2 || columns == 3) keep_loaded(x);
#pragma GCC unroll 16
        for (int p = 0; p < columns; ++p) {
          const V w = hn::Set(d, weights[p]);
#pragma GCC unroll 16
          for (int v = 0; v < nv; ++v) acc[v][p] = hn::MulAdd(x[v], w, acc[v][p]);
        }
      }
    }
  }
  if (store_rows<1>(args, first, acc) || store_rows<2>(args, first, acc) || store_rows<3>(args, first, acc) ||
      store_rows<4>(args, first, acc)) {
    return;
  }
  // Rows that other calls share, element by element. By way of memory: indexing acc with a number known at run time would
  // keep it out of the registers.
#pragma GCC unroll 16
  for (int p = 0; p < columns; ++p) {
#pragma GCC unroll 16
    for (int v = 0; v < nv; ++v) hn::Store(acc[v][p], d, phases + v * kLanes);
    T* const target = args.targets[p / args.interleave] + first * args.step + p % args.interleave;
    for (std::int64_t x = 0; x < nv * kLanes; ++x) target[x * args.step] = phases[x];
  }
}

template <typename T, int columns, int most = row_vectors(columns, kWide)>
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
  constexpr std::int64_t kMost = row_vectors(columns, kWide);
  HWY_ALIGN T phases[kMost * kLanes];
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

}  // namespace

inline constexpr CellRowFn<float> kCellRowF32 = cell_row<float>;
inline constexpr CellRowFn<double> kCellRowF64 = cell_row<double>;

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

}  // namespace convt3d::kernels
#endif
