#include "convt3d/conv/shape.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/phases.hpp"
#include "convt3d/conv/requirements.hpp"

namespace convt3d {
namespace {

constexpr const char* kModule = "ConvTranspose3d";

/// The formula on one axis, without output_padding; nullopt past 63 bits.
std::optional<std::int64_t> least_output(const ConvTranspose3dOptions& options, const Extent3& input, int axis) {
  const auto reach = checked_mul(options.dilation[axis], options.kernel_size[axis] - 1);
  const auto spread = checked_mul(input[axis] - 1, options.stride[axis]);
  const auto cut = checked_mul(options.padding[axis], -2);
  return checked_add(checked_add(checked_add(spread, reach), cut), 1);
}

}  // namespace

Extent3 output_extent(const ConvTranspose3dOptions& options, const Extent3& input) {
  validate(options);
  require_voxels(kModule, input);
  Extent3 output;
  for (int axis = 0; axis < 3; ++axis) {
    const auto extent = checked_add(least_output(options, input, axis), options.output_padding[axis]);
    if (!extent) {
      refuse(kModule,
             "the output's " + std::string(kAxisNames[axis]) + " for an input of " + to_string(input) + " passes 63 bits");
    }
    if (*extent < 1) {
      // least + output_padding >= 1  <=>  padding <= (least + 2*padding + output_padding - 1) / 2
      const std::int64_t padding = options.padding[axis];
      const std::int64_t most = (*extent + padding + (padding - 1)) / 2;  // in an order that cannot overflow
      refuse(kModule,
             "the output's " + std::string(kAxisNames[axis]) + " would be " + std::to_string(*extent) + " for an input of " +
                 to_string(input) + "; expected at least 1, which " +
                 (most >= 0 ? "padding 0 to " + std::to_string(most) + " gives there" : "a larger input or kernel gives"));
    }
    output[axis] = *extent;
  }
  return output;
}

Extent3 output_padding_for(const ConvTranspose3dOptions& options, const Extent3& input,
                           std::span<const std::int64_t> output_size) {
  validate(options);
  require_voxels(kModule, input);
  if (output_size.size() < 3 || output_size.size() > 5) {
    refuse(kModule, "output_size has " + std::to_string(output_size.size()) +
                        " entries; expected 3 (depth, height, width), or the output's rank");
  }
  const auto spatial = output_size.last(3);
  Extent3 output_padding;
  for (int axis = 0; axis < 3; ++axis) {
    const auto least = least_output(options, input, axis);
    const auto most = checked_add(least, options.stride[axis] - 1);
    if (!most)
      refuse(kModule,
             "the output's " + std::string(kAxisNames[axis]) + " for an input of " + to_string(input) + " passes 63 bits");
    const std::int64_t wanted = spatial[static_cast<std::size_t>(axis)];
    if (wanted < *least || wanted > *most) {
      refuse(kModule, "output_size " + std::to_string(wanted) + " on the " + kAxisNames[axis] +
                          " axis cannot be had from an input of " + to_string(input) + "; expected " +
                          std::to_string(*least) + " to " + std::to_string(*most));
    }
    output_padding[axis] = wanted - *least;
  }
  return output_padding;
}

Shape output_shape(const ConvTranspose3dOptions& options, const Shape& input) {
  return output_shape(kModule, options.in_channels, options.out_channels, input,
                      [&](const Extent3& extent) { return output_extent(options, extent); });
}

Box3 required_input(const ConvTranspose3dOptions& options, const Extent3& input, const Box3& output) {
  const Extent3 extent = output_extent(options, input);
  Box3 required{input, Extent3(0)};
  for (int axis = 0; axis < 3; ++axis) {
    for (const AxisPhase& phase : axis_phases(options, extent, axis)) {
      // The phase's outputs out_begin + q*stride that lie in the box are q = first ... last-1.
      const std::int64_t first = std::max<std::int64_t>(0, ceil_div(output.begin[axis] - phase.out_begin, phase.out_step));
      const std::int64_t last = std::min(phase.count, ceil_div(output.end[axis] - phase.out_begin, phase.out_step));
      if (first >= last) continue;
      for (const Tap& tap : phase.taps) {
        const std::int64_t begin = std::max<std::int64_t>(0, first + tap.offset);
        const std::int64_t end = std::min(input[axis], last + tap.offset);
        if (begin >= end) continue;
        required.begin[axis] = std::min(required.begin[axis], begin);
        required.end[axis] = std::max(required.end[axis], end);
      }
    }
  }
  return required.empty() ? Box3{} : required;
}

std::string advise_exact_multiple(const ConvTranspose3dOptions& options, const Extent3& input) {
  const Extent3 output = output_extent(options, input);
  Extent3 padding = options.output_padding;
  Extent3 size = output;
  for (int axis = 0; axis < 3; ++axis) {
    const auto multiple = checked_mul(input[axis], options.stride[axis]);
    if (!multiple || *multiple < output[axis] || *multiple - output[axis] >= options.stride[axis]) return "";
    padding[axis] += *multiple - output[axis];
    size[axis] = *multiple;
    if (padding[axis] >= std::max(options.stride[axis], options.dilation[axis])) return "";
  }
  if (size == output) return "";
  return "output_padding=" + to_string(padding) + " or output_size=" + to_string(size);
}

}  // namespace convt3d
