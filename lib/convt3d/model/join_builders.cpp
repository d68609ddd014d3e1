#include <array>

#include "convt3d/base/checked.hpp"
#include "convt3d/model/layer_table.hpp"
#include "convt3d/nn/join.hpp"

namespace convt3d {

BuiltLayer build_add(const Node& layer, BuildContext& context) {
  const Node from_node = layer.at("from");
  const std::int64_t from = context.earlier.find(from_node);
  ChannelCount arriving = context.earlier.arriving();
  const ChannelCount there = context.earlier.channels_of(from);
  if (arriving.known && there.known && *arriving.known != *there.known) {
    from_node.fail("adds volumes of as many channels: " + std::to_string(*arriving.known) + " arrive, and \"" +
                       from_node.string() + "\" has " + std::to_string(*there.known),
                   {"concat joins different channels"});
  }
  if (arriving.known) context.earlier.learn(there, *arriving.known);
  if (there.known) context.earlier.learn(arriving, *there.known);
  return {.layer = make_layer(Add{}), .out_channels = arriving.known ? arriving.known : there.known, .from = from};
}

BuiltLayer build_concat(const Node& layer, BuildContext& context) {
  constexpr std::array<std::string_view, 2> kOrders = {"last", "first"};
  const Node from_node = layer.at("from");
  const std::int64_t from = context.earlier.find(from_node);
  Concat concat;
  if (const auto order = layer.find("order")) concat.order = *concat_order_from_name(order->word(kOrders));
  const std::optional<std::int64_t> arriving = context.earlier.arriving().known;
  const std::optional<std::int64_t> there = context.earlier.channels_of(from).known;
  const std::optional<std::int64_t> both = checked_add(arriving, there);
  if (arriving && there && !both) from_node.fail("the channels of both pass 63 bits");
  return {.layer = make_layer(concat), .out_channels = both, .changes_channels = true, .from = from};
}

}  // namespace convt3d
