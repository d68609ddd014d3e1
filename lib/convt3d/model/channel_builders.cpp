#include <string>

#include "convt3d/model/layer_table.hpp"
#include "convt3d/nn/pixel_shuffle.hpp"
#include "convt3d/nn/softmax.hpp"

namespace convt3d {
namespace {

/// "dim", if given, is PyTorch's number of the channel axis.
void require_channel_axis(const Node& layer) {
  const auto dim = layer.find("dim");
  if (!dim) return;
  if (!dim->value().is_number_integer() || dim->value() != 1) dim->fail_expected("1, the channels' axis");
}

}  // namespace

BuiltLayer build_softmax(const Node& layer, BuildContext&) {
  require_channel_axis(layer);
  return {.layer = make_layer(Softmax{})};
}

BuiltLayer build_argmax(const Node& layer, BuildContext&) {
  require_channel_axis(layer);
  if (!layer.boolean_or(true, "keepdim")) layer.fail_at("keepdim", "volumes keep their axes: the result has one channel");
  return {.layer = make_layer(Argmax{}), .out_channels = 1};
}

BuiltLayer build_pixel_shuffle3d(const Node& layer, BuildContext& context) {
  const Node factor_node = layer.at("upscale_factor");
  const Extent3 factor = factor_node.extent(1);
  BuiltLayer built{.layer = make_layer(PixelShuffle3d{factor}), .changes_channels = true};
  if (!context.channels) return built;
  const std::int64_t block = factor.d * factor.h * factor.w;
  if (*context.channels % block != 0) {
    factor_node.fail("the channels that arrive, " + std::to_string(*context.channels) + ", are no multiple of " +
                     std::to_string(block) + ", the product of the axes' factors");
  }
  built.in_channels = *context.channels;
  built.out_channels = *context.channels / block;
  return built;
}

}  // namespace convt3d
