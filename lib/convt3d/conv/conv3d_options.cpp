#include "convt3d/conv/conv3d_options.hpp"

#include <cmath>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/requirements.hpp"

namespace convt3d {
namespace {

constexpr const char* kModule = "Conv3d";
constexpr std::string_view kValidWord = "valid", kSameWord = "same";

std::string padding_repr(const Conv3dPadding& padding) {
  switch (padding.kind) {
    case Conv3dPadding::Kind::kVoxels: break;
    case Conv3dPadding::Kind::kValid: return std::string(kValidWord);
    case Conv3dPadding::Kind::kSame: return std::string(kSameWord);
  }
  return to_string(padding.voxels);
}

}  // namespace

Conv3dPadding Conv3dPadding::named(std::string_view word) {
  if (word != kValidWord && word != kSameWord) {
    refuse(kModule, "padding is \"" + std::string(word) + "\"; expected voxels, \"valid\" or \"same\"");
  }
  Conv3dPadding padding;
  padding.kind = word == kSameWord ? Kind::kSame : Kind::kValid;
  return padding;
}

void validate(const Conv3dOptions& options) {
  require_channels(kModule, options.in_channels, options.out_channels, options.groups);
  require_at_least(kModule, "kernel_size", options.kernel_size, 1);
  require_at_least(kModule, "stride", options.stride, 1);
  require_at_least(kModule, "padding", options.padding.voxels, 0);
  require_at_least(kModule, "dilation", options.dilation, 1);
  for (int axis = 0; axis < 3; ++axis) {
    if (!checked_mul(options.dilation[axis], options.kernel_size[axis])) {
      refuse(kModule,
             "the kernel's reach, dilation * kernel_size, passes 63 bits on the " + std::string(kAxisNames[axis]) + " axis");
    }
  }
  if (options.padding.kind == Conv3dPadding::Kind::kSame && options.stride != Extent3(1)) {
    refuse(kModule,
           "padding \"same\" is for stride 1, found stride " + to_string(options.stride) + "; give the padding in voxels");
  }
  require_computed(kModule, options.dtype, options.device);
}

Margins padding_of(const Conv3dOptions& options) {
  const Extent3& voxels = options.padding.voxels;
  if (options.padding.kind != Conv3dPadding::Kind::kSame) return {voxels, voxels};
  Margins margins;
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t both = options.dilation[axis] * (options.kernel_size[axis] - 1);
    margins.begin[axis] = both / 2;
    margins.end[axis] = both - both / 2;
  }
  return margins;
}

std::string extra_repr(const Conv3dOptions& options) {
  std::string text = std::to_string(options.in_channels) + ", " + std::to_string(options.out_channels) +
                     ", kernel_size=" + to_string(options.kernel_size) + ", stride=" + to_string(options.stride);
  if (options.padding != Conv3dPadding()) text += ", padding=" + padding_repr(options.padding);
  if (options.dilation != Extent3(1)) text += ", dilation=" + to_string(options.dilation);
  if (options.groups != 1) text += ", groups=" + std::to_string(options.groups);
  if (!options.bias) text += ", bias=False";
  if (options.padding_mode != PadMode::kZeros) text += ", padding_mode=" + std::string(name_of(options.padding_mode));
  return text;
}

double initial_bound(const Conv3dOptions& options) {
  const Extent3& k = options.kernel_size;
  return 1.0 / std::sqrt(static_cast<double>(options.in_channels / options.groups) * static_cast<double>(k.d) *
                         static_cast<double>(k.h) * static_cast<double>(k.w));
}

}  // namespace convt3d
