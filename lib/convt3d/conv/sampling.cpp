#include "convt3d/conv/sampling.hpp"

namespace convt3d {

Sampling sampling_of(const ConvTranspose3dOptions& options) {
  Sampling sampling;
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    const auto stride = static_cast<double>(options.stride[axis]);
    const double centre = 0.5 * static_cast<double>(options.dilation[axis] * (options.kernel_size[axis] - 1));
    sampling.step[a] = 1.0 / stride;
    sampling.offset[a] = (static_cast<double>(options.padding[axis]) - centre) / stride;
  }
  return sampling;
}

Sampling sampling_of(const Conv3dOptions& options) {
  const Extent3 before = padding_of(options).begin;
  Sampling sampling;
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    sampling.step[a] = static_cast<double>(options.stride[axis]);
    sampling.offset[a] = 0.5 * static_cast<double>(options.dilation[axis] * (options.kernel_size[axis] - 1)) -
                         static_cast<double>(before[axis]);
  }
  return sampling;
}

// second: i2 = o*step2 + offset2, where i2 is an output of first: i1 = i2*step1 + offset1.
Sampling compose(const Sampling& first, const Sampling& second) {
  Sampling both;
  for (std::size_t a = 0; a < 3; ++a) {
    both.step[a] = first.step[a] * second.step[a];
    both.offset[a] = first.step[a] * second.offset[a] + first.offset[a];
  }
  return both;
}

}  // namespace convt3d
