// Rows of products added to the rows that they are parts of (col2vol_rows' last step).
//
//   for x: target[x] += Σ_row sources[row.source + x - row.shift]
//
// A vector of the target is added to in a register by all rows, four of them at once where all rows have those elements: a
// sum waits for the one before it, and stores are not read again at other places. At the ends, lanes that a row does not
// have count as zero.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/add_rows.cpp"
#include "convt3d/conv/kernels/add_rows.hpp"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// `vectors` vectors of a target from x on, of which all rows have every element.
template <int vectors, typename T>
HWY_INLINE void add_whole(const AddRowsArgs<T>& args, std::int64_t x) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  hn::Vec<decltype(d)> sum[vectors];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) sum[v] = hn::LoadU(d, args.target + x + v * kLanes);
  for (std::int64_t i = 0; i < args.count; ++i) {
    const T* const from = args.sources + args.rows[i].source + x - args.rows[i].shift;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) sum[v] = hn::Add(sum[v], hn::LoadU(d, from + v * kLanes));
  }
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) hn::StoreU(sum[v], d, args.target + x + v * kLanes);
}

/// A vector of a target from x on, of which rows may lack lanes at either end.
template <typename T>
HWY_INLINE void add_part(const AddRowsArgs<T>& args, std::int64_t x) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  auto sum = hn::LoadU(d, args.target + x);
  for (std::int64_t i = 0; i < args.count; ++i) {
    const std::int64_t first = x - args.rows[i].shift;  // the element of the row that lane 0 takes
    if (first <= -kLanes || first >= args.length) continue;
    const auto before = hn::FirstN(d, static_cast<std::size_t>(std::max<std::int64_t>(0, -first)));
    const auto until = hn::FirstN(d, static_cast<std::size_t>(std::min(kLanes, args.length - first)));
    const auto added = hn::LoadU(d, args.sources + args.rows[i].source + first);
    sum = hn::Add(sum, hn::IfThenZeroElse(before, hn::IfThenElseZero(until, added)));
  }
  hn::StoreU(sum, d, args.target + x);
}

template <typename T>
void add_rows(const AddRowsArgs<T>& args) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
  const std::int64_t whole_end = args.lowest + args.length;  // of the elements that all rows have, from `highest` on
  std::int64_t x = args.lowest;
  for (; x < args.highest; x += kLanes) add_part(args, x);
  for (; x + 4 * kLanes <= whole_end; x += 4 * kLanes) add_whole<4>(args, x);
  for (; x + kLanes <= whole_end; x += kLanes) add_whole<1>(args, x);
  for (; x < args.highest + args.length; x += kLanes) add_part(args, x);
}

}  // namespace

inline constexpr AddRowsFn<float> kAddRowsF32 = add_rows<float>;
inline constexpr AddRowsFn<double> kAddRowsF64 = add_rows<double>;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

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
