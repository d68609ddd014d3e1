#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/pointwise.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// torch.nn.BatchNorm3d in evaluation mode: y = (x - running_mean)/√(running_var + eps)·weight + bias, each (C,). momentum
/// is PyTorch's argument (nullopt: None): it shows in repr() and changes no value.
struct BatchNorm3d {
  Tensor running_mean;
  Tensor running_var;
  std::optional<Tensor> weight = std::nullopt;  ///< weight and bias: both, or none (affine=False)
  std::optional<Tensor> bias = std::nullopt;
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;
};

/// A pointwise layer, its factor and summand of each channel computed in double. Throws Error{kShape} for tensors of other
/// shapes, and for a channel whose variance and eps give no finite factor.
std::unique_ptr<Layer> make_layer(const BatchNorm3d& norm);

/// Its function of a voxel. `module` names the layer in messages.
Pointwise affine_of(const BatchNorm3d& norm, std::string_view module = "BatchNorm3d");

}  // namespace convt3d
