// Loads and stores of part of a vector that touch nothing beyond it; compiled once per instruction set.
#if defined(CONVT3D_PARTIAL_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVT3D_PARTIAL_INL_HPP
#undef CONVT3D_PARTIAL_INL_HPP
#else
#define CONVT3D_PARTIAL_INL_HPP
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Below AVX2 Highway's masked operations read, or read and write back, whole vectors: past the end of a page, or over what
// another thread has just written.
#define CONVT3D_MASKED_MEMORY (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3)

/// The first `count` elements at `from`, zero in the lanes behind; count <= lanes.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load_first(D d, const T* from, std::int64_t count) {
#if CONVT3D_MASKED_MEMORY
  return hn::MaskedLoad(hn::FirstN(d, static_cast<std::size_t>(count)), d, from);
#else
  HWY_ALIGN T lanes[hn::MaxLanes(d)] = {};
  std::memcpy(lanes, from, static_cast<std::size_t>(count) * sizeof(T));
  return hn::Load(d, lanes);
#endif
}

/// Stores the first `count` lanes.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE void store_first(hn::Vec<D> v, D d, T* to, std::int64_t count) {
#if CONVT3D_MASKED_MEMORY
  hn::BlendedStore(v, hn::FirstN(d, static_cast<std::size_t>(count)), d, to);
#else
  HWY_ALIGN T lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  std::memcpy(to, lanes, static_cast<std::size_t>(count) * sizeof(T));
#endif
}

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
