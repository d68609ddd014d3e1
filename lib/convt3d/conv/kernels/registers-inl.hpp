// How many registers there are, and hints on what stays in them; compiled once per instruction set.
#if defined(CONVT3D_REGISTERS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVT3D_REGISTERS_INL_HPP
#undef CONVT3D_REGISTERS_INL_HPP
#else
#define CONVT3D_REGISTERS_INL_HPP
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {

/// Whether there are 32 of them, not 16.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr bool kWide = true;
#else
constexpr bool kWide = false;
#endif

/// Keeps vectors in registers that have been loaded: with few columns GCC would load them once more in every multiply-add
/// instead, and of unaligned loads there is one a cycle.
template <int count, class V>
HWY_INLINE void keep_loaded(V (&x)[count]) {
#if HWY_ARCH_X86 && HWY_COMPILER_GCC_ACTUAL
#pragma GCC unroll 16
  for (int v = 0; v < count; ++v) asm("" : "+v"(x[v].raw));
#else
  (void)x;
#endif
}

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
