#pragma once

#include <memory>

#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// torch.nn.Softmax(dim=1): exp(x[c]) / Σ_c exp(x[c]) over the channels of each voxel, in place. A NaN or +inf makes all
/// channels of its voxel NaN.
struct Softmax {};

/// torch.argmax(x, dim=1, keepdim=True): the first channel that holds the voxel's largest value, counted from 0, in the
/// volume's dtype; one channel. The first NaN counts as the largest.
struct Argmax {};

std::unique_ptr<Layer> make_layer(const Softmax& softmax);
std::unique_ptr<Layer> make_layer(const Argmax& argmax);

}  // namespace convt3d
