#include "convt3d/conv/options.hpp"

#include <algorithm>
#include <cmath>

#include "convt3d/conv/requirements.hpp"

namespace convt3d {
namespace {

constexpr const char* kModule = "ConvTranspose3d";

/// What computing in bfloat16 asks for: that no output has more than one tap.
void require_one_tap(const ConvTranspose3dOptions& options) {
  if (options.dtype != DType::kFloat32) {
    refuse(kModule, "computing in bfloat16 is for dtype float32, found " + std::string(name_of(options.dtype)));
  }
  for (int axis = 0; axis < 3; ++axis) {
    if (options.kernel_size[axis] <= options.stride[axis] && options.dilation[axis] == 1) continue;
    refuse(kModule, "computing in bfloat16 is for kernels of at most the stride and dilation 1; kernel_size " +
                        to_string(options.kernel_size) + ", stride " + to_string(options.stride) + " and dilation " +
                        to_string(options.dilation) + " have more on the " + kAxisNames[axis] + " axis");
  }
}

}  // namespace

void validate(const ConvTranspose3dOptions& options) {
  require_channels(kModule, options.in_channels, options.out_channels, options.groups);
  require_at_least(kModule, "kernel_size", options.kernel_size, 1);
  require_at_least(kModule, "stride", options.stride, 1);
  require_at_least(kModule, "padding", options.padding, 0);
  require_at_least(kModule, "output_padding", options.output_padding, 0);
  require_at_least(kModule, "dilation", options.dilation, 1);
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t limit = std::max(options.stride[axis], options.dilation[axis]);
    if (options.output_padding[axis] < limit) continue;
    refuse(kModule, "output_padding " + to_string(options.output_padding) + " is " +
                        std::to_string(options.output_padding[axis]) + " on the " + kAxisNames[axis] +
                        " axis; expected less than stride or dilation there: 0 to " + std::to_string(limit - 1));
  }
  require_computed(kModule, options.dtype, options.device);
  if (options.bfloat16) require_one_tap(options);
}

std::string extra_repr(const ConvTranspose3dOptions& options) {
  std::string text = std::to_string(options.in_channels) + ", " + std::to_string(options.out_channels) +
                     ", kernel_size=" + to_string(options.kernel_size) + ", stride=" + to_string(options.stride);
  if (options.padding != Extent3(0)) text += ", padding=" + to_string(options.padding);
  if (options.dilation != Extent3(1)) text += ", dilation=" + to_string(options.dilation);
  if (options.output_padding != Extent3(0)) text += ", output_padding=" + to_string(options.output_padding);
  if (options.groups != 1) text += ", groups=" + std::to_string(options.groups);
  if (!options.bias) text += ", bias=False";
  return text;
}

double initial_bound(const ConvTranspose3dOptions& options) {
  const Extent3& k = options.kernel_size;
  return 1.0 / std::sqrt(static_cast<double>(options.out_channels / options.groups) * static_cast<double>(k.d) *
                         static_cast<double>(k.h) * static_cast<double>(k.w));
}

}  // namespace convt3d
