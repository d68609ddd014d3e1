#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "convt3d/model/layer_table.hpp"
#include "convt3d/nn/batch_norm.hpp"
#include "convt3d/nn/instance_norm.hpp"

namespace convt3d {
namespace {

enum : std::size_t { kWeight, kBias, kRunningMean, kRunningVar, kTensors };
constexpr std::array<std::string_view, kTensors> kNames = {"weight", "bias", "running_mean", "running_var"};
constexpr std::array<double, kTensors> kInitial = {1, 0, 0, 1};  // PyTorch's

/// The tensors of a norm as its config gives them, one value for each channel.
class NormTensors {
 public:
  /// Of the first `count` names.
  NormTensors(const Node& layer, BuildContext& context, std::size_t count) : layer_(layer), context_(context) {
    parse_weights(layer, std::span(kNames).first(count), context.files, std::span(sources_).first(count));
    for (const std::optional<WeightSource>& source : sources_) {
      if (!source) continue;
      if (source->form != WeightSource::Form::kValues && source->form != WeightSource::Form::kConstant) {
        source->node.fail("a tensor of " + layer.at("type").string() + " is a list, a file or a constant");
      }
      refuse_layout(*source);
    }
  }

  bool given(std::size_t tensor) const { return sources_[tensor].has_value(); }

  /// What `key` says, or as many as a tensor has, or as many as arrive.
  std::int64_t channels(std::string_view key) const {
    if (const auto said = layer_.find(key)) return said->integer(1);
    for (const auto& source : sources_) {
      if (source && source->values) return source->values->size();
    }
    if (!context_.channels) {
      layer_.fail_at(key, "this key is missing", {"it may be left out only with a tensor, or where layers before tell"});
    }
    return *context_.channels;
  }

  /// As given, or PyTorch's initial value for each channel.
  Tensor tensor(std::size_t which, std::int64_t channels, std::string_view key) {
    std::optional<WeightSource>& source = sources_[which];
    if (!source) {
      source = WeightSource{.node = layer_, .form = WeightSource::Form::kConstant, .constant = kInitial[which]};
    }
    if (!source->values) {
      context_.files.count_generated(source->node, channels * static_cast<std::int64_t>(sizeof(double)));
    }
    return tensor_from(*source, {channels}, context_.dtype, "(" + std::string(key) + ",)");
  }

  /// Throws if one of the pair that begins with `first` is given, which `key` says there is not.
  void refuse_pair(std::size_t first, std::string_view key) const {
    for (std::size_t which = first; which < first + 2; ++which) {
      if (!given(which)) continue;
      sources_[which]->node.fail("a " + std::string(kNames[which]) + " is given to a layer with \"" + std::string(key) +
                                 "\": false");
    }
  }

  void warn_of_missing_statistics() const {
    if (given(kRunningMean) && given(kRunningVar)) return;
    context_.warnings.push_back(layer_.place() + ": running_mean or running_var is not given: they are 0 and 1");
  }

 private:
  Node layer_;
  BuildContext& context_;
  std::array<std::optional<WeightSource>, kTensors> sources_;
};

/// Sets weight and bias of a norm where it is affine.
template <typename Norm>
void set_affine(Norm& norm, bool affine, NormTensors& tensors, std::int64_t channels, std::string_view key) {
  if (!affine) return tensors.refuse_pair(kWeight, "affine");
  norm.weight = tensors.tensor(kWeight, channels, key);
  norm.bias = tensors.tensor(kBias, channels, key);
}

template <typename Norm>
BuiltLayer built(const Norm& norm, std::int64_t channels) {
  return {.layer = make_layer(norm), .in_channels = channels, .out_channels = channels};
}

/// null is PyTorch's None.
std::optional<double> momentum_or(std::optional<double> otherwise, const Node& layer) {
  const auto momentum = layer.find("momentum");
  if (!momentum) return otherwise;
  return momentum->value().is_null() ? std::nullopt : std::optional(momentum->number());
}

}  // namespace

BuiltLayer build_batch_norm3d(const Node& layer, BuildContext& context) {
  constexpr std::string_view kChannels = "num_features";
  NormTensors tensors(layer, context, kTensors);
  const std::int64_t channels = tensors.channels(kChannels);
  const bool affine = layer.boolean_or(true, "affine");
  if (!layer.boolean_or(true, "track_running_stats")) {
    layer.fail_at("track_running_stats", "evaluation needs running_mean and running_var; instance_norm3d takes its own");
  }
  tensors.warn_of_missing_statistics();
  BatchNorm3d norm{.running_mean = tensors.tensor(kRunningMean, channels, kChannels),
                   .running_var = tensors.tensor(kRunningVar, channels, kChannels)};
  set_affine(norm, affine, tensors, channels, kChannels);
  norm.eps = layer.number_or(norm.eps, "eps");
  norm.momentum = momentum_or(norm.momentum, layer);
  return built(norm, channels);
}

/// affine and track_running_stats are what the tensors tell, where they are left out.
BuiltLayer build_instance_norm3d(const Node& layer, BuildContext& context) {
  constexpr std::string_view kChannels = "num_features";
  NormTensors tensors(layer, context, kTensors);
  const std::int64_t channels = tensors.channels(kChannels);
  InstanceNorm3d norm{.num_features = channels};
  set_affine(norm, layer.boolean_or(tensors.given(kWeight) || tensors.given(kBias), "affine"), tensors, channels, kChannels);
  if (layer.boolean_or(tensors.given(kRunningMean) || tensors.given(kRunningVar), "track_running_stats")) {
    tensors.warn_of_missing_statistics();
    norm.running_mean = tensors.tensor(kRunningMean, channels, kChannels);
    norm.running_var = tensors.tensor(kRunningVar, channels, kChannels);
  } else {
    tensors.refuse_pair(kRunningMean, "track_running_stats");
  }
  norm.eps = layer.number_or(norm.eps, "eps");
  norm.momentum = momentum_or(norm.momentum, layer);
  return built(norm, channels);
}

BuiltLayer build_group_norm(const Node& layer, BuildContext& context) {
  constexpr std::string_view kChannels = "num_channels";
  NormTensors tensors(layer, context, 2);
  GroupNorm norm{.num_groups = layer.at("num_groups").integer(1), .num_channels = tensors.channels(kChannels)};
  set_affine(norm, layer.boolean_or(true, "affine"), tensors, norm.num_channels, kChannels);
  norm.eps = layer.number_or(norm.eps, "eps");
  return built(norm, norm.num_channels);
}

}  // namespace convt3d
