#include "convt3d/nn/functional.hpp"

#include <optional>
#include <string>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/conv/shape.hpp"
#include "convt3d/nn/conv3d.hpp"
#include "convt3d/nn/conv_transpose3d.hpp"

namespace convt3d::functional {
namespace {

/// A weight holds one group's share of some channels.
std::int64_t all_channels(const char* function, std::int64_t of_a_group, std::int64_t groups) {
  const std::optional<std::int64_t> channels = checked_mul(of_a_group, groups);
  if (channels) return *channels;
  throw Error(ErrorKind::kShape, std::string(function) + ": groups is " + std::to_string(groups) + "; " +
                                     std::to_string(of_a_group) + " channels in each of them pass 63 bits");
}

}  // namespace

Tensor conv_transpose3d(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                        const ConvTranspose3dArguments& arguments) {
  const Shape& w = weight.shape();
  if (w.size() != 5) {
    throw Error(ErrorKind::kShape, "conv_transpose3d: weight has shape " + to_string(w) +
                                       "; expected 5-D (in_channels, out_channels/groups, kD, kH, kW)");
  }
  const ConvTranspose3dOptions options{.in_channels = w[0],
                                       .out_channels = all_channels("conv_transpose3d", w[1], arguments.groups),
                                       .kernel_size = {w[2], w[3], w[4]},
                                       .stride = arguments.stride,
                                       .padding = arguments.padding,
                                       .output_padding = arguments.output_padding,
                                       .groups = arguments.groups,
                                       .bias = bias.has_value(),
                                       .dilation = arguments.dilation,
                                       .dtype = weight.dtype(),
                                       .device = {}};
  return ConvTranspose3d(options, weight, bias)
      .forward(input, {.output_size = {}, .threads = arguments.threads, .observer = nullptr});
}

Tensor conv3d(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
              const Conv3dArguments& arguments) {
  const Shape& w = weight.shape();
  if (w.size() != 5) {
    throw Error(ErrorKind::kShape, "conv3d: weight has shape " + to_string(w) +
                                       "; expected 5-D (out_channels, in_channels/groups, kD, kH, kW)");
  }
  const Conv3dOptions options{.in_channels = all_channels("conv3d", w[1], arguments.groups),
                              .out_channels = w[0],
                              .kernel_size = {w[2], w[3], w[4]},
                              .stride = arguments.stride,
                              .padding = arguments.padding,
                              .dilation = arguments.dilation,
                              .groups = arguments.groups,
                              .bias = bias.has_value(),
                              .padding_mode = PadMode::kZeros,
                              .dtype = weight.dtype(),
                              .device = {}};
  return Conv3d(options, weight, bias).forward(input, {.threads = arguments.threads, .observer = nullptr});
}

}  // namespace convt3d::functional
