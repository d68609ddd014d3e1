// Columns of a product added to the rows that they are outputs of (col2vol's last step).
//
//   for position x: for sum: for i < run:
//     rows[sum.target + starts[x] + i] += Σ_source columns[source + x*ld + i]
//
// A vector of a row is added to in a register. Runs of neighbouring positions overlap, so the position is the outer loop: a
// load of what has just been stored, but not from where, would wait for the store to reach the cache. The last vector of a
// run adds zero behind it.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/fold_columns.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>

#include "convt3d/conv/kernels/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// Vectors from `begin` to `end` of one position's runs; only `some` lanes of them, or all.
template <bool all, typename T, class D, class M>
HWY_INLINE void fold(const FoldColumnsArgs<T>& args, const T* columns, T* rows, std::int64_t begin, std::int64_t end, D d,
                     M some) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  const std::int64_t* source = args.sources;
  for (std::int64_t s = 0; s < args.sum_count; ++s) {
    const ColumnSum sum = args.sums[s];
    for (std::int64_t i = begin; i < end; i += kLanes) {
      auto added = hn::LoadU(d, columns + source[0] + i);
      for (std::int64_t c = 1; c < sum.count; ++c) added = hn::Add(added, hn::LoadU(d, columns + source[c] + i));
      if constexpr (!all) added = hn::IfThenElseZero(some, added);
      T* const to = rows + sum.target + i;
      hn::StoreU(hn::Add(hn::LoadU(d, to), added), d, to);
    }
    source += sum.count;
  }
}

template <typename T>
void fold_columns(const FoldColumnsArgs<T>& args) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  const std::int64_t whole = (args.run - 1) / kLanes * kLanes;
  const auto last = hn::FirstN(d, static_cast<std::size_t>(args.run - whole));
  for (std::int64_t x = 0; x < args.positions; ++x) {
    const T* const columns = args.columns + x * args.ld;
    T* const rows = args.rows + args.starts[x];
    if (whole > 0) fold<true>(args, columns, rows, 0, whole, d, last);
    fold<false>(args, columns, rows, whole, args.run, d, last);
  }
}

}  // namespace

inline constexpr FoldColumnsFn<float> kFoldColumnsF32 = fold_columns<float>;
inline constexpr FoldColumnsFn<double> kFoldColumnsF64 = fold_columns<double>;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

template <>
FoldColumnsFn<float> fold_columns<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kFoldColumnsF32)
}
template <>
FoldColumnsFn<double> fold_columns<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kFoldColumnsF64)
}

}  // namespace convt3d::kernels
#endif
