// G of the Fourier transforms in fourier.cpp: in double, once for each weight.
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <type_traits>
#include <vector>

#include "convt3d/conv/kernels/kernels.hpp"

namespace convt3d::kernels {
namespace {

/// G: of each point, its factors of all taps that a transform of so many elements may have.
template <int size, bool triples>
class WeightMatrix {
 public:
  WeightMatrix() {
    for (int frequency : {0, size / 2}) {
      append([&](int k) { return cosine(frequency * k); });
    }
    for (int frequency = 1; frequency < size / 2; ++frequency) {
      const auto re = [&](int k) { return 2 * cosine(frequency * k); };
      const auto im = [&](int k) { return 2 * cosine(frequency * k + 3 * size / 4); };
      append(re);
      if constexpr (triples) {
        append([&](int k) { return im(k) - re(k); });
        append([&](int k) { return re(k) + im(k); });
      } else {
        append(im);
      }
    }
  }

  void transform(int taps, const double* weights, std::int64_t weight_stride, double* target,
                 std::int64_t point_stride) const {
    for (const Row& row : rows_) {
      double sum = 0;
      for (int k = 0; k < taps; ++k) sum += weights[k * weight_stride] * row[static_cast<std::size_t>(k)];
      *target = sum;
      target += point_stride;
    }
  }

 private:
  using Row = std::array<double, size>;

  /// cos(2π n / size) / size
  static double cosine(int n) { return std::cos(2 * std::numbers::pi * (n % size) / size) / size; }

  template <typename Factor>
  void append(const Factor& factor) {
    Row& row = rows_.emplace_back();
    for (int k = 0; k < size; ++k) row[static_cast<std::size_t>(k)] = factor(k);
  }

  std::vector<Row> rows_;
};

template <int size, bool triples>
const WeightMatrix<size, triples>& weight_matrix() {
  static const WeightMatrix<size, triples> kMatrix;
  return kMatrix;
}

}  // namespace

void fourier_weights(WinogradScheme scheme, const double* taps, std::int64_t tap_stride, double* points,
                     std::int64_t point_stride) {
  const auto transform = [&]<int size>(std::integral_constant<int, size>) {
    const auto by = [&](const auto& matrix) { matrix.transform(scheme.taps, taps, tap_stride, points, point_stride); };
    return scheme.triples ? by(weight_matrix<size, true>()) : by(weight_matrix<size, false>());
  };
  switch (scheme.fourier) {
    case 8: return transform(std::integral_constant<int, 8>());
    case 12: return transform(std::integral_constant<int, 12>());
    default: return transform(std::integral_constant<int, 16>());
  }
}

}  // namespace convt3d::kernels
