// Sums over rows, for means and variances. Each step of a lane is one of float widened to double, so that no cancellation
// that a scan can bring about reaches float's digits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/moments.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>
#include <type_traits>

#include "convt3d/conv/kernels/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using Wide = hn::ScalableTag<double>;

/// The next vector of doubles from floats or doubles.
template <typename T>
HWY_INLINE hn::Vec<Wide> widened(const T* values) {
  const Wide d;
  if constexpr (std::is_same_v<T, float>) {
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, Wide>(), values));
  } else {
    return hn::LoadU(d, values);
  }
}

/// 4 + 4 accumulators: an addition takes 4 cycles, and two of them begin in each.
template <typename T>
RowSums row_sums(const T* values, std::int64_t count, double shift) {
  const Wide d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  const auto shifts = hn::Set(d, shift);
  auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  auto squares0 = sum0, squares1 = sum0, squares2 = sum0, squares3 = sum0;
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    const auto x0 = hn::Sub(widened(values + i), shifts);
    const auto x1 = hn::Sub(widened(values + i + kLanes), shifts);
    const auto x2 = hn::Sub(widened(values + i + 2 * kLanes), shifts);
    const auto x3 = hn::Sub(widened(values + i + 3 * kLanes), shifts);
    sum0 = hn::Add(sum0, x0);
    sum1 = hn::Add(sum1, x1);
    sum2 = hn::Add(sum2, x2);
    sum3 = hn::Add(sum3, x3);
    squares0 = hn::MulAdd(x0, x0, squares0);
    squares1 = hn::MulAdd(x1, x1, squares1);
    squares2 = hn::MulAdd(x2, x2, squares2);
    squares3 = hn::MulAdd(x3, x3, squares3);
  }
  for (; i + kLanes <= count; i += kLanes) {
    const auto x = hn::Sub(widened(values + i), shifts);
    sum0 = hn::Add(sum0, x);
    squares0 = hn::MulAdd(x, x, squares0);
  }
  const auto sum = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
  const auto squares = hn::Add(hn::Add(squares0, squares1), hn::Add(squares2, squares3));
  RowSums sums{hn::GetLane(hn::SumOfLanes(d, sum)), hn::GetLane(hn::SumOfLanes(d, squares))};
  for (; i < count; ++i) {
    const double x = static_cast<double>(values[i]) - shift;
    sums.sum += x;
    sums.squares += x * x;
  }
  return sums;
}

}  // namespace

inline constexpr RowSumsFn<float> kRowSumsF32 = row_sums<float>;
inline constexpr RowSumsFn<double> kRowSumsF64 = row_sums<double>;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

template <>
RowSumsFn<float> row_sums<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kRowSumsF32)
}
template <>
RowSumsFn<double> row_sums<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kRowSumsF64)
}

}  // namespace convt3d::kernels
#endif
