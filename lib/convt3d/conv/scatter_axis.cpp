#include "convt3d/conv/scatter_axis.hpp"

#include "convt3d/conv/algorithm.hpp"

namespace convt3d {

ScatterAxis scatter_axis(const Problem& p, int axis) {
  return {.input = p.input[axis],
          .output = p.output[axis],
          .kernel = p.kernel[axis],
          .stride = p.stride[axis],
          .padding = p.padding[axis],
          .dilation = p.dilation[axis]};
}

std::string not_scattered(const Problem& p) {
  if (is_strided(p)) return kNoInputStride;
  for (int axis = 0; axis < 3; ++axis) {
    if (p.padding[axis] < 0) return "outputs before the first tap";
  }
  // Taps are added one after the other.
  constexpr std::int64_t kMostTaps = 1000;
  const auto taps = checked_mul(checked_mul(p.kernel.d, p.kernel.h), p.kernel.w);
  if (!taps || *taps > kMostTaps) return "a kernel of over " + std::to_string(kMostTaps) + " taps";
  return "";
}

double ScatterAxis::pairs() const {
  double count = 0;
  for (std::int64_t tap = 0; tap < kernel; ++tap) {  // 0 <= output_of(i, tap) < output
    const auto first = [&](std::int64_t begin) {
      return std::min(input, ceil_div(std::max<std::int64_t>(0, begin - output_of(0, tap)), stride));
    };
    count += static_cast<double>(first(output) - first(0));
  }
  return count;
}

}  // namespace convt3d
