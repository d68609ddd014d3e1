#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "convt3d/base/tensor.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// torch.nn.InstanceNorm3d in evaluation mode: y = (x - mean)/√(variance + eps)·weight + bias for each channel of each
/// volume, the variance biased. With running statistics (track_running_stats=True) mean and variance are those, of all
/// volumes alike. momentum is PyTorch's argument (nullopt: None): it shows in repr() and changes no value.
struct InstanceNorm3d {
  std::int64_t num_features = 1;
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;
  std::optional<Tensor> weight = std::nullopt;  ///< (C,); weight and bias: both, or none (affine=False)
  std::optional<Tensor> bias = std::nullopt;
  std::optional<Tensor> running_mean = std::nullopt;  ///< (C,); both, or none
  std::optional<Tensor> running_var = std::nullopt;
};

/// torch.nn.GroupNorm: likewise, over the channels of a group together; the first num_channels/num_groups channels are the
/// first group.
struct GroupNorm {
  std::int64_t num_groups = 1;
  std::int64_t num_channels = 1;
  double eps = 1e-5;
  std::optional<Tensor> weight = std::nullopt;  ///< (C,); weight and bias: both, or none (affine=False)
  std::optional<Tensor> bias = std::nullopt;
};

/// Each throws Error{kShape} for tensors of other shapes, and where num_groups does not divide num_channels.
std::unique_ptr<Layer> make_layer(const InstanceNorm3d& norm);
std::unique_ptr<Layer> make_layer(const GroupNorm& norm);

}  // namespace convt3d
