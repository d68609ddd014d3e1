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
/// while infinity picks the leading coefficient: Aᵀ[m-1][n-1] = G[n-1][r-1] = 1. Which points they are decides
/// the rounding error: of those tried, all with few digits so that the matrices are exact, these had the least. It is 0.7
/// times that of 0, ±1, ±2 for five finite points, and 0.83 times that of 0, ±1, 2 for four.
template <int m, int r>
struct CookToom {
  static constexpr int n = m + r - 1;
  static_assert(n <= 6);

  std::array<std::array<double, n>, n> bt{};
  std::array<std::array<double, r>, n> g{};
  std::array<std::array<double, n>, m> at{};

  constexpr CookToom() {
    constexpr Points kPoints = n < 5    ? Points{0, 1, -1}
                               : n == 5 ? Points{0, 0.75, -0.75, 2}
                                        : Points{0, 0.625, -0.625, 1.5, -1.5};
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
  using Points = std::array<double, 5>;

  /// Coefficients, lowest first, of Π (x - points[l]) over the n-1 finite points but `without`.
  static constexpr std::array<double, n> product_of_roots(const Points& points, int without) {
    std::array<double, n> polynomial{1};
    for (int l = 0; l + 1 < n; ++l) {
      if (l == without) continue;
      for (int i = n - 1; i >= 0; --i) polynomial[i] = (i > 0 ? polynomial[i - 1] : 0) - points[l] * polynomial[i];
    }
    return polynomial;
  }
};

}  // namespace convt3d::kernels
