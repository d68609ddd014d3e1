#include <array>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/model/conv_builder.hpp"
#include "convt3d/nn/conv3d_layer.hpp"

namespace convt3d {
namespace {

Conv3dPadding parse_padding(const Node& layer) {
  constexpr std::array<std::string_view, 2> kWords = {"valid", "same"};
  const std::optional<Node> padding = layer.find("padding");
  if (!padding) return {};
  if (padding->is_string()) return Conv3dPadding::named(padding->word(kWords));
  return padding->extent(0);
}

PadMode parse_padding_mode(const Node& layer) {
  constexpr std::array<std::string_view, 3> kModes = {"zeros", "replicate", "reflect"};
  const std::optional<Node> mode = layer.find("padding_mode");
  return mode ? *pad_mode_from_name(mode->word(kModes)) : PadMode::kZeros;
}

Conv3dOptions parse_options(const Node& layer, const ConvSaid& said, const BuildContext& context) {
  Conv3dOptions options;
  options.in_channels = *said.in_channels;
  options.out_channels = *said.out_channels;
  options.kernel_size = *said.kernel_size;
  options.stride = layer.extent_or(1, "stride", 1);
  options.padding = parse_padding(layer);
  options.dilation = layer.extent_or(1, "dilation", 1);
  options.groups = said.groups.value_or(1);
  options.bias = *said.bias;
  options.padding_mode = parse_padding_mode(layer);
  options.dtype = context.dtype;
  try {
    validate(options);
  } catch (const Error& error) {
    layer.fail(error.what());
  }
  return options;
}

}  // namespace

BuiltLayer build_conv3d(const Node& layer, BuildContext& context) {
  ConvSaid said = parse_conv(layer, /*oidhw=*/true, context);
  if (has_kernel(said)) {
    said.weight_source->node.fail("interpolation kernels are made for the phases of a transposed convolution",
                                  {"conv_transpose3d has them; give the weights of a conv3d as values"});
  }
  fill_channels(said, context);
  const Conv3dOptions options = parse_options(layer, said, context);
  const ConvForm form = {.oidhw = true,
                         .in_channels = options.in_channels,
                         .out_channels = options.out_channels,
                         .groups = options.groups,
                         .kernel_size = options.kernel_size,
                         .bias = options.bias,
                         .dtype = options.dtype,
                         .draw = [&](std::uint64_t seed) -> ConvTensors {
                           Conv3d module(options, seed);
                           return {std::move(module.weight()), std::move(module.bias())};
                         }};
  auto [weight, bias] = build_tensors(layer, said, form, nullptr, context);
  BuiltLayer built;
  built.layer = std::make_unique<Conv3dLayer>(Conv3d(options, std::move(weight), std::move(bias)));
  built.in_channels = options.in_channels;
  built.out_channels = options.out_channels;
  return built;
}

}  // namespace convt3d
