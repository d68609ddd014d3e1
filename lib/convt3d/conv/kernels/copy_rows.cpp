// Short rows copied and looked at in one go.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/copy_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/partial-inl.hpp"
#include "convt3d/conv/kernels/prefetch.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// Whole vectors, the last of which overlaps the one before; of shorter rows a part of one.
template <typename T>
bool copy_rows(const CopyRowsArgs<T>& args) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
  const auto most = hn::Set(d, args.limit);
  auto within = hn::Eq(most, most);
  for (std::int64_t row = 0; row < args.rows; ++row) {
    const T* source = args.source + args.places[row].source;
    T* target = args.target + args.places[row].target;
    for (std::int64_t x = 0; x < args.count && args.ahead != 0; x += kLine) prefetch_to_l2(source + args.ahead + x);
    const auto look_at = [&](auto values) {
      within = hn::And(within, hn::Le(hn::Abs(values), most));
      return values;
    };
    if (args.count < kLanes) {
      store_first(look_at(load_first(d, source, args.count)), d, target, args.count);
      continue;
    }
    const auto copy = [&](std::int64_t x) { hn::StoreU(look_at(hn::LoadU(d, source + x)), d, target + x); };
    std::int64_t x = 0;
    for (; x + kLanes <= args.count; x += kLanes) copy(x);
    if (x < args.count) copy(args.count - kLanes);
  }
  return hn::AllTrue(d, within);
}

}  // namespace

inline constexpr CopyRowsFn<float> kCopyRowsF32 = copy_rows<float>;
inline constexpr CopyRowsFn<double> kCopyRowsF64 = copy_rows<double>;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

template <>
CopyRowsFn<float> copy_rows<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kCopyRowsF32)
}
template <>
CopyRowsFn<double> copy_rows<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kCopyRowsF64)
}

}  // namespace convt3d::kernels
#endif
