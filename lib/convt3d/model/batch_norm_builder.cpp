#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "convt3d/model/layer_table.hpp"
#include "convt3d/nn/batch_norm.hpp"

namespace convt3d {
namespace {

constexpr std::array<std::string_view, 4> kTensors = {"weight", "bias", "running_mean", "running_var"};
constexpr std::array<double, 4> kInitial = {1, 0, 0, 1};  // PyTorch's

using Sources = std::array<std::optional<WeightSource>, 4>;

Sources parse_sources(const Node& layer, BuildContext& context) {
  Sources sources = parse_weights(layer, kTensors, context.files);
  for (const std::optional<WeightSource>& source : sources) {
    if (!source) continue;
    if (source->form != WeightSource::Form::kValues && source->form != WeightSource::Form::kConstant) {
      source->node.fail("a tensor of batch_norm3d is a list, a file or a constant");
    }
    refuse_layout(*source);
  }
  return sources;
}

/// As said, as many as a tensor has, or as many as arrive.
std::int64_t channels_of(const Node& layer, const Sources& sources, const BuildContext& context) {
  if (const auto given = layer.find("num_features")) return given->integer(1);
  for (const auto& source : sources) {
    if (source && source->values) return source->values->size();
  }
  if (!context.channels) {
    layer.fail_at("num_features", "this key is missing",
                  {"it may be left out only with a tensor, or where layers before tell"});
  }
  return *context.channels;
}

}  // namespace

BuiltLayer build_batch_norm3d(const Node& layer, BuildContext& context) {
  Sources sources = parse_sources(layer, context);
  const std::int64_t channels = channels_of(layer, sources, context);
  const bool affine = layer.boolean_or(true, "affine");
  if (!layer.boolean_or(true, "track_running_stats")) {
    layer.fail_at("track_running_stats", "evaluation needs running_mean and running_var; instance_norm3d takes its own");
  }
  if (!sources[2] || !sources[3]) {
    context.warnings.push_back(layer.place() + ": running_mean or running_var is not given: they are 0 and 1");
  }
  const auto tensor = [&](std::size_t i) {
    if (!sources[i]) {
      sources[i] = WeightSource{.node = layer, .form = WeightSource::Form::kConstant, .constant = kInitial[i]};
    }
    if (!sources[i]->values) {
      context.files.count_generated(sources[i]->node, channels * static_cast<std::int64_t>(sizeof(double)));
    }
    return tensor_from(*sources[i], {channels}, context.dtype, "(num_features,)");
  };
  BatchNorm3d norm{.running_mean = tensor(2), .running_var = tensor(3)};
  for (std::size_t i = 0; i < 2; ++i) {
    if (affine) {
      (i == 0 ? norm.weight : norm.bias) = tensor(i);
    } else if (sources[i]) {
      sources[i]->node.fail("a " + std::string(kTensors[i]) + " is given to a layer with \"affine\": false");
    }
  }
  norm.eps = layer.number_or(norm.eps, "eps");
  if (const auto momentum = layer.find("momentum")) {
    norm.momentum = momentum->value().is_null() ? std::nullopt : std::optional(momentum->number());
  }
  return {.layer = make_layer(norm), .in_channels = channels, .out_channels = channels};
}

}  // namespace convt3d
