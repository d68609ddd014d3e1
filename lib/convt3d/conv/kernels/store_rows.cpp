// Complete rows out to a volume: through the caches, or past them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/store_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/stream_row-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

/// Vectors whole: what they take beyond a row lies where the next one goes.
template <typename T>
HWY_INLINE void copy_before_next(const T* source, T* target, std::int64_t count) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  for (std::int64_t x = 0; x < count; x += kLanes) hn::StoreU(hn::LoadU(d, source + x), d, target + x);
}

template <typename T>
void store_rows(const StoreRowsArgs<T>& args) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
  const T* source = args.source + args.first / args.sides * args.stride;
  std::int64_t side = args.first % args.sides;
  T* target = args.target;
  for (std::int64_t row = 0; row < args.rows; ++row, target += args.count) {
    const T* const from = source + side * args.side_stride;
    if (args.stream != nullptr) {
      stream_row(from, target, args.count, *args.stream);
    } else if ((args.rows - 1 - row) * args.count >= kLanes) {
      copy_before_next(from, target, args.count);
    } else {
      copy_row(from, target, args.count);
    }
    if (++side == args.sides) {
      side = 0;
      source += args.stride;
    }
  }
}

/// By vectors: what single elements were stored to could not be loaded as vectors before it has left the store buffer.
void spread_row(const SpreadRowArgs& args) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> indices;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  const SpreadRowArgs row = args;  // as no store can change it
  const auto fill = hn::Set(d, row.fill);
  const auto spread = [&](const float* source, std::int64_t residue) {
    const auto lanes = hn::LoadU(indices, row.lanes + residue * kLanes);
    const auto filled = hn::RebindMask(d, hn::Lt(lanes, hn::Zero(indices)));
    const auto in_range = hn::And(lanes, hn::Set(indices, static_cast<std::int32_t>(kLanes - 1)));
    return hn::IfThenElse(filled, fill, hn::TableLookupLanes(hn::LoadU(d, source), hn::IndicesFromVec(d, in_range)));
  };
  const std::int64_t step = kLanes % row.stride;
  const float* source = row.source;
  std::int64_t residue = row.first, x = 0;
  for (; x + kLanes <= row.count; x += kLanes) {
    hn::StoreU(spread(source, residue), d, row.target + x);
    source += row.taken[residue];
    residue += residue + step < row.stride ? step : step - row.stride;
  }
  if (x < row.count) store_first(spread(source, residue), d, row.target + x, row.count - x);
}

}  // namespace

inline constexpr CopyRowFn<float> kCopyRowF32 = copy_row<float>;
inline constexpr CopyRowFn<double> kCopyRowF64 = copy_row<double>;
inline constexpr StreamRowFn<float> kStreamRowF32 = stream_row<float>;
inline constexpr StreamRowFn<double> kStreamRowF64 = stream_row<double>;
inline constexpr StoreRowsFn<float> kStoreRowsF32 = store_rows<float>;
inline constexpr StoreRowsFn<double> kStoreRowsF64 = store_rows<double>;
inline constexpr SpreadRowFn kSpreadRow = spread_row;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

SpreadRowFn spread_row(Isa isa) { CONVT3D_FOR_ISA(isa, kSpreadRow) }

template <>
CopyRowFn<float> copy_row<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kCopyRowF32)
}
template <>
CopyRowFn<double> copy_row<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kCopyRowF64)
}
template <>
StreamRowFn<float> stream_row<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kStreamRowF32)
}
template <>
StreamRowFn<double> stream_row<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kStreamRowF64)
}
template <>
StoreRowsFn<float> store_rows<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kStoreRowsF32)
}
template <>
StoreRowsFn<double> store_rows<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kStoreRowsF64)
}

}  // namespace convt3d::kernels
#endif
