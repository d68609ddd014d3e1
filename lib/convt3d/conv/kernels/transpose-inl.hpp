// The transpose of a square of vectors in registers; compiled once per instruction set, hence Highway's toggle as the guard.
#if defined(CONVT3D_TRANSPOSE_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVT3D_TRANSPOSE_INL_HPP
#undef CONVT3D_TRANSPOSE_INL_HPP
#else
#define CONVT3D_TRANSPOSE_INL_HPP
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// r[i] holds row i of a square of floats as wide as a vector; afterwards r[j] holds its column j. First the 4 x 4 squares
/// inside the blocks of 128 bits (32-, then 64-bit interleaves), then the blocks themselves.
template <class D, class V = hn::Vec<D>, int kRows = static_cast<int>(hn::MaxLanes(D()))>
HWY_INLINE void transpose(D d, V (&r)[kRows]) {
#if HWY_TARGET == HWY_SCALAR
  static_cast<void>(d), static_cast<void>(r);  // one row of one element
#else
  const hn::Repartition<double, D> d64;
  V t[kRows];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; i += 4) {
    const auto ab_lower = hn::BitCast(d64, hn::InterleaveLower(d, r[i], r[i + 1]));
    const auto ab_upper = hn::BitCast(d64, hn::InterleaveUpper(d, r[i], r[i + 1]));
    const auto cd_lower = hn::BitCast(d64, hn::InterleaveLower(d, r[i + 2], r[i + 3]));
    const auto cd_upper = hn::BitCast(d64, hn::InterleaveUpper(d, r[i + 2], r[i + 3]));
    t[i + 0] = hn::BitCast(d, hn::InterleaveLower(d64, ab_lower, cd_lower));
    t[i + 1] = hn::BitCast(d, hn::InterleaveUpper(d64, ab_lower, cd_lower));
    t[i + 2] = hn::BitCast(d, hn::InterleaveLower(d64, ab_upper, cd_upper));
    t[i + 3] = hn::BitCast(d, hn::InterleaveUpper(d64, ab_upper, cd_upper));
  }
  // Block b of t[4*i + j] is now column 4*b + j of rows 4*i to 4*i + 3.
#pragma GCC unroll 16
  for (int j = 0; j < 4; ++j) {
    if constexpr (kRows == 4) {
      r[j] = t[j];
    } else if constexpr (kRows == 8) {
      r[j] = hn::ConcatLowerLower(d, t[4 + j], t[j]);
      r[4 + j] = hn::ConcatUpperUpper(d, t[4 + j], t[j]);
    } else {
      static_assert(kRows == 16);
      const V ac_lower = hn::ConcatLowerLower(d, t[8 + j], t[j]);  // blocks a0 a1 c0 c1
      const V ac_upper = hn::ConcatUpperUpper(d, t[8 + j], t[j]);
      const V bd_lower = hn::ConcatLowerLower(d, t[12 + j], t[4 + j]);
      const V bd_upper = hn::ConcatUpperUpper(d, t[12 + j], t[4 + j]);
      r[j] = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(bd_lower), ac_lower);  // a0 b0 c0 d0
      r[4 + j] = hn::OddEvenBlocks(bd_lower, hn::SwapAdjacentBlocks(ac_lower));
      r[8 + j] = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(bd_upper), ac_upper);
      r[12 + j] = hn::OddEvenBlocks(bd_upper, hn::SwapAdjacentBlocks(ac_upper));
    }
  }
#endif
}

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
