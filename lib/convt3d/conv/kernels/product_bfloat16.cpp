// `product` (product.cpp) for words of two bfloat16: AVX-512 BF16 multiplies the pairs and adds both products to a float32.
//
//   for position: for j: for tap: for k:  c[position][j] += a[position][k].low * b[k][j].low + a[position][k].high *
//   b[k][j].high
//
// Highway 1.0 has no target with these instructions, so they are named here, in functions compiled for them alone. Nothing
// of the standard library may be called there: the linker keeps one copy of an inline function, and might keep this one.
#include "convt3d/conv/kernels/kernels.hpp"

#if defined(__x86_64__)
#include <hwy/base.h>
#include <immintrin.h>

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
namespace convt3d::kernels {
namespace {

constexpr std::int64_t kLanes = 16;

template <int mr, int nr>
void micro_kernel(const ProductArgs<float>& args, std::int64_t first) {
  __m512 acc[mr][nr];
#pragma GCC unroll 16
  for (int i = 0; i < mr; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < nr; ++j) {
      acc[i][j] = args.init != nullptr ? _mm512_loadu_ps(args.init + j * kLanes) : _mm512_setzero_ps();
    }
  }
  for (std::int64_t tap = 0; tap < args.tap_count; ++tap) {
    const float* a[(mr + 2) / 3];  // three positions from one pointer, as in product.cpp
#pragma GCC unroll 6
    for (int i = 0; i < (mr + 2) / 3; ++i) a[i] = args.a + (first + 3 * i) * args.lda + args.taps[tap].a_offset;
    const float* b = args.b + args.taps[tap].b_offset;
    for (std::int64_t k = 0; k < args.k; ++k, b += nr * kLanes) {
      __m512i row[nr];
#pragma GCC unroll 4
      for (int j = 0; j < nr; ++j) row[j] = _mm512_load_si512(b + j * kLanes);
#pragma GCC unroll 16
      for (int i = 0; i < mr; ++i) {
        const __m512i pair = _mm512_castps_si512(_mm512_set1_ps(a[i / 3][(i % 3) * args.lda + k]));
#pragma GCC unroll 4
        for (int j = 0; j < nr; ++j) acc[i][j] = _mm512_dpbf16_ps(acc[i][j], (__m512bh)row[j], (__m512bh)pair);
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < mr; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < nr; ++j) _mm512_store_ps(args.c[j] + (first + i) * args.ldc, acc[i][j]);
  }
}

template <int nr, int most = product_positions(nr, /*wide=*/true)>
void positions_from(const ProductArgs<float>& args, std::int64_t first, std::int64_t mr) {
  if constexpr (most > 0) {
    if (mr == most) return micro_kernel<most, nr>(args, first);
    positions_from<nr, most - 1>(args, first, mr);
  }
}

/// Splits the positions into blocks of nearly equal size.
template <int nr>
void blocks(const ProductArgs<float>& args) {
  constexpr int most = product_positions(nr, /*wide=*/true);
  std::int64_t left = (args.positions + most - 1) / most;
  for (std::int64_t first = 0; first < args.positions; --left) {
    const std::int64_t mr = (args.positions - first + left - 1) / left;
    positions_from<nr>(args, first, mr);
    first += mr;
  }
}

void product(const ProductArgs<float>& all) {
  ProductArgs<float> args = all;
  for (; args.rows > 0; --args.rows) {
    switch (args.nr) {
      case 1: blocks<1>(args); break;
      case 2: blocks<2>(args); break;
      default: blocks<3>(args);
    }
    args.a += args.row_a;
    for (int j = 0; j < args.nr; ++j) args.c[j] += args.row_c;
  }
}

void narrow(const NarrowArgs& args) {
  for (std::int64_t x = 0; x < args.columns; ++x) {
    const float* source = args.source + x * args.source_ld;
    float* target = args.target + x * args.target_ld;
    for (std::int64_t k = 0; k < args.pairs; k += kLanes) {
      const std::int64_t left = args.pairs - k;
      const auto mask = static_cast<__mmask32>(left < kLanes ? (std::uint64_t{1} << (2 * left)) - 1 : 0xffffffffU);
      const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), source + 2 * k);
      const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), source + 2 * k + kLanes);
      _mm512_mask_storeu_epi16(target + k, mask, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
  }
}

}  // namespace

ProductFn<float> product_bfloat16() { return product; }
NarrowFn narrow_to_bfloat16() { return narrow; }

}  // namespace convt3d::kernels
HWY_POP_ATTRIBUTES

#else

namespace convt3d::kernels {

ProductFn<float> product_bfloat16() { return nullptr; }
NarrowFn narrow_to_bfloat16() { return nullptr; }

}  // namespace convt3d::kernels
#endif
