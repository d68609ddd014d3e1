// One row out to a volume: through the caches, or past them; compiled once per instruction set.
#if defined(CONVT3D_STREAM_ROW_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVT3D_STREAM_ROW_INL_HPP
#undef CONVT3D_STREAM_ROW_INL_HPP
#else
#define CONVT3D_STREAM_ROW_INL_HPP
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstdint>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/partial-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {

template <typename T>
HWY_INLINE void copy_row(const T* source, T* target, std::int64_t count) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  std::int64_t x = 0;
  for (; x + kLanes <= count; x += kLanes) hn::StoreU(hn::LoadU(d, source + x), d, target + x);
  if (x < count) store_first(load_first(d, source + x, count - x), d, target + x, count - x);
}

/// The first `past` elements at `waiting`, then those at `source`.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> joined(D d, const T* waiting, std::int64_t past, const T* source) {
#if CONVT3D_MASKED_MEMORY
  const auto first = hn::FirstN(d, static_cast<std::size_t>(past));
  return hn::IfThenElse(first, hn::Load(d, waiting), hn::MaskedLoad(hn::Not(first), d, source - past));
#else
  HWY_ALIGN T lanes[hn::MaxLanes(d)];
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(hn::MaxLanes(d)); ++i)
    lanes[i] = i < past ? waiting[i] : source[i - past];
  return hn::Load(d, lanes);
#endif
}

/// Whole vectors that are aligned go past the caches. A part of one before them is joined with what waits, or stored as
/// usual; a part behind them waits.
template <typename T>
HWY_INLINE void stream_row(const T* source, T* target, std::int64_t count, RowStream<T>& stream) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  const auto past = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(target) / sizeof(T)) % kLanes;
  const std::int64_t head = past == 0 ? 0 : kLanes - past;
  if (stream.end != target) flush(stream);
  if (count < head + kLanes) {  // too short to matter
    flush(stream);
    copy_row(source, target, count);
    return;
  }
  if (head > 0) {
    if (stream.waiting > 0) {
      hn::Stream(joined(d, stream.values, past, source), d, target - past);
    } else {
      store_first(load_first(d, source, head), d, target, head);
    }
  }
  std::int64_t x = head;
  for (; x + kLanes <= count; x += kLanes) hn::Stream(hn::LoadU(d, source + x), d, target + x);
  hn::Store(load_first(d, source + x, count - x), d, stream.values);
  stream.waiting = count - x;
  stream.end = target + count;
}

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
