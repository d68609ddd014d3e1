// Pointwise functions, in place on rows. One loop body serves whole vectors and tails, and every multiplication that is
// followed by an addition is written as MulAdd, so that no compiler's choice makes the bits of one element differ from
// another's.
//
// The float ones have no table and no branch; their errors are below 2 ulp. The transcendental ones of double are std's,
// lane by lane.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/pointwise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/partial-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

template <class D>
constexpr bool kIsDouble = std::is_same_v<hn::TFromD<D>, double>;

template <class D>
HWY_INLINE hn::Vec<D> constant(D d, double value) {
  return hn::Set(d, static_cast<hn::TFromD<D>>(value));
}

/// function(x) in every lane.
template <class D, class V, typename Function>
HWY_INLINE V lane_by_lane(D d, V x, const Function& function) {
  HWY_ALIGN double lanes[hn::MaxLanes(d)];
  hn::Store(x, d, lanes);
  for (double& lane : lanes) lane = function(lane);
  return hn::Load(d, lanes);
}

/// The polynomial with these coefficients, highest power first.
template <class D, class V, typename... Coefficients>
HWY_INLINE V polynomial(D d, V x, double highest, Coefficients... rest) {
  V sum = constant(d, highest);
  ((sum = hn::MulAdd(sum, x, constant(d, rest))), ...);
  return sum;
}

/// x = n·ln2 + r with n integer and |r| <= ln2/2 (and a rounding). Needs |x| < 2^15.
template <class D>
struct Reduced {
  hn::Vec<hn::RebindToUnsigned<D>> n;  ///< two's complement
  hn::Vec<D> r;
};

template <class D, class V>
HWY_INLINE Reduced<D> reduce(D d, V x) {
  const hn::RebindToUnsigned<D> bits;
  // Adding 1.5·2^23 leaves no room for a fraction: the sum's low bits are round(x / ln2).
  const V magic = constant(d, 0x1.8p23);
  const V shifted = hn::MulAdd(x, constant(d, 0x1.715476p0), magic);
  const V integer = hn::Sub(shifted, magic);
  // ln2 in two parts: the first has 16 bits, so its product with an |n| below 2^8 is exact.
  const V r = hn::NegMulAdd(integer, constant(d, 0x1.7f7d1cp-20), hn::NegMulAdd(integer, constant(d, 0x1.62e4p-1), x));
  return {hn::Sub(hn::BitCast(bits, shifted), hn::BitCast(bits, magic)), r};
}

/// exp(r) - 1 for |r| <= ln2/2: the Taylor series; the first term left out is r^8/8! < 1.5e-8 · r.
template <class D, class V>
HWY_INLINE V expm1_reduced(D d, V r) {
  const V sum = polynomial(d, r, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5);
  return hn::MulAdd(hn::Mul(r, r), sum, r);
}

/// 2^n for n in [-126, 127].
template <class D, class N>
HWY_INLINE hn::Vec<D> power_of_two(D d, N n) {
  const hn::RebindToUnsigned<D> bits;
  return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(n, hn::Set(bits, 127))));
}

/// x where it is at least `least`, else that; NaN stays.
template <class D, class V>
HWY_INLINE V at_least(D, V x, V least) {
  return hn::IfThenElse(hn::Lt(x, least), least, x);
}

/// exp(x); +inf from 88.73 on, subnormals and then 0 far below.
template <class D, class V>
HWY_INLINE V exp(D d, V x) {
  if constexpr (kIsDouble<D>) {
    return lane_by_lane(d, x, [](double e) { return std::exp(e); });
  } else {
    const V low = at_least(d, x, constant(d, -110));
    const V high = constant(d, 90);
    const Reduced<D> reduced = reduce(d, hn::IfThenElse(hn::Gt(low, high), high, low));
    // 2^n in two factors, since n runs from -159 to 130 and one factor reaches from -126 to 127.
    const hn::RebindToUnsigned<D> bits;
    const auto half = hn::Sub(hn::ShiftRight<1>(hn::Add(reduced.n, hn::Set(bits, 1024))), hn::Set(bits, 512));
    const V of_r = hn::Add(constant(d, 1), expm1_reduced(d, reduced.r));
    return hn::Mul(hn::Mul(of_r, power_of_two(d, half)), power_of_two(d, hn::Sub(reduced.n, half)));
  }
}

/// exp(x) - 1 for x <= 0, exact in relative terms near 0 too: 2^n·(exp(r) - 1) + (2^n - 1).
template <class D, class V>
HWY_INLINE V expm1_of_nonpositive(D d, V x) {
  if constexpr (kIsDouble<D>) {
    return lane_by_lane(d, x, [](double e) { return std::expm1(e); });
  } else {
    const Reduced<D> reduced = reduce(d, at_least(d, x, constant(d, -30)));
    const V scale = power_of_two(d, reduced.n);
    return hn::MulAdd(scale, expm1_reduced(d, reduced.r), hn::Sub(scale, constant(d, 1)));
  }
}

/// log(1 + u) for u in [0, 1]: 2·artanh(w), w = u/(2 + u) <= 1/3; the first term left out is w^16/17 < 1.4e-9 of the sum.
template <class D, class V>
HWY_INLINE V log1p_of_fraction(D d, V u) {
  if constexpr (kIsDouble<D>) {
    return lane_by_lane(d, u, [](double e) { return std::log1p(e); });
  } else {
    const V w = hn::Div(u, hn::Add(constant(d, 2), u));
    const V square = hn::Mul(w, w);
    const V sum = polynomial(d, square, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3);
    const V twice = hn::Add(w, w);
    return hn::MulAdd(hn::Mul(twice, square), sum, twice);
  }
}

/// sign(x)·(1 - e)/(1 + e), e = exp(-2|x|).
template <class D, class V>
HWY_INLINE V tanh(D d, V x) {
  if constexpr (kIsDouble<D>) {
    return lane_by_lane(d, x, [](double e) { return std::tanh(e); });
  } else {
    const V e = expm1_of_nonpositive(d, hn::Mul(constant(d, -2), hn::Abs(x)));
    return hn::CopySign(hn::Div(hn::Neg(e), hn::Add(constant(d, 2), e)), x);
  }
}

/// The standard normal distribution function, in [0, 1]. Its tail is exp(-a²/2)·t·R(t) with a = |x|, t = 1/(1 + 0.3·a); R is
/// a least-maximum fit of degree 9 to 0.5·erfc(a/√2)·exp(a²/2)/t over 0 <= a <= 14, relative error 3.5e-9.
template <class D, class V>
HWY_INLINE V normal_cdf(D d, V x) {
  if constexpr (kIsDouble<D>) {
    return lane_by_lane(d, x, [](double e) { return 0.5 * std::erfc(e * -0.70710678118654752440); });
  } else {
    const V one = constant(d, 1);
    const V a = hn::Abs(x);
    const V t = hn::Div(one, hn::MulAdd(constant(d, 0.3), a, one));
    const V fit = polynomial(d, t, -0x1.51e572p-6, 0x1.cc89c2p-4, -0x1.d36234p-3, 0x1.88c710p-3, -0x1.4552c4p-4,
                             0x1.89dc62p-4, 0x1.41154ap-4, 0x1.c38644p-4, 0x1.e9c422p-4, 0x1.ea3c98p-4);
    const V tail = hn::Mul(hn::Mul(exp(d, hn::Mul(hn::Mul(constant(d, -0.5), a), a)), fit), t);
    return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), hn::Sub(one, tail), tail);
  }
}

// The functions of Pointwise::Function, y = f(x; p, q).

struct Relu {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V, V) const {
    return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
  }
};

struct LeakyRelu {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V p, V) const {
    return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), x, hn::Mul(p, x));
  }
};

struct Elu {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V p, V) const {
    const auto positive = hn::Gt(x, hn::Zero(d));
    return hn::IfThenElse(positive, x, hn::Mul(p, expm1_of_nonpositive(d, hn::IfThenZeroElse(positive, x))));
  }
};

struct Gelu {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V, V) const {
    return hn::Mul(x, normal_cdf(d, x));
  }
};

template <class D, class V>
HWY_INLINE V one_plus_exp(D d, V x) {
  return hn::Add(constant(d, 1), exp(d, x));
}

/// (1 + tanh(u))/2 is 1/(1 + exp(-2u)).
struct TanhGelu {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V, V) const {
    constexpr double kTwiceSqrtTwoOverPi = 1.5957691216057307;
    const V slope =
        hn::MulAdd(hn::Mul(x, x), constant(d, -0.044715 * kTwiceSqrtTwoOverPi), constant(d, -kTwiceSqrtTwoOverPi));
    return hn::Div(x, one_plus_exp(d, hn::Mul(x, slope)));
  }
};

struct Silu {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V, V) const {
    return hn::Div(x, one_plus_exp(d, hn::Neg(x)));
  }
};

struct Sigmoid {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V, V) const {
    return hn::Div(constant(d, 1), one_plus_exp(d, hn::Neg(x)));
  }
};

struct Tanh {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V, V) const {
    return tanh(d, x);
  }
};

/// log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)), which does not overflow.
struct Softplus {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V p, V q) const {
    const V z = hn::Mul(p, x);
    const V positive = hn::IfThenElseZero(hn::Gt(z, hn::Zero(d)), z);
    const V soft = hn::Div(hn::Add(positive, log1p_of_fraction(d, exp(d, hn::Neg(hn::Abs(z))))), p);
    return hn::IfThenElse(hn::Gt(z, q), x, soft);
  }
};

struct Hardtanh {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V p, V q) const {
    const V raised = at_least(d, x, p);
    return hn::IfThenElse(hn::Gt(raised, q), q, raised);
  }
};

struct Exp {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V, V) const {
    return exp(d, x);
  }
};

struct Affine {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V p, V q) const {
    return hn::MulAdd(p, x, q);
  }
};

template <typename T, class Function>
void each(const PointwiseArgs<T>& args) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  const auto p = args.per_lane ? hn::LoadU(d, args.p) : hn::Set(d, *args.p);
  const auto q = args.per_lane ? hn::LoadU(d, args.q) : hn::Set(d, *args.q);
  for (std::int64_t i = 0; i < args.count; i += kLanes) {
    const std::int64_t left = args.count - i;
    const auto x = left >= kLanes ? hn::LoadU(d, args.values + i) : load_first(d, args.values + i, left);
    const auto y = Function()(d, x, p, q);
    if (left >= kLanes) {
      hn::StoreU(y, d, args.values + i);
    } else {
      store_first(y, d, args.values + i, left);
    }
  }
}

template <typename T>
PointwiseFn<T> pointwise(Pointwise::Function function) {
  using Function = Pointwise::Function;
  switch (function) {
    case Function::kRelu: return each<T, Relu>;
    case Function::kLeakyRelu: return each<T, LeakyRelu>;
    case Function::kElu: return each<T, Elu>;
    case Function::kGelu: return each<T, Gelu>;
    case Function::kTanhGelu: return each<T, TanhGelu>;
    case Function::kSilu: return each<T, Silu>;
    case Function::kSigmoid: return each<T, Sigmoid>;
    case Function::kTanh: return each<T, Tanh>;
    case Function::kSoftplus: return each<T, Softplus>;
    case Function::kHardtanh: return each<T, Hardtanh>;
    case Function::kExp: return each<T, Exp>;
    default: return each<T, Affine>;
  }
}

}  // namespace

inline PointwiseFn<float> pointwise_f32(Pointwise::Function function) { return pointwise<float>(function); }
inline PointwiseFn<double> pointwise_f64(Pointwise::Function function) { return pointwise<double>(function); }

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

template <>
PointwiseFn<float> pointwise<float>(Isa isa, Pointwise::Function function) {
  CONVT3D_FOR_ISA(isa, pointwise_f32(function))
}
template <>
PointwiseFn<double> pointwise<double>(Isa isa, Pointwise::Function function) {
  CONVT3D_FOR_ISA(isa, pointwise_f64(function))
}

}  // namespace convt3d::kernels
#endif
