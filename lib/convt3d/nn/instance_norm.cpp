#include "convt3d/nn/instance_norm.hpp"

#include <string>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/batch_norm.hpp"
#include "convt3d/nn/channel_values.hpp"
#include "convt3d/nn/groupwise_norm.hpp"
#include "convt3d/nn/python_repr.hpp"

namespace convt3d {
namespace {

[[noreturn]] void refuse(const char* module, const std::string& what) {
  throw Error(ErrorKind::kShape, std::string(module) + ": " + what);
}

void require_both_or_none(const char* module, const std::optional<Tensor>& a, const std::optional<Tensor>& b,
                          const char* names) {
  if (a.has_value() != b.has_value()) refuse(module, std::string("one of ") + names + " is missing; expected both or none");
}

const char* python_bool(bool value) { return value ? "True" : "False"; }

/// The layer, its weight and bias checked.
std::unique_ptr<Layer> groupwise(const char* module, GroupwiseNorm norm, const std::optional<Tensor>& weight,
                                 const std::optional<Tensor>& bias) {
  require_both_or_none(module, weight, bias, "weight and bias");
  if (!(norm.eps >= 0)) refuse(module, "eps is " + python_repr(norm.eps) + "; expected at least 0");
  if (weight) {
    norm.weight = channel_values(module, "weight", *weight, norm.channels);
    norm.bias = channel_values(module, "bias", *bias, norm.channels);
  }
  return std::make_unique<GroupwiseNormLayer>(std::move(norm));
}

}  // namespace

std::unique_ptr<Layer> make_layer(const InstanceNorm3d& norm) {
  constexpr const char* kModule = "InstanceNorm3d";
  const std::int64_t channels = norm.num_features;
  if (channels < 1) refuse(kModule, "num_features is " + std::to_string(channels) + "; expected at least 1");
  require_both_or_none(kModule, norm.running_mean, norm.running_var, "running_mean and running_var");
  LayerText text{.type = "instance_norm3d",
                 .repr = std::string(kModule) + "(" + std::to_string(channels) + ", eps=" + python_repr(norm.eps) +
                         ", momentum=" + (norm.momentum ? python_repr(*norm.momentum) : "None") +
                         ", affine=" + python_bool(norm.weight.has_value()) +
                         ", track_running_stats=" + python_bool(norm.running_mean.has_value()) + ")",
                 .parameters = norm.weight ? 2 * channels : 0};
  if (!norm.running_mean) {
    return groupwise(kModule, {.text = std::move(text), .channels = channels, .groups = channels, .eps = norm.eps},
                     norm.weight, norm.bias);
  }
  channel_values(kModule, "running_mean", *norm.running_mean, channels);
  return std::make_unique<PointwiseLayer>(std::move(text), affine_of({.running_mean = *norm.running_mean,
                                                                      .running_var = *norm.running_var,
                                                                      .weight = norm.weight,
                                                                      .bias = norm.bias,
                                                                      .eps = norm.eps},
                                                                     kModule));
}

std::unique_ptr<Layer> make_layer(const GroupNorm& norm) {
  constexpr const char* kModule = "GroupNorm";
  const std::int64_t channels = norm.num_channels;
  if (norm.num_groups < 1) refuse(kModule, "num_groups is " + std::to_string(norm.num_groups) + "; expected at least 1");
  if (channels < 1 || channels % norm.num_groups != 0) {
    refuse(kModule, "num_channels is " + std::to_string(channels) + "; expected a multiple of num_groups, " +
                        std::to_string(norm.num_groups));
  }
  LayerText text{.type = "group_norm",
                 .repr = std::string(kModule) + "(" + std::to_string(norm.num_groups) + ", " + std::to_string(channels) +
                         ", eps=" + python_repr(norm.eps) + ", affine=" + python_bool(norm.weight.has_value()) + ")",
                 .parameters = norm.weight ? 2 * channels : 0};
  return groupwise(kModule, {.text = std::move(text), .channels = channels, .groups = norm.num_groups, .eps = norm.eps},
                   norm.weight, norm.bias);
}

}  // namespace convt3d
