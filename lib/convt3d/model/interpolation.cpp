#include "convt3d/model/interpolation.hpp"

#include <cmath>
#include <numbers>
#include <string>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

double nearest(double x) { return x < 0.5 ? 1 : 0; }

double linear(double x) { return x < 1 ? 1 - x : 0; }

double cubic(double x) {
  if (x < 1) return 1 + x * x * (-2.5 + 1.5 * x);
  return x < 2 ? 2 + x * (-4 + x * (2.5 - 0.5 * x)) : 0;
}

/// 0 for a whole x > 0 exactly, which std::sin of a rounded multiple of π is not.
double sinc(double x) {
  if (x == std::floor(x)) return x == 0 ? 1 : 0;
  return std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
}

double lanczos3(double x) { return x < 3 ? sinc(x) * sinc(x / 3) : 0; }

double bspline3(double x) {
  if (x < 1) return 2.0 / 3 + x * x * (-1 + 0.5 * x);
  return x < 2 ? (2 - x) * (2 - x) * (2 - x) / 6 : 0;
}

struct Kernel {
  double (*value)(double distance);  ///< at |x| = distance >= 0
  int reach_halves;                  ///< 0 from this distance on, in half input voxels
};

constexpr std::array<Kernel, 5> kKernels = {{{nearest, 1}, {linear, 2}, {cubic, 4}, {lanczos3, 6}, {bspline3, 4}}};

const Kernel& kernel_named(std::string_view name) {
  for (std::size_t i = 0; i < kInterpolationKernels.size(); ++i) {
    if (kInterpolationKernels[i] == name) return kKernels[i];
  }
  throw Error(ErrorKind::kShape, "there is no interpolation kernel \"" + std::string(name) + "\"");
}

/// |x_t|; t may lie outside of [0, k).
double distance_of(std::int64_t t, std::int64_t k, std::int64_t s) {
  return std::fabs(static_cast<double>(2 * t - (k - 1))) / static_cast<double>(2 * s);
}

/// Whether the taps beyond the ends, at -1, -2, ... (and likewise at the other end), are all 0.
bool holds(const Kernel& kernel, std::int64_t k, std::int64_t s) {
  const double reach = kernel.reach_halves * 0.5;
  for (std::int64_t t = -1; distance_of(t, k, s) < reach; --t) {
    if (kernel.value(distance_of(t, k, s)) != 0) return false;
  }
  return true;
}

[[noreturn]] void refuse(std::string_view name, std::int64_t k, std::int64_t s, const std::string& why) {
  throw Error(ErrorKind::kShape, std::string(name) + " with stride " + std::to_string(s) + " does not fit kernel_size " +
                                     std::to_string(k) + ": " + why);
}

/// No tap lies outside, and none on the edge of two boxes.
void require_fit(std::string_view name, const Kernel& kernel, std::int64_t k, std::int64_t s) {
  if (name == "nearest" && (k < s || (k - s) % 2 != 0)) {
    refuse(name, k, s,
           "it takes " + std::to_string(s) + ", " + std::to_string(s + 2) +
               " and so on; others cut it off or put outputs half-way between two inputs");
  }
  if (k >= s && holds(kernel, k, s)) return;  // with k < s some phases have no tap
  // The kernel spans 2·reach·s steps; the taps at its very ends are 0.
  const std::int64_t least = kernel.reach_halves * s - 1;
  refuse(name, k, s, "the kernel would be cut off; it takes " + std::to_string(least) + " or more");
}

}  // namespace

std::vector<double> interpolation_taps(std::string_view kernel, std::int64_t kernel_size, std::int64_t stride) {
  if (kernel_size == 1 && stride == 1) return {1.0};
  const Kernel& its = kernel_named(kernel);
  require_fit(kernel, its, kernel_size, stride);
  std::vector<double> taps;
  std::vector<double> phase_sums(static_cast<std::size_t>(stride), 0.0);
  for (std::int64_t t = 0; t < kernel_size; ++t) {
    taps.push_back(its.value(distance_of(t, kernel_size, stride)));
    phase_sums[static_cast<std::size_t>(t % stride)] += taps.back();
  }
  for (std::size_t t = 0; t < taps.size(); ++t) taps[t] /= phase_sums[t % static_cast<std::size_t>(stride)];
  return taps;
}

std::vector<double> interpolation_weight(std::string_view kernel, const Extent3& kernel_size, const Extent3& stride) {
  const std::vector<double> d = interpolation_taps(kernel, kernel_size.d, stride.d);
  const std::vector<double> h = interpolation_taps(kernel, kernel_size.h, stride.h);
  const std::vector<double> w = interpolation_taps(kernel, kernel_size.w, stride.w);
  std::vector<double> weight;
  weight.reserve(d.size() * h.size() * w.size());
  for (const double along_d : d) {
    for (const double along_h : h) {
      for (const double along_w : w) weight.push_back(along_d * along_h * along_w);
    }
  }
  return weight;
}

}  // namespace convt3d
