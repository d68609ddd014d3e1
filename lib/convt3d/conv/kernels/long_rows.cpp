// The kernel of gemm and col2vol_rows where results are few, and all is about reading: rows of results are added up a few
// channels at a time, lanes along the rows.
//
//   for c in eights: for x: for p:  target[p][x] += Σ_8 input[c..][x] * weights[c..][p]
//
// So each channel is read in long runs, which the processor fetches ahead on its own, where a sum over all channels in
// registers would hop from one to the next. The results pass through the first cache meanwhile. Sums are those of one chain
// over the channels, in their order.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/long_rows.cpp"
#include "convt3d/conv/kernels/long_rows.hpp"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "convt3d/conv/kernels/partial-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

/// Channels that are added up at once: fewer streams are read faster, but results pass through the cache more often.
constexpr int at_once(int columns) { return columns == 1 ? 4 : 8; }

/// `channels` rows of the input, added to `columns` rows of results.
template <typename T, int channels, int columns>
void add_channels(const LongRowsArgs<T>& args, std::int64_t first) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));

  V weights[channels][columns];
#pragma GCC unroll 8
  for (int c = 0; c < channels; ++c) {
#pragma GCC unroll 4
    for (int p = 0; p < columns; ++p) weights[c][p] = hn::Set(d, args.weights[(first + c) * columns + p]);
  }
  const std::int64_t channel_stride = args.channel_stride, target_stride = args.target_stride, count = args.count;
  const T* const input = args.input + first * channel_stride;
  T* const results = args.target;
  V init[columns];
#pragma GCC unroll 4
  for (int p = 0; p < columns; ++p) init[p] = hn::Set(d, args.init[p]);
  const auto add = [&](std::int64_t x, const auto& load, const auto& store) HWY_ATTR {
    V in[channels];
#pragma GCC unroll 8
    for (int c = 0; c < channels; ++c) in[c] = load(input + c * channel_stride + x);
#pragma GCC unroll 4
    for (int p = 0; p < columns; ++p) {
      T* const target = results + p * target_stride + x;
      V sum = first == 0 ? init[p] : load(target);
#pragma GCC unroll 8
      for (int c = 0; c < channels; ++c) sum = hn::MulAdd(in[c], weights[c][p], sum);
      store(sum, target);
    }
  };
  const auto load = [&](const T* from) HWY_ATTR { return hn::LoadU(d, from); };
  const auto store = [&](V v, T* to) HWY_ATTR { hn::StoreU(v, d, to); };
  std::int64_t x = 0;
  for (; x + kLanes <= count; x += kLanes) add(x, load, store);
  if (const std::int64_t rest = count - x; rest > 0) {
    add(
        x, [&](const T* from) HWY_ATTR { return load_first(d, from, rest); },
        [&](V v, T* to) HWY_ATTR { store_first(v, d, to, rest); });
  }
}

template <typename T, int columns, int most = at_once(columns)>
void channels_from(const LongRowsArgs<T>& args, std::int64_t first, std::int64_t channels) {
  if constexpr (most > 0) {
    if (channels == most) return add_channels<T, most, columns>(args, first);
    channels_from<T, columns, most - 1>(args, first, channels);
  }
}

template <typename T, int columns>
void of_columns(const LongRowsArgs<T>& args) {
  constexpr std::int64_t kAtOnce = at_once(columns);
  for (std::int64_t c = 0; c < args.channels; c += kAtOnce)
    channels_from<T, columns>(args, c, std::min(kAtOnce, args.channels - c));
}

template <typename T>
void long_rows(const LongRowsArgs<T>& args) {
  static_assert(kMostLongRows == 3);
  switch (args.columns) {
    case 1: return of_columns<T, 1>(args);
    case 2: return of_columns<T, 2>(args);
    default: return of_columns<T, 3>(args);
  }
}

}  // namespace

inline constexpr LongRowsFn<float> kLongRowsF32 = long_rows<float>;
inline constexpr LongRowsFn<double> kLongRowsF64 = long_rows<double>;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

template <>
LongRowsFn<float> long_rows<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kLongRowsF32)
}
template <>
LongRowsFn<double> long_rows<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kLongRowsF64)
}

}  // namespace convt3d::kernels
#endif
