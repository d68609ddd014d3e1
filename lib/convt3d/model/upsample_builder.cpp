#include <array>
#include <string_view>

#include "convt3d/model/layer_table.hpp"
#include "convt3d/nn/upsample.hpp"

namespace convt3d {
namespace {

double parse_factor(const Node& node) {
  const double factor = node.number();
  if (!(factor > 0) || factor > static_cast<double>(kMaxSize)) node.fail_expected("a factor above 0");
  return factor;
}

/// One factor for all axes, or [D, H, W].
std::array<double, 3> parse_factors(const Node& node) {
  if (!node.is_array()) {
    const double factor = parse_factor(node);
    return {factor, factor, factor};
  }
  if (node.size() != 3) node.fail_expected("a factor or [D, H, W]");
  return {parse_factor(node.at(0)), parse_factor(node.at(1)), parse_factor(node.at(2))};
}

}  // namespace

BuiltLayer build_upsample(const Node& layer, BuildContext&) {
  constexpr std::array<std::string_view, 2> kModes = {"nearest", "trilinear"};
  Upsample upsample;
  if (const auto size = layer.find("size")) upsample.size = size->extent(1);
  if (const auto factor = layer.find("scale_factor")) upsample.scale_factor = parse_factors(*factor);
  if (const auto mode = layer.find("mode")) upsample.mode = *upsample_mode_from_name(mode->word(kModes));
  upsample.align_corners = layer.boolean_or(false, "align_corners");
  return {.layer = make_layer(upsample)};
}

}  // namespace convt3d
