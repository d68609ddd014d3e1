#include "convt3d/conv/separable_factors.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace convt3d {
namespace {

/// The lines of the kernel through its largest element, the last two divided by it. False when their product is not the
/// kernel.
template <typename T>
bool factorise(const T* kernel, const Extent3& k, SeparableFactors& factors) {
  const std::int64_t size = k.d * k.h * k.w;
  const std::int64_t peak =
      std::max_element(kernel, kernel + size, [](T a, T b) { return std::abs(a) < std::abs(b); }) - kernel;
  const double largest = kernel[peak];
  if (!std::isfinite(largest)) return false;
  const std::array<std::int64_t, 3> at = {peak / (k.h * k.w), peak / k.w % k.h, peak % k.w};
  const std::array<std::int64_t, 3> strides = {k.h * k.w, k.w, 1};
  for (std::size_t a = 0; a < 3; ++a) {
    factors[a].resize(static_cast<std::size_t>(k[static_cast<int>(a)]));
    const T* line = kernel + peak - at[a] * strides[a];
    for (std::size_t t = 0; t < factors[a].size(); ++t) {
      const double value = line[static_cast<std::int64_t>(t) * strides[a]];
      factors[a][t] = a == 0 || largest == 0 ? value : value / largest;
    }
  }
  // Kernels made in double and rounded to T are off their product by half a unit in the last place, or a few.
  const double tolerance = 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) * std::abs(largest);
  for (std::int64_t i = 0; i < size; ++i) {
    const double product = factors[0][static_cast<std::size_t>(i / (k.h * k.w))] *
                           factors[1][static_cast<std::size_t>(i / k.w % k.h)] *
                           factors[2][static_cast<std::size_t>(i % k.w)];
    if (!(std::abs(product - static_cast<double>(kernel[i])) <= tolerance)) return false;
  }
  return true;
}

/// Moves a power of two from one axis's factor to the last one's, so that the sums over that axis are no larger than the
/// input: else they might overflow where the result does not.
void move_scale(std::vector<double>& from, std::vector<double>& last) {
  double sum = 0;
  for (const double value : from) sum += std::abs(value);
  int exponent = 0;
  std::frexp(sum, &exponent);
  for (double& value : from) value = std::ldexp(value, -exponent);
  for (double& value : last) value = std::ldexp(value, exponent);
}

template <typename T>
bool all_factorise(const Problem& problem, const T* weight) {
  SeparableFactors factors;
  const std::int64_t size = problem.kernel.d * problem.kernel.h * problem.kernel.w;
  for (std::int64_t c = 0; c < problem.ci; ++c) {
    if (!factorise(weight + c * size, problem.kernel, factors)) return false;
  }
  return true;
}

}  // namespace

template <typename T>
std::optional<SeparableFactors> separable_factors(const T* kernel, const Extent3& extent) {
  SeparableFactors factors;
  if (!factorise(kernel, extent, factors)) return std::nullopt;
  for (std::size_t a = 0; a < 2; ++a) move_scale(factors[a], factors[2]);
  return factors;
}

template std::optional<SeparableFactors> separable_factors(const float*, const Extent3&);
template std::optional<SeparableFactors> separable_factors(const double*, const Extent3&);

bool is_separable(const Problem& problem, const void* weight) {
  if (problem.ci != problem.groups || problem.co != problem.groups) return false;
  if (problem.dtype == DType::kFloat64) return all_factorise(problem, static_cast<const double*>(weight));
  return all_factorise(problem, static_cast<const float*>(weight));
}

}  // namespace convt3d
