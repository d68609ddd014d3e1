// Included by each file of kernels that is compiled once per instruction set (in its HWY_ONCE part):
// CONVT3D_FOR_ISA(isa, object) returns that instruction set's object, or the baseline's.
#pragma once

#include <hwy/highway.h>

#include "convt3d/base/machine.hpp"

#if HWY_TARGETS & HWY_SSE4
#define CONVT3D_CASE_SSE4(object) \
  case Isa::kSse4:                \
    return N_SSE4::object;
#else
#define CONVT3D_CASE_SSE4(object)
#endif
#if HWY_TARGETS & HWY_AVX2
#define CONVT3D_CASE_AVX2(object) \
  case Isa::kAvx2:                \
    return N_AVX2::object;
#else
#define CONVT3D_CASE_AVX2(object)
#endif
#if HWY_TARGETS & HWY_AVX3
#define CONVT3D_CASE_AVX512(object) \
  case Isa::kAvx512:                \
    return N_AVX3::object;
#else
#define CONVT3D_CASE_AVX512(object)
#endif
#if HWY_TARGETS & HWY_NEON
#define CONVT3D_CASE_NEON(object) \
  case Isa::kNeon:                \
    return N_NEON::object;
#else
#define CONVT3D_CASE_NEON(object)
#endif

#define CONVT3D_FOR_ISA(isa, object)       \
  switch (isa) {                           \
    CONVT3D_CASE_SSE4(object)              \
    CONVT3D_CASE_AVX2(object)              \
    CONVT3D_CASE_AVX512(object)            \
    CONVT3D_CASE_NEON(object)              \
    default: return HWY_NAMESPACE::object; \
  }
