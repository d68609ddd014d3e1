// Rows of products added to the rows that they are parts of (col2vol_rows' last step), or, where each output is one product,
// taken in turn.
//
//   for k: for x: target[k][x] += Σ_row sources[k][row.source + x - row.shift]
//
// A vector of the target is added to in a register by all rows, four of them at once where all rows have those elements: a
// sum waits for the one before it, and stores are not read again at other places. At the ends, lanes that a row does not
// have count as zero; which they are is worked out for up to four targets at once.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/add_rows.cpp"
#include "convt3d/conv/kernels/add_rows.hpp"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <type_traits>

#include "convt3d/conv/kernels/interleave-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// `vectors` vectors of a target from x on, of which all rows have every element.
template <int vectors, typename T>
HWY_INLINE void add_whole(const AddRowsArgs<T>& args, const T* sources, T* target, std::int64_t x) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  hn::Vec<decltype(d)> sum[vectors];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) sum[v] = hn::LoadU(d, target + x + v * kLanes);
  for (std::int64_t i = 0; i < args.count; ++i) {
    const T* const from = sources + args.rows[i].source + x - args.rows[i].shift;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) sum[v] = hn::Add(sum[v], hn::LoadU(d, from + v * kLanes));
  }
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) hn::StoreU(sum[v], d, target + x + v * kLanes);
}

/// A vector of each target from x on, of which rows may lack lanes at either end.
template <int targets, typename T>
HWY_INLINE void add_part(const AddRowsArgs<T>& args, const T* sources, T* target, std::int64_t x) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  hn::Vec<decltype(d)> sum[targets];
#pragma GCC unroll 4
  for (int k = 0; k < targets; ++k) sum[k] = hn::LoadU(d, target + k * args.target_step + x);
  for (std::int64_t i = 0; i < args.count; ++i) {
    const std::int64_t first = x - args.rows[i].shift;  // the element of the row that lane 0 takes
    if (first <= -kLanes || first >= args.length) continue;
    const auto before = hn::FirstN(d, static_cast<std::size_t>(std::max<std::int64_t>(0, -first)));
    const auto until = hn::FirstN(d, static_cast<std::size_t>(std::min(kLanes, args.length - first)));
    const auto inside = hn::AndNot(before, until);
    const T* const from = sources + args.rows[i].source + first;
#pragma GCC unroll 4
    for (int k = 0; k < targets; ++k)
      sum[k] = hn::Add(sum[k], hn::IfThenElseZero(inside, hn::LoadU(d, from + k * args.source_step)));
  }
#pragma GCC unroll 4
  for (int k = 0; k < targets; ++k) hn::StoreU(sum[k], d, target + k * args.target_step + x);
}

/// To `targets` targets from the first on.
template <int targets, typename T>
void add_to(const AddRowsArgs<T>& args, std::int64_t first) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
  const T* const sources = args.sources + first * args.source_step;
  T* const target = args.target + first * args.target_step;
  const std::int64_t whole_end = args.lowest + args.length;  // of the elements that all rows have, from `highest` on
  std::int64_t begin = args.lowest;
  for (; begin < args.highest; begin += kLanes) add_part<targets>(args, sources, target, begin);
  std::int64_t end = begin;
  for (int k = 0; k < targets; ++k) {
    const auto add = [&]<int vectors>(std::integral_constant<int, vectors>) {
      for (; end + vectors * kLanes <= whole_end; end += vectors * kLanes)
        add_whole<vectors>(args, sources + k * args.source_step, target + k * args.target_step, end);
    };
    end = begin;
    add(std::integral_constant<int, 4>());
    add(std::integral_constant<int, 1>());
  }
  for (; end < args.highest + args.length; end += kLanes) add_part<targets>(args, sources, target, end);
}

template <typename T>
void add_rows(const AddRowsArgs<T>& args) {
  for (std::int64_t k = 0; k < args.targets; k += 4) {
    switch (args.targets - k) {
      case 1: add_to<1>(args, k); break;
      case 2: add_to<2>(args, k); break;
      case 3: add_to<3>(args, k); break;
      default: add_to<4>(args, k);
    }
  }
}

template <int rows, typename T>
void interleave_vectors(const InterleaveArgs<T>& args) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  const auto added = hn::Set(d, args.added);
  const auto store = [&](std::int64_t x, T* target) HWY_ATTR {
    hn::Vec<decltype(d)> row[rows];
#pragma GCC unroll 4
    for (int k = 0; k < rows; ++k) row[k] = hn::Add(hn::LoadU(d, args.sources + k * args.source_step + x), added);
    store_interleaved<rows>(d, row, target);
  };
  std::int64_t x = 0;
  for (; x + kLanes <= args.length; x += kLanes) store(x, args.target + rows * x);
  if (x == args.length) return;
  HWY_ALIGN T last[rows * kLanes];
  store(x, last);
  std::copy(last, last + rows * (args.length - x), args.target + rows * x);
}

template <typename T>
void interleave(const InterleaveArgs<T>& args) {
  switch (args.rows) {
    case 1: return interleave_vectors<1>(args);
    case 2: return interleave_vectors<2>(args);
    case 3: return interleave_vectors<3>(args);
    case 4: return interleave_vectors<4>(args);
    default: break;
  }
  for (std::int64_t x = 0; x < args.length; ++x) {
    for (std::int64_t k = 0; k < args.rows; ++k)
      args.target[x * args.rows + k] = args.sources[k * args.source_step + x] + args.added;
  }
}

}  // namespace

inline constexpr InterleaveFn<float> kInterleaveF32 = interleave<float>;
inline constexpr InterleaveFn<double> kInterleaveF64 = interleave<double>;
inline constexpr AddRowsFn<float> kAddRowsF32 = add_rows<float>;
inline constexpr AddRowsFn<double> kAddRowsF64 = add_rows<double>;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

template <>
InterleaveFn<float> interleave<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kInterleaveF32)
}
template <>
InterleaveFn<double> interleave<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kInterleaveF64)
}
template <>
AddRowsFn<float> add_rows<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kAddRowsF32)
}
template <>
AddRowsFn<double> add_rows<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kAddRowsF64)
}

}  // namespace convt3d::kernels
#endif
