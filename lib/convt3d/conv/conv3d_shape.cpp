#include "convt3d/conv/conv3d_shape.hpp"

#include <algorithm>
#include <string>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/requirements.hpp"

namespace convt3d {
namespace {

constexpr const char* kModule = "Conv3d";

}  // namespace

Extent3 output_extent(const Conv3dOptions& options, const Extent3& input) {
  validate(options);
  require_voxels(kModule, input);
  const Margins padding = padding_of(options);
  Extent3 output;
  for (int axis = 0; axis < 3; ++axis) {
    const auto padded = checked_add(checked_add(input[axis], padding.begin[axis]), padding.end[axis]);
    const std::string name = kAxisNames[axis];
    if (!padded) refuse(kModule, "the padded input's " + name + " for an input of " + to_string(input) + " passes 63 bits");
    const std::int64_t reach = options.dilation[axis] * (options.kernel_size[axis] - 1);
    if (reach >= *padded) {
      const std::int64_t most = (*padded - 1) / options.dilation[axis] + 1;
      const std::int64_t least = ceil_div(reach + 1 - input[axis], 2);
      refuse(kModule, "the kernel spans " + std::to_string(reach) + " + 1 voxels on the " + name +
                          " axis, the padded input " + std::to_string(*padded) + "; expected kernel_size 1 to " +
                          std::to_string(most) + " there, or padding of at least " + std::to_string(least));
    }
    output[axis] = (*padded - reach - 1) / options.stride[axis] + 1;
  }
  return output;
}

Shape output_shape(const Conv3dOptions& options, const Shape& input) {
  return output_shape(kModule, options.in_channels, options.out_channels, input,
                      [&](const Extent3& extent) { return output_extent(options, extent); });
}

Box3 required_input(const Conv3dOptions& options, const Extent3& input, const Box3& output) {
  const Extent3 before = padding_of(options).begin;
  Box3 required;
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t reach = options.dilation[axis] * (options.kernel_size[axis] - 1);
    const std::int64_t first = output.begin[axis] * options.stride[axis] - before[axis];
    const std::int64_t last = (output.end[axis] - 1) * options.stride[axis] - before[axis] + reach;
    required.begin[axis] = std::max<std::int64_t>(0, first);
    required.end[axis] = std::min(input[axis], last + 1);
  }
  return required.empty() || output.empty() ? Box3{} : required;
}

}  // namespace convt3d
