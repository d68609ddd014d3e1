#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convt3d/model/layer_table.hpp"
#include "convt3d/nn/normalize.hpp"

namespace convt3d {
namespace {

/// A number for all channels, or a list of one for each.
std::vector<double> parse_numbers(const Node& node) {
  if (!node.is_array()) return {node.number()};
  if (node.size() == 0) node.fail_expected("a number or a list of one for each channel");
  std::vector<double> numbers;
  for (std::size_t i = 0; i < node.size(); ++i) numbers.push_back(node.at(i).number());
  return numbers;
}

void refuse(const Node& layer, std::string_view key, const std::string& why) {
  if (const auto found = layer.find(key)) found->fail(why);
}

Normalize::Mode mode_of(const Node& layer) {
  constexpr std::array<std::string_view, 3> kModes = {"zscore", "minmax", "percentiles"};
  const auto mode = layer.find("mode");
  const std::string word = mode ? mode->word(kModes) : "zscore";
  if (word == "minmax") return Normalize::Mode::kMinMax;
  return word == "percentiles" ? Normalize::Mode::kPercentiles : Normalize::Mode::kZScore;
}

Normalize parse_given(const Node& layer) {
  refuse(layer, "mode", "mean and std are given: there is nothing to find out");
  return {.mode = Normalize::Mode::kGiven, .mean = parse_numbers(layer.at("mean")), .std = parse_numbers(layer.at("std"))};
}

}  // namespace

BuiltLayer build_normalize(const Node& layer, BuildContext& context) {
  Normalize normalize{.mode = mode_of(layer)};
  if (layer.find("mean") || layer.find("std")) normalize = parse_given(layer);
  if (normalize.mode != Normalize::Mode::kPercentiles) {
    for (const std::string_view key : {"low", "high"}) refuse(layer, key, "it is for \"mode\": \"percentiles\"");
  }
  normalize.low = layer.number_or(normalize.low, "low");
  normalize.high = layer.number_or(normalize.high, "high");
  BuiltLayer built{.layer = make_layer(normalize)};
  const std::size_t channels = std::max(normalize.mean.size(), normalize.std.size());
  if (channels > 1) built.in_channels = built.out_channels = static_cast<std::int64_t>(channels);
  context.normalized[context.earlier.next()] = std::move(normalize);
  return built;
}

BuiltLayer build_denormalize(const Node& layer, BuildContext& context) {
  const Node from_node = layer.at("from");
  const std::int64_t from = context.earlier.find(from_node);
  const auto normalized = context.normalized.find(from);
  if (normalized == context.normalized.end()) {
    from_node.fail("denormalize undoes what a normalize layer did; \"" + from_node.string() + "\" is none");
  }
  const std::optional<std::int64_t> there = context.earlier.channels_of(from).known;
  if (context.channels && there && *there != 1 && *there != *context.channels) {
    from_node.fail("\"" + from_node.string() + "\" normalised " + std::to_string(*there) + " channels, but " +
                   std::to_string(*context.channels) + " arrive; expected as many, or one that was normalised");
  }
  const Normalize& its = normalized->second;
  if (its.mode == Normalize::Mode::kGiven) return {.layer = make_inverse(its)};
  return {.layer = make_layer(Denormalize{}), .from = from};
}

}  // namespace convt3d
