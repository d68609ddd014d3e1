#include <algorithm>
#include <array>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/model/conv_builder.hpp"
#include "convt3d/model/interpolation.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"

namespace convt3d {
namespace {

/// An interpolation kernel is the same for each channel: in = out = groups, be it said by whichever of them. Returns whether
/// none is said, so that any number of channels may arrive.
bool fill_channels_of_kernel(const Node& layer, ConvSaid& said) {
  const std::optional<std::int64_t> count = said.in_channels    ? said.in_channels
                                            : said.out_channels ? said.out_channels
                                                                : said.groups;
  for (const auto& [key, its] : {std::pair{"out_channels", said.out_channels}, std::pair{"groups", said.groups}}) {
    if (!its || *its == *count) continue;
    layer.fail_at(key, "an interpolation kernel works on each channel alone: in_channels, out_channels and groups are equal",
                  {"expected " + std::to_string(*count) + ", found " + std::to_string(*its) + "; or leave all three out"});
  }
  said.in_channels = said.out_channels = said.groups = count.value_or(1);
  return !count;
}

ConvTranspose3dOptions parse_options(const Node& layer, const ConvSaid& said, const BuildContext& context) {
  ConvTranspose3dOptions options;
  options.in_channels = *said.in_channels;
  options.out_channels = *said.out_channels;
  options.kernel_size = *said.kernel_size;
  options.stride = layer.extent_or(1, "stride", 1);
  options.padding = layer.extent_or(0, "padding", 0);
  options.output_padding = layer.extent_or(0, "output_padding", 0);
  options.groups = said.groups.value_or(1);
  options.bias = *said.bias;
  options.dilation = layer.extent_or(1, "dilation", 1);
  options.dtype = context.dtype;
  constexpr std::array<std::string_view, 2> kComputed = {"float32", "bfloat16"};
  const std::optional<Node> compute = layer.find("compute");
  if (compute && context.dtype != DType::kFloat32) compute->fail("the stack computes in float64, as a layer's dtype says");
  options.bfloat16 = compute && compute->word(kComputed) == "bfloat16";
  try {
    validate(options);
  } catch (const Error& error) {
    layer.fail(error.what());
  }
  return options;
}

Tensor weight_from_kernel(const Node& layer, const WeightSource& source, const ConvTranspose3dOptions& options) {
  if (options.dilation != Extent3(1))
    layer.fail_at("dilation", "an interpolation kernel is as wide as its stride says: leave this out");
  std::vector<double> taps;
  try {
    taps = interpolation_weight(source.kernel, options.kernel_size, options.stride);
  } catch (const Error& error) {
    source.node.fail(error.what());
  }
  const Extent3& k = options.kernel_size;
  Tensor weight = Tensor::empty({options.in_channels, 1, k.d, k.h, k.w}, DType::kFloat64);
  double* to = weight.data<double>();
  for (std::int64_t channel = 0; channel < options.in_channels; ++channel) to = std::copy(taps.begin(), taps.end(), to);
  return convert(weight, options.dtype);
}

std::vector<std::int64_t> parse_output_size(const Node& layer) {
  const std::optional<Node> member = layer.find("output_size");
  if (!member || member->value().is_null()) return {};
  const Extent3 size = member->extent(1);
  return {size.d, size.h, size.w};
}

}  // namespace

BuiltLayer build_conv_transpose3d(const Node& layer, BuildContext& context) {
  ConvSaid said = parse_conv(layer, /*oidhw=*/false, context);
  bool each_alone = false;
  if (has_kernel(said)) {
    each_alone = fill_channels_of_kernel(layer, said);
  } else {
    fill_channels(said, context);
  }
  const ConvTranspose3dOptions options = parse_options(layer, said, context);
  const ConvForm form = {.oidhw = false,
                         .in_channels = options.in_channels,
                         .out_channels = options.out_channels,
                         .groups = options.groups,
                         .kernel_size = options.kernel_size,
                         .bias = options.bias,
                         .dtype = options.dtype,
                         .draw = [&](std::uint64_t seed) -> ConvTensors {
                           ConvTranspose3d module(options, seed);
                           return {std::move(module.weight()), std::move(module.bias())};
                         }};
  auto [weight, bias] = build_tensors(
      layer, said, form, [&](const WeightSource& source) { return weight_from_kernel(layer, source, options); }, context);
  BuiltLayer built;
  built.layer = std::make_unique<ConvTranspose3dLayer>(ConvTranspose3d(options, std::move(weight), std::move(bias)),
                                                       parse_output_size(layer),
                                                       each_alone ? ChannelUse::kEachAlone : ChannelUse::kMixed);
  if (!each_alone) {
    built.in_channels = options.in_channels;
    built.out_channels = options.out_channels;
  }
  return built;
}

}  // namespace convt3d
