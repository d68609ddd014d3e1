// Winograd's transforms of one axis, on lines of vectors. The matrices are compile-time constants (cook_toom.hpp), so that a
// zero costs nothing, a one no multiplication, and a row is a chain of adds and fused multiply-adds in registers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/winograd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "convt3d/conv/kernels/cook_toom.hpp"
#include "convt3d/conv/kernels/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::ScalableTag<float>;
using V = hn::Vec<Tag>;

/// `period`: elements of a line before its places fold.
template <int m, int r>
struct InputMatrix {
  static constexpr int period = m;
  static constexpr int rows = m + r - 1;
  static constexpr int columns = m + r - 1;
  static constexpr double at(int i, int j) { return CookToom<m, r>().bt[i][j]; }
};

template <int m, int r>
struct OutputMatrix {
  static constexpr int period = m + r - 1;
  static constexpr int rows = m;
  static constexpr int columns = m + r - 1;
  static constexpr double at(int i, int j) { return CookToom<m, r>().at[i][j]; }
};

template <int count>
struct IdentityMatrix {
  static constexpr int period = count;
  static constexpr int rows = count;
  static constexpr int columns = count;
  static constexpr double at(int i, int j) { return i == j ? 1 : 0; }
};

template <class Matrix, int i>
constexpr int first_column() {
  int j = 0;
  while (Matrix::at(i, j) == 0) ++j;
  return j;
}

/// acc + Matrix[i][j] * x[j]
template <class Matrix, int i, int j>
HWY_INLINE V add_term(V acc, const V* x) {
  constexpr double c = Matrix::at(i, j);
  if constexpr (c == 0) {
    return acc;
  } else if constexpr (j == first_column<Matrix, i>()) {
    if constexpr (c == 1) return x[j];
    if constexpr (c == -1) return hn::Neg(x[j]);
    return hn::Mul(hn::Set(Tag(), static_cast<float>(c)), x[j]);
  } else if constexpr (c == 1) {
    return hn::Add(acc, x[j]);
  } else if constexpr (c == -1) {
    return hn::Sub(acc, x[j]);
  } else {
    return hn::MulAdd(hn::Set(Tag(), static_cast<float>(c)), x[j], acc);
  }
}

template <class Matrix, int i, int... j>
HWY_INLINE V row_times(const V* x, std::integer_sequence<int, j...>) {
  V acc = x[first_column<Matrix, i>()];
  ((acc = add_term<Matrix, i, j>(acc, x)), ...);
  return acc;
}

template <class Matrix, int... i>
HWY_INLINE void line(const LinesArgs& args, const float* source, float* target, V init, bool with_init,
                     std::integer_sequence<int, i...>) {
  const Tag d;
  V x[Matrix::columns];
#pragma GCC unroll 8
  for (int j = 0; j < Matrix::columns; ++j)
    x[j] = hn::LoadU(d, source + j * args.source_step + j / Matrix::period * args.source_fold);
  if (with_init) {
    (hn::StoreU(hn::Add(row_times<Matrix, i>(x, std::make_integer_sequence<int, Matrix::columns>()), init), d,
                target + i * args.target_step),
     ...);
  } else {
    (hn::StoreU(row_times<Matrix, i>(x, std::make_integer_sequence<int, Matrix::columns>()), d,
                target + i * args.target_step),
     ...);
  }
}

template <class Matrix>
void lines(const LinesArgs& args) {
  const Tag d;
  const bool with_init = args.init != nullptr;
  const V init = with_init ? hn::LoadU(d, args.init) : hn::Zero(d);
  for (std::int64_t outer = 0; outer < args.outer; ++outer) {
    const float* source = args.source + outer * args.source_outer;
    float* target = args.target + outer * args.target_outer;
    for (std::int64_t inner = 0; inner < args.inner; ++inner, source += args.source_inner, target += args.target_inner) {
      line<Matrix>(args, source, target, init, with_init, std::make_integer_sequence<int, Matrix::rows>());
    }
  }
}

template <int... s>
LinesFn input_of(WinogradScheme scheme, std::integer_sequence<int, s...>) {
  LinesFn fn = nullptr;
  ((kWinogradSchemes[s] == scheme ? void(fn = lines<InputMatrix<kWinogradSchemes[s].outputs, kWinogradSchemes[s].taps>>)
                                  : void()),
   ...);
  return fn;
}

template <int... s>
LinesFn output_of(WinogradScheme scheme, std::integer_sequence<int, s...>) {
  LinesFn fn = nullptr;
  ((kWinogradSchemes[s] == scheme ? void(fn = lines<OutputMatrix<kWinogradSchemes[s].outputs, kWinogradSchemes[s].taps>>)
                                  : void()),
   ...);
  return fn;
}

using AllSchemes = std::make_integer_sequence<int, static_cast<int>(std::size(kWinogradSchemes))>;

}  // namespace

inline LinesFn input(WinogradScheme scheme) { return input_of(scheme, AllSchemes()); }
inline LinesFn output(WinogradScheme scheme) { return output_of(scheme, AllSchemes()); }
inline LinesFn copy(int elements) {
  switch (elements) {
    case 1: return lines<IdentityMatrix<1>>;
    case 2: return lines<IdentityMatrix<2>>;
    case 3: return lines<IdentityMatrix<3>>;
    default: return lines<IdentityMatrix<4>>;
  }
}

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {
namespace {

template <int m, int r>
void weights(const double* taps, std::int64_t tap_stride, double* points, std::int64_t point_stride) {
  constexpr CookToom<m, r> kMatrices;
  for (int j = 0; j < m + r - 1; ++j) {
    double sum = 0;
    for (int k = 0; k < r; ++k) sum += kMatrices.g[j][k] * taps[k * tap_stride];
    points[j * point_stride] = sum;
  }
}

template <std::size_t columns, std::size_t rows>
double greatest_row(const std::array<std::array<double, columns>, rows>& matrix) {
  double greatest = 0;
  for (const auto& row : matrix) {
    double sum = 0;
    for (const double c : row) sum += std::abs(c);
    greatest = std::max(greatest, sum);
  }
  return greatest;
}

template <int m, int r>
WinogradNorms norms() {
  constexpr CookToom<m, r> kMatrices;
  return {greatest_row(kMatrices.bt), greatest_row(kMatrices.g), greatest_row(kMatrices.at)};
}

template <int... s>
WinogradNorms norms_of(WinogradScheme scheme, std::integer_sequence<int, s...>) {
  WinogradNorms found;
  ((kWinogradSchemes[s] == scheme ? void(found = norms<kWinogradSchemes[s].outputs, kWinogradSchemes[s].taps>()) : void()),
   ...);
  return found;
}

template <int... s>
void weights_of(WinogradScheme scheme, const double* taps, std::int64_t tap_stride, double* points,
                std::int64_t point_stride, std::integer_sequence<int, s...>) {
  ((kWinogradSchemes[s] == scheme
        ? weights<kWinogradSchemes[s].outputs, kWinogradSchemes[s].taps>(taps, tap_stride, points, point_stride)
        : void()),
   ...);
}

}  // namespace

LinesFn winograd_input(Isa isa, WinogradScheme scheme) {
  if (scheme.fourier != 0) return fourier_input(isa, scheme);
  CONVT3D_FOR_ISA(isa, input(scheme))
}
LinesFn winograd_output(Isa isa, WinogradScheme scheme) {
  if (scheme.fourier != 0) return fourier_output(isa, scheme);
  CONVT3D_FOR_ISA(isa, output(scheme))
}
LinesFn copy_lines(Isa isa, int elements){CONVT3D_FOR_ISA(isa, copy(elements))}

WinogradNorms winograd_norms(WinogradScheme scheme) {
  // Elements of magnitude 1 at most, twice their sum where frequencies are split or joined or parts added up; of a weight
  // 2/fourier for each tap, and the root of 2 where parts are.
  if (scheme.fourier != 0) {
    const double size = scheme.fourier;
    return {2 * size, 2.83 * scheme.taps / size, 2 * size};
  }
  return norms_of(scheme, std::make_integer_sequence<int, static_cast<int>(std::size(kWinogradSchemes))>());
}

void winograd_weights(WinogradScheme scheme, const double* taps, std::int64_t tap_stride, double* points,
                      std::int64_t point_stride) {
  if (scheme.fourier != 0) return fourier_weights(scheme, taps, tap_stride, points, point_stride);
  weights_of(scheme, taps, tap_stride, points, point_stride,
             std::make_integer_sequence<int, static_cast<int>(std::size(kWinogradSchemes))>());
}

}  // namespace convt3d::kernels
#endif
