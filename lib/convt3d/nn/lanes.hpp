#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

/// Transcendental functions for loops over many elements. The float ones have no branch, call or table, so that a compiler
/// turns such a loop into vector instructions; their errors are below 2 ulp. NaN gives NaN. The double ones are std's.
namespace convt3d::lanes {

/// x = n·ln2 + r with n integer and |r| <= ln2/2 (and a rounding). Needs |x| < 2^15.
struct Reduced {
  std::uint32_t n;  ///< two's complement
  float integer;    ///< n, as a float
  float r;
};

inline Reduced reduce(float x) {
  // Adding 1.5·2^23 leaves no room for a fraction: the sum's low bits are round(x / ln2).
  constexpr float kMagic = 0x1.8p23f;
  const float shifted = x * 0x1.715476p0f + kMagic;
  const float integer = shifted - kMagic;
  // ln2 in two parts: the first has 16 bits, so its product with an |n| below 2^8 is exact.
  const float r = (x - integer * 0x1.62e4p-1f) - integer * 0x1.7f7d1cp-20f;
  return {std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(kMagic), integer, r};
}

/// exp(r) - 1 for |r| <= ln2/2: the Taylor series; the first term left out is r^8/8! < 1.5e-8 · r.
inline float expm1_reduced(float r) {
  float sum = 1.0f / 5040;
  sum = sum * r + 1.0f / 720;
  sum = sum * r + 1.0f / 120;
  sum = sum * r + 1.0f / 24;
  sum = sum * r + 1.0f / 6;
  sum = sum * r + 0.5f;
  return r + r * r * sum;
}

/// 2^n for n in [-126, 127].
inline float power_of_two(std::uint32_t n) { return std::bit_cast<float>((n + 127) << 23); }

/// exp(x); +inf from 88.73 on, subnormals and then 0 far below.
inline float exp(float x) {
  const float low = x < -110.0f ? -110.0f : x;
  const Reduced reduced = reduce(low > 90.0f ? 90.0f : low);
  // 2^n in two factors, since n runs from -159 to 130 and one factor reaches from -126 to 127.
  const std::uint32_t half = (reduced.n + 1024) / 2 - 512;
  return (1 + expm1_reduced(reduced.r)) * power_of_two(half) * power_of_two(reduced.n - half);
}

/// exp(x) - 1 for x <= 0, exact in relative terms near 0 too: 2^n·(exp(r) - 1) + (2^n - 1).
inline float expm1_of_nonpositive(float x) {
  const Reduced reduced = reduce(x < -30.0f ? -30.0f : x);
  const float scale = power_of_two(reduced.n);
  return scale * expm1_reduced(reduced.r) + (scale - 1);
}

/// log(1 + u) for u in [0, 1]: 2·artanh(w), w = u/(2 + u) <= 1/3; the first term left out is w^16/17 < 1.4e-9 of the sum.
inline float log1p_of_fraction(float u) {
  const float w = u / (2 + u);
  const float square = w * w;
  float sum = 1.0f / 15;
  sum = sum * square + 1.0f / 13;
  sum = sum * square + 1.0f / 11;
  sum = sum * square + 1.0f / 9;
  sum = sum * square + 1.0f / 7;
  sum = sum * square + 1.0f / 5;
  sum = sum * square + 1.0f / 3;
  return 2 * w + 2 * w * square * sum;
}

/// tanh(x) = sign(x)·(1 - e)/(1 + e), e = exp(-2|x|).
inline float tanh(float x) {
  const float e = expm1_of_nonpositive(-2 * std::fabs(x));
  return std::copysign(-e / (2 + e), x);
}

/// The standard normal distribution function, in [0, 1]. Its tail is exp(-a²/2)·t·R(t) with a = |x|, t = 1/(1 + 0.3·a); R is
/// a least-maximum fit of degree 9 to 0.5·erfc(a/√2)·exp(a²/2)/t over 0 <= a <= 14, relative error 3.5e-9.
inline float normal_cdf(float x) {
  const float a = std::fabs(x);
  const float t = 1 / (1 + 0.3f * a);
  float sum = -0x1.51e572p-6f;
  sum = sum * t + 0x1.cc89c2p-4f;
  sum = sum * t - 0x1.d36234p-3f;
  sum = sum * t + 0x1.88c710p-3f;
  sum = sum * t - 0x1.4552c4p-4f;
  sum = sum * t + 0x1.89dc62p-4f;
  sum = sum * t + 0x1.41154ap-4f;
  sum = sum * t + 0x1.c38644p-4f;
  sum = sum * t + 0x1.e9c422p-4f;
  sum = sum * t + 0x1.ea3c98p-4f;
  const float tail = lanes::exp(-0.5f * a * a) * sum * t;
  const float upper = 1 - tail;
  return x > 0 ? upper : tail;
}

inline double exp(double x) { return std::exp(x); }
inline double expm1_of_nonpositive(double x) { return std::expm1(x); }
inline double log1p_of_fraction(double u) { return std::log1p(u); }
inline double tanh(double x) { return std::tanh(x); }
inline double normal_cdf(double x) { return 0.5 * std::erfc(x * -0.70710678118654752440); }

}  // namespace convt3d::lanes
