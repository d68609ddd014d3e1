#pragma once

#include <array>

namespace convt3d::kernels {

/// The matrices of Winograd's minimal filtering F(m, r): m outputs y[i] = Σ_k x[i + k] g[k] of an r-tap correlation by
///   y = Aᵀ ((G g) ∘ (Bᵀ x)),    n = m + r - 1 products instead of m*r.
///
/// Transposing a product of polynomials of degrees m-1 and r-1, evaluated at n points and interpolated (Toom and Cook): with
/// the finite points p[0..n-2] and the point at infinity,
///   Aᵀ[i][j] = p[j]^i,   G[j][k] = p[j]^k / f[j],   f[j] = Π_{l≠j} (p[j] - p[l]),
///   Bᵀ[j] = coefficients of Π_{l≠j} (x - p[l]),  and of Π_l (x - p[l]) in the last row,
/// while infinity picks the leading coefficient: Aᵀ[m-1][n-1] = G[n-1][r-1] = 1. Small points keep the rounding error small.
template <int m, int r>
struct CookToom {
  static constexpr int n = m + r - 1;

  std::array<std::array<double, n>, n> bt{};
  std::array<std::array<double, r>, n> g{};
  std::array<std::array<double, n>, m> at{};

  constexpr CookToom() {
    constexpr std::array<double, 6> kPoints = {0, 1, -1, 2, -2, 0.5};
    for (int j = 0; j + 1 < n; ++j) {
      double power = 1;
      for (int i = 0; i < m; ++i, power *= kPoints[j]) at[i][j] = power;
      double f = 1;
      for (int l = 0; l + 1 < n; ++l) f *= l == j ? 1 : kPoints[j] - kPoints[l];
      power = 1;
      for (int k = 0; k < r; ++k, power *= kPoints[j]) g[j][k] = power / f;
      bt[j] = product_of_roots(kPoints, j);
    }
    at[m - 1][n - 1] = 1;
    g[n - 1][r - 1] = 1;
    bt[n - 1] = product_of_roots(kPoints, n);
  }

 private:
  /// Coefficients, lowest first, of Π (x - points[l]) over the n-1 finite points but `without`.
  static constexpr std::array<double, n> product_of_roots(const std::array<double, 6>& points, int without) {
    std::array<double, n> polynomial{1};
    for (int l = 0; l + 1 < n; ++l) {
      if (l == without) continue;
      for (int i = n - 1; i >= 0; --i) polynomial[i] = (i > 0 ? polynomial[i - 1] : 0) - points[l] * polynomial[i];
    }
    return polynomial;
  }
};

}  // namespace convt3d::kernels
