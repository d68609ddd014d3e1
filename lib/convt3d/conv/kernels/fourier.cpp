// Fourier transforms of 8, 12 or 16 real elements on lines of vectors, for correlations of more taps than Winograd's
// transforms take without rounding too much.
//
// With N elements and θ = 2π/N, the points of x are X0 and X(N/2), which are real, and the real and imaginary parts of
//   Xk = Σ_n x[n] e^(-iθkn),  1 <= k < N/2.
// Elements are taken apart twice, about four operations a point: into e[n] = x[n] + x[n+N/2] for even k, whose points are
// those of a transform of half the length, and o[n] = x[n] - x[n+N/2] for odd k, n < N/2; then into sums and differences of
// what stands at n and N/2-n, of which cosines need the one and sines the other. The way back is the same in reverse.
//
// For a correlation y[j] = Σ_k x[j+k] g[k], Y = X H with H = Σ_k g[k] e^(iθk). Of the N y those wrap around that reach
// past the last x; the first N+1 - taps do not, and are kept. More of them are right where what lies past the last x is zero
// and so are the first x, in whose place they read. The factor of the way back, 1/N for the real points and 2/N for the
// others, which stand for their conjugates too, is in H.
//
// A complex product X H takes four real ones; or three, of a triple of points each:
//   a = (Re X + Im X) Re H,   b = Re X (Im H - Re H),   c = Im X (Re H + Im H);   Re XH = a - c,   Im XH = a + b.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/fourier.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>
#include <iterator>

#include "convt3d/conv/kernels/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::ScalableTag<float>;
using V = hn::Vec<Tag>;

constexpr float kSin60 = 0.866025403784438647F;
constexpr float kSin45 = 0.707106781186547524F;
constexpr float kSin22 = 0.382683432365089772F;  // of a sixteenth of a turn
constexpr float kCos22 = 0.923879532511286756F;

HWY_INLINE V scaled(float factor, V x) { return hn::Mul(hn::Set(Tag(), factor), x); }
HWY_INLINE V plus(V a, float factor, V x) { return hn::MulAdd(hn::Set(Tag(), factor), x, a); }

/// The points stand in this order: X0, X(N/2), Re X1, Im X1, Re X2, ...
HWY_INLINE void forward(const V (&x)[8], V (&points)[8]) {
  V e[4], o[4];
#pragma GCC unroll 4
  for (int n = 0; n < 4; ++n) {
    e[n] = hn::Add(x[n], x[n + 4]);
    o[n] = hn::Sub(x[n], x[n + 4]);
  }
  const V e02 = hn::Add(e[0], e[2]), e13 = hn::Add(e[1], e[3]);
  points[0] = hn::Add(e02, e13);
  points[1] = hn::Sub(e02, e13);
  points[4] = hn::Sub(e[0], e[2]);  // X2
  points[5] = hn::Sub(e[3], e[1]);
  const V c13 = hn::Sub(o[1], o[3]), s13 = hn::Add(o[1], o[3]);
  points[2] = plus(o[0], kSin45, c13);  // X1
  points[3] = hn::Neg(plus(o[2], kSin45, s13));
  points[6] = plus(o[0], -kSin45, c13);  // X3
  points[7] = plus(o[2], -kSin45, s13);
}

HWY_INLINE void forward(const V (&x)[12], V (&points)[12]) {
  V e[6], o[6];
#pragma GCC unroll 8
  for (int n = 0; n < 6; ++n) {
    e[n] = hn::Add(x[n], x[n + 6]);
    o[n] = hn::Sub(x[n], x[n + 6]);
  }
  const V e15 = hn::Add(e[1], e[5]), e24 = hn::Add(e[2], e[4]);
  const V d15 = hn::Sub(e[1], e[5]), d24 = hn::Sub(e[2], e[4]);
  points[0] = hn::Add(hn::Add(e[0], e[3]), hn::Add(e15, e24));
  points[1] = hn::Add(hn::Sub(e[0], e[3]), hn::Sub(e24, e15));
  points[4] = plus(plus(hn::Sub(e[0], e[3]), 0.5F, e15), -0.5F, e24);  // X2
  points[5] = scaled(-kSin60, hn::Add(d15, d24));
  points[8] = plus(hn::Add(e[0], e[3]), -0.5F, hn::Add(e15, e24));  // X4
  points[9] = scaled(kSin60, hn::Sub(d24, d15));
  const V o15 = hn::Add(o[1], o[5]), o24 = hn::Add(o[2], o[4]);
  const V c15 = hn::Sub(o[1], o[5]), c24 = hn::Sub(o[2], o[4]);
  const V re = plus(o[0], 0.5F, c24), im = plus(o[3], 0.5F, o15);
  points[2] = plus(re, kSin60, c15);  // X1
  points[3] = hn::Neg(plus(im, kSin60, o24));
  points[6] = hn::Sub(o[0], c24);  // X3
  points[7] = hn::Sub(o[3], o15);
  points[10] = plus(re, -kSin60, c15);  // X5
  points[11] = plus(hn::Neg(im), kSin60, o24);
}

HWY_INLINE void forward(const V (&x)[16], V (&points)[16]) {
  V e[8], o[8], even[8];
#pragma GCC unroll 8
  for (int n = 0; n < 8; ++n) {
    e[n] = hn::Add(x[n], x[n + 8]);
    o[n] = hn::Sub(x[n], x[n + 8]);
  }
  forward(e, even);
  points[0] = even[0];
  points[1] = even[1];
#pragma GCC unroll 4
  for (int k = 1; k < 4; ++k) {
    points[4 * k] = even[2 * k];
    points[4 * k + 1] = even[2 * k + 1];
  }
  const V c1 = hn::Sub(o[1], o[7]), c2 = hn::Sub(o[2], o[6]), c3 = hn::Sub(o[3], o[5]);
  const V s1 = hn::Add(o[1], o[7]), s2 = hn::Add(o[2], o[6]), s3 = hn::Add(o[3], o[5]);
  const V re17 = plus(o[0], kSin45, c2), re71 = plus(scaled(kCos22, c1), kSin22, c3);
  const V re35 = plus(o[0], -kSin45, c2), re53 = plus(scaled(kSin22, c1), -kCos22, c3);
  const V im17 = plus(o[4], kSin45, s2), im71 = plus(scaled(kSin22, s1), kCos22, s3);
  const V im35 = plus(hn::Neg(o[4]), kSin45, s2), im53 = plus(scaled(kCos22, s1), -kSin22, s3);
  points[2] = hn::Add(re17, re71);  // X1
  points[3] = hn::Neg(hn::Add(im17, im71));
  points[6] = hn::Add(re35, re53);  // X3
  points[7] = hn::Neg(hn::Add(im35, im53));
  points[10] = hn::Sub(re35, re53);  // X5
  points[11] = hn::Sub(im35, im53);
  points[14] = hn::Sub(re17, re71);  // X7
  points[15] = hn::Sub(im17, im71);
}

/// The way back, y[n] = X0 + (-1)^n X(N/2) + Σ_k (Re Xk cos θkn - Im Xk sin θkn): a[n] from even k and b[n] from odd ones,
/// of which y[n] is the sum and y[n+N/2] the difference.
HWY_INLINE void backward(const V (&points)[8], V (&y)[8]) {
  const V sum = hn::Add(points[0], points[1]), difference = hn::Sub(points[0], points[1]);
  const V c13 = scaled(kSin45, hn::Sub(points[2], points[6])), s13 = scaled(kSin45, hn::Add(points[3], points[7]));
  const V a[4] = {hn::Add(sum, points[4]), hn::Sub(difference, points[5]), hn::Sub(sum, points[4]),
                  hn::Add(difference, points[5])};
  const V b[4] = {hn::Add(points[2], points[6]), hn::Sub(c13, s13), hn::Sub(points[7], points[3]),
                  hn::Neg(hn::Add(c13, s13))};
#pragma GCC unroll 4
  for (int n = 0; n < 4; ++n) {
    y[n] = hn::Add(a[n], b[n]);
    y[n + 4] = hn::Sub(a[n], b[n]);
  }
}

HWY_INLINE void backward(const V (&points)[12], V (&y)[12]) {
  V a[6], b[6];
  const V sum = hn::Add(points[0], points[1]), difference = hn::Sub(points[0], points[1]);
  const V re24 = hn::Add(points[4], points[8]), im24 = hn::Add(points[5], points[9]);
  const V re42 = hn::Sub(points[4], points[8]), im42 = hn::Sub(points[5], points[9]);
  const V a15 = plus(difference, 0.5F, re42), a24 = plus(sum, -0.5F, re24);
  a[0] = hn::Add(sum, re24);
  a[3] = hn::Sub(difference, re42);
  a[1] = plus(a15, -kSin60, im24);
  a[5] = plus(a15, kSin60, im24);
  a[2] = plus(a24, -kSin60, im42);
  a[4] = plus(a24, kSin60, im42);
  const V re15 = hn::Add(points[2], points[10]), im15 = hn::Add(points[3], points[11]);
  const V re51 = hn::Sub(points[2], points[10]), im51 = hn::Sub(points[3], points[11]);
  const V b15 = plus(hn::Neg(points[7]), -0.5F, im15), b24 = plus(hn::Neg(points[6]), 0.5F, re15);
  b[0] = hn::Add(re15, points[6]);
  b[3] = hn::Sub(points[7], im15);
  b[1] = plus(b15, kSin60, re51);
  b[5] = plus(b15, -kSin60, re51);
  b[2] = plus(b24, -kSin60, im51);
  b[4] = plus(hn::Neg(b24), -kSin60, im51);
#pragma GCC unroll 8
  for (int n = 0; n < 6; ++n) {
    y[n] = hn::Add(a[n], b[n]);
    y[n + 6] = hn::Sub(a[n], b[n]);
  }
}

HWY_INLINE void backward(const V (&points)[16], V (&y)[16]) {
  const V even[8] = {points[0], points[1], points[4], points[5], points[8], points[9], points[12], points[13]};
  V a[8], b[8];
  backward(even, a);
  const V re17 = hn::Add(points[2], points[14]), re71 = hn::Sub(points[2], points[14]);
  const V re35 = hn::Add(points[6], points[10]), re53 = hn::Sub(points[6], points[10]);
  const V im17 = hn::Add(points[3], points[15]), im71 = hn::Sub(points[3], points[15]);
  const V im35 = hn::Add(points[7], points[11]), im53 = hn::Sub(points[7], points[11]);
  const V c1 = plus(scaled(kCos22, re71), kSin22, re53), s1 = plus(scaled(kSin22, im17), kCos22, im35);
  const V c2 = scaled(kSin45, hn::Sub(re17, re35)), s2 = scaled(kSin45, hn::Add(im71, im53));
  const V c3 = plus(scaled(kSin22, re71), -kCos22, re53), s3 = plus(scaled(kCos22, im17), -kSin22, im35);
  b[0] = hn::Add(re17, re35);
  b[1] = hn::Sub(c1, s1);
  b[2] = hn::Sub(c2, s2);
  b[3] = hn::Sub(c3, s3);
  b[4] = hn::Sub(im53, im71);
  b[5] = hn::Neg(hn::Add(c3, s3));
  b[6] = hn::Neg(hn::Add(c2, s2));
  b[7] = hn::Neg(hn::Add(c1, s1));
#pragma GCC unroll 8
  for (int n = 0; n < 8; ++n) {
    y[n] = hn::Add(a[n], b[n]);
    y[n + 8] = hn::Sub(a[n], b[n]);
  }
}

/// Calls body(source, target) for every line.
template <class Body>
HWY_INLINE void for_each_line(const LinesArgs& args, const Body& body) {
  for (std::int64_t outer = 0; outer < args.outer; ++outer) {
    const float* source = args.source + outer * args.source_outer;
    float* target = args.target + outer * args.target_outer;
    for (std::int64_t inner = 0; inner < args.inner; ++inner, source += args.source_inner, target += args.target_inner)
      body(source, target);
  }
}

/// Inputs to pairs.
template <int size, int outputs>
void input_pairs(const LinesArgs& args) {
  const Tag d;
  for_each_line(args, [&](const float* source, float* target) {
    V x[size], points[size];
#pragma GCC unroll 16
    for (int j = 0; j < size; ++j) x[j] = hn::LoadU(d, source + j * args.source_step + j / outputs * args.source_fold);
    forward(x, points);
#pragma GCC unroll 16
    for (int j = 0; j < size; ++j) hn::StoreU(points[j], d, target + j * args.target_step);
  });
}

/// Inputs to triples.
template <int size>
void input_triples(const LinesArgs& args) {
  const Tag d;
  for_each_line(args, [&](const float* source, float* target) {
    V x[size], points[size];
#pragma GCC unroll 16
    for (int j = 0; j < size; ++j) x[j] = hn::LoadU(d, source + j * args.source_step);
    forward(x, points);
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) hn::StoreU(points[j], d, target + j * args.target_step);
#pragma GCC unroll 8
    for (int k = 1; k < size / 2; ++k) {
      float* const triple = target + (3 * k - 1) * args.target_step;
      hn::StoreU(hn::Add(points[2 * k], points[2 * k + 1]), d, triple);
      hn::StoreU(points[2 * k], d, triple + args.target_step);
      hn::StoreU(points[2 * k + 1], d, triple + 2 * args.target_step);
    }
  });
}

template <int size, bool triples, int outputs>
void output_lines(const LinesArgs& args) {
  const Tag d;
  const V init = args.init != nullptr ? hn::LoadU(d, args.init) : hn::Zero(d);
  for_each_line(args, [&](const float* source, float* target) {
    const auto load = [&](int j) { return hn::LoadU(d, source + j * args.source_step); };
    V points[size], y[size];
    points[0] = load(0);
    points[1] = load(1);
#pragma GCC unroll 8
    for (int k = 1; k < size / 2; ++k) {
      if constexpr (triples) {
        const V both = load(3 * k - 1);
        points[2 * k] = hn::Sub(both, load(3 * k + 1));
        points[2 * k + 1] = hn::Add(both, load(3 * k));
      } else {
        points[2 * k] = load(2 * k);
        points[2 * k + 1] = load(2 * k + 1);
      }
    }
    backward(points, y);
#pragma GCC unroll 16
    for (int j = 0; j < outputs; ++j) hn::StoreU(hn::Add(y[j], init), d, target + j * args.target_step);
  });
}

/// rows = body(rows), four vectors at a time.
template <class Body>
HWY_INLINE void for_each_quad(const QuadArgs& args, const Body& body) {
  const Tag d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  for (std::int64_t x = 0; x < args.count; x += kLanes) {
    V v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) v[i] = hn::LoadU(d, args.rows[i] + x);
    body(v);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) hn::StoreU(v[i], d, args.rows[i] + x);
  }
}

void split_lines(const QuadArgs& args) {
  for_each_quad(args, [](V(&v)[4]) {
    const V rr = v[0], ri = v[1], ir = v[2], ii = v[3];
    v[0] = hn::Sub(rr, ii);
    v[1] = hn::Add(ri, ir);
    v[2] = hn::Add(rr, ii);
    v[3] = hn::Sub(ir, ri);
  });
}

void join_lines(const QuadArgs& args) {
  for_each_quad(args, [](V(&v)[4]) {
    const V re = v[0], im = v[1], re_other = v[2], im_other = v[3];  // at (k, l) and (k, -l)
    v[0] = hn::Add(re, re_other);
    v[1] = hn::Sub(im, im_other);
    v[2] = hn::Add(im, im_other);
    v[3] = hn::Sub(re_other, re);
  });
}

}  // namespace

template <int size, int outputs = size>
LinesFn input_of(WinogradScheme scheme) {
  if (scheme.triples) return input_triples<size>;
  if constexpr (outputs == fewest_fourier_outputs(size)) {
    return input_pairs<size, outputs>;
  } else {
    return scheme.outputs == outputs ? input_pairs<size, outputs> : input_of<size, outputs - 1>(scheme);
  }
}
template <int size, int outputs = size>
LinesFn output_of(WinogradScheme scheme) {
  if (scheme.outputs == outputs)
    return scheme.triples ? output_lines<size, true, outputs> : output_lines<size, false, outputs>;
  if constexpr (outputs == fewest_fourier_outputs(size)) {
    return nullptr;
  } else {
    return output_of<size, outputs - 1>(scheme);
  }
}
static_assert(std::size(kFourierSizes) == 3);
inline LinesFn fourier_input_of(WinogradScheme scheme) {
  return scheme.fourier == 8 ? input_of<8>(scheme) : scheme.fourier == 12 ? input_of<12>(scheme) : input_of<16>(scheme);
}
inline LinesFn fourier_output_of(WinogradScheme scheme) {
  return scheme.fourier == 8 ? output_of<8>(scheme) : scheme.fourier == 12 ? output_of<12>(scheme) : output_of<16>(scheme);
}
inline constexpr QuadFn kSplit = split_lines;
inline constexpr QuadFn kJoin = join_lines;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

LinesFn fourier_input(Isa isa, WinogradScheme scheme){CONVT3D_FOR_ISA(isa, fourier_input_of(scheme))} LinesFn
    fourier_output(Isa isa, WinogradScheme scheme){CONVT3D_FOR_ISA(isa, fourier_output_of(scheme))} QuadFn
    split_frequencies(Isa isa){CONVT3D_FOR_ISA(isa, kSplit)} QuadFn join_frequencies(Isa isa) {
  CONVT3D_FOR_ISA(isa, kJoin)
}

}  // namespace convt3d::kernels
#endif
