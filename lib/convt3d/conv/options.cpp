#include "convt3d/conv/options.hpp"

#include <cmath>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kShape, "ConvTranspose3d: " + what); }

void require_at_least(const char* name, const Extent3& value, std::int64_t least) {
  for (int axis = 0; axis < 3; ++axis) {
    if (value[axis] >= least) continue;
    refuse(std::string(name) + " " + to_string(value) + " is " + std::to_string(value[axis]) + " on the " +
           kAxisNames[axis] + " axis; expected at least " + std::to_string(least));
  }
}

void require_channels(const char* name, std::int64_t channels, std::int64_t groups) {
  const std::string found = std::string(name) + " is " + std::to_string(channels);
  if (channels < 1) refuse(found + "; expected at least 1");
  if (channels % groups != 0) {
    refuse(found + ", not divisible by groups = " + std::to_string(groups) + "; expected a multiple of it, such as " +
           std::to_string((channels / groups + 1) * groups));
  }
}

}  // namespace

void validate(const ConvTranspose3dOptions& options) {
  if (options.groups < 1) refuse("groups is " + std::to_string(options.groups) + "; expected at least 1");
  require_channels("in_channels", options.in_channels, options.groups);
  require_channels("out_channels", options.out_channels, options.groups);
  require_at_least("kernel_size", options.kernel_size, 1);
  require_at_least("stride", options.stride, 1);
  require_at_least("padding", options.padding, 0);
  require_at_least("output_padding", options.output_padding, 0);
  require_at_least("dilation", options.dilation, 1);
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t limit = std::max(options.stride[axis], options.dilation[axis]);
    if (options.output_padding[axis] < limit) continue;
    refuse("output_padding " + to_string(options.output_padding) + " is " + std::to_string(options.output_padding[axis]) +
           " on the " + kAxisNames[axis] + " axis; expected less than stride or dilation there: 0 to " +
           std::to_string(limit - 1));
  }
  if (options.dtype != DType::kFloat32 && options.dtype != DType::kFloat64) {
    refuse("dtype is " + std::string(name_of(options.dtype)) + "; computed in are float32 and float64");
  }
  if (!options.device.empty() && options.device != "cpu") {
    refuse("device is \"" + options.device + "\"; this library computes on the \"cpu\" only");
  }
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
