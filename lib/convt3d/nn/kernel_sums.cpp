#include "convt3d/nn/kernel_sums.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "convt3d/base/checked.hpp"

namespace convt3d {
namespace {

/// For each kernel index of an axis the phase, o mod stride, of the outputs that it reaches: o = i·stride - padding +
/// t·dilation.
std::vector<std::int64_t> phase_of_taps(std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                                        std::int64_t dilation) {
  std::vector<std::int64_t> phases;
  for (std::int64_t t = 0; t < kernel; ++t) {
    phases.push_back(((t * (dilation % stride) - padding) % stride + stride) % stride);
  }
  return phases;
}

}  // namespace

std::optional<KernelSums> kernel_sums(const ConvTranspose3d& module) {
  constexpr std::int64_t kMostPhases = 4096;
  const ConvTranspose3dOptions& options = module.options();
  const auto [k, s, p, d] = std::tie(options.kernel_size, options.stride, options.padding, options.dilation);
  const auto count = checked_mul(checked_mul(s.d, s.h), s.w);
  if (!count || *count > kMostPhases) return std::nullopt;
  const std::vector<std::int64_t> phase_d = phase_of_taps(k.d, s.d, p.d, d.d);
  const std::vector<std::int64_t> phase_h = phase_of_taps(k.h, s.h, p.h, d.h);
  const std::vector<std::int64_t> phase_w = phase_of_taps(k.w, s.w, p.w, d.w);

  const Tensor weight = convert(module.weight(), DType::kFloat64);
  const double* value = weight.data<double>();
  const std::int64_t taps = k.d * k.h * k.w;
  const std::int64_t pairs = weight.size() / taps;
  const auto phases = static_cast<std::size_t>(*count);
  KernelSums sums{.phases = s, .mean = std::vector<double>(phases, 0)};
  double squares = 0;
  double deviations = 0;
  std::vector<double> of_pair(phases);
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    std::fill(of_pair.begin(), of_pair.end(), 0.0);
    for (const std::int64_t pd : phase_d) {
      for (const std::int64_t ph : phase_h) {
        for (const std::int64_t pw : phase_w) of_pair[static_cast<std::size_t>((pd * s.h + ph) * s.w + pw)] += *value++;
      }
    }
    const double mean = std::accumulate(of_pair.begin(), of_pair.end(), 0.0) / static_cast<double>(phases);
    for (std::size_t phase = 0; phase < phases; ++phase) {
      sums.mean[phase] += of_pair[phase] / static_cast<double>(pairs);
      squares += of_pair[phase] * of_pair[phase];
      deviations += (of_pair[phase] - mean) * (of_pair[phase] - mean);
    }
  }
  sums.unevenness = squares > 0 ? std::sqrt(deviations / squares) : 0;
  return sums;
}

}  // namespace convt3d
