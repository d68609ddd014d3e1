// Interpolation along w, by gathering, and of rows: what expands a volume on one axis after the other.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/interpolate.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>

#include "convt3d/conv/kernels/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

/// What has no weight is left out, be it NaN or infinite.
template <typename T>
void expand_row(const ExpandRowArgs<T>& args) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> indices;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  const auto zero = hn::Zero(d);
  const auto one = hn::Set(d, T(1));
  for (std::int64_t x = 0; x < args.count; x += kLanes) {
    const auto weight = hn::Load(d, args.weight + x);
    const auto a = hn::GatherIndex(d, args.source, hn::Load(indices, args.first + x));
    const auto b = hn::GatherIndex(d, args.source, hn::Load(indices, args.second + x));
    const auto second = hn::IfThenZeroElse(hn::Eq(weight, zero), hn::Mul(weight, b));
    hn::Store(hn::MulAdd(hn::Sub(one, weight), a, second), d, args.target + x);
  }
}

template <typename T, int Rows>
void blend(const BlendRowsArgs<T>& args) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  const auto w0 = hn::Set(d, args.weights[0]);
  const auto w1 = hn::Set(d, args.weights[1]);
  const auto w2 = hn::Set(d, args.weights[2]);
  const auto w3 = hn::Set(d, args.weights[3]);
  for (std::int64_t x = 0; x < args.count; x += kLanes) {
    auto sum = hn::Mul(w0, hn::Load(d, args.rows[0] + x));
    if constexpr (Rows > 1) sum = hn::MulAdd(w1, hn::Load(d, args.rows[1] + x), sum);
    if constexpr (Rows > 2) sum = hn::MulAdd(w2, hn::Load(d, args.rows[2] + x), sum);
    if constexpr (Rows > 3) sum = hn::MulAdd(w3, hn::Load(d, args.rows[3] + x), sum);
    hn::Store(sum, d, args.target + x);
  }
}

template <typename T>
void blend_rows(const BlendRowsArgs<T>& args) {
  switch (args.row_count) {
    case 1: return blend<T, 1>(args);
    case 2: return blend<T, 2>(args);
    case 3: return blend<T, 3>(args);
    default: return blend<T, 4>(args);
  }
}

}  // namespace

inline constexpr ExpandRowFn<float> kExpandRowF32 = expand_row<float>;
inline constexpr ExpandRowFn<double> kExpandRowF64 = expand_row<double>;
inline constexpr BlendRowsFn<float> kBlendRowsF32 = blend_rows<float>;
inline constexpr BlendRowsFn<double> kBlendRowsF64 = blend_rows<double>;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

template <>
ExpandRowFn<float> expand_row<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kExpandRowF32)
}
template <>
ExpandRowFn<double> expand_row<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kExpandRowF64)
}
template <>
BlendRowsFn<float> blend_rows<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kBlendRowsF32)
}
template <>
BlendRowsFn<double> blend_rows<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kBlendRowsF64)
}

}  // namespace convt3d::kernels
#endif
