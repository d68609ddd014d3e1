// Vectors stored with their lanes in turn; compiled once per instruction set.
#if defined(CONVT3D_INTERLEAVE_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVT3D_INTERLEAVE_INL_HPP
#undef CONVT3D_INTERLEAVE_INL_HPP
#else
#define CONVT3D_INTERLEAVE_INL_HPP
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Lanes of two vectors in turn: v0[0] v1[0] v0[1] v1[1] ... to two vectors at `target`.
template <class D, class V = hn::Vec<D>, typename T = hn::TFromD<D>>
HWY_INLINE void store_in_turn(D d, V v0, V v1, T* target) {
#if HWY_TARGET == HWY_AVX3
  // One permutation of two registers each, where Highway's way by 128-bit blocks takes three.
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(d));
  if constexpr (sizeof(T) == 4) {
    const __m512i lower = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i upper = _mm512_add_epi32(lower, _mm512_set1_epi32(8));
    hn::StoreU(V{_mm512_permutex2var_ps(v0.raw, lower, v1.raw)}, d, target);
    hn::StoreU(V{_mm512_permutex2var_ps(v0.raw, upper, v1.raw)}, d, target + kLanes);
  } else {
    const __m512i lower = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i upper = _mm512_add_epi64(lower, _mm512_set1_epi64(4));
    hn::StoreU(V{_mm512_permutex2var_pd(v0.raw, lower, v1.raw)}, d, target);
    hn::StoreU(V{_mm512_permutex2var_pd(v0.raw, upper, v1.raw)}, d, target + kLanes);
  }
#elif HWY_TARGET != HWY_SCALAR
  hn::StoreInterleaved2(v0, v1, d, target);
#else
  hn::StoreU(v0, d, target);
  hn::StoreU(v1, d, target + 1);
#endif
}

/// Lanes of `count` vectors in turn, 1 to 4 of them, to as many at `target`.
template <int count, class D, class V = hn::Vec<D>, typename T = hn::TFromD<D>>
HWY_INLINE void store_interleaved(D d, const V* vectors, T* target) {
  if constexpr (count == 1) {
    hn::StoreU(vectors[0], d, target);
  } else if constexpr (count == 2) {
    store_in_turn(d, vectors[0], vectors[1], target);
#if HWY_TARGET != HWY_SCALAR
  } else if constexpr (count == 3) {
    hn::StoreInterleaved3(vectors[0], vectors[1], vectors[2], d, target);
  } else {
    hn::StoreInterleaved4(vectors[0], vectors[1], vectors[2], vectors[3], d, target);
#else
  } else {
    for (int p = 0; p < count; ++p) hn::StoreU(vectors[p], d, target + p);
#endif
  }
}

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
