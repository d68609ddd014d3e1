#pragma once

#include <memory>

#include "convt3d/base/extent.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// torch.nn.PixelShuffle in three dimensions, as MONAI's: (N, C·rd·rh·rw, D, H, W) to (N, C, D·rd, H·rh, W·rw),
///   out[n, c, d·rd + i, h·rh + j, w·rw + k] = in[n, ((c·rd + i)·rh + j)·rw + k, d, h, w].
/// Outputs lie as those of a transposed convolution whose kernel is as long as its stride: the field of view is kept.
struct PixelShuffle3d {
  Extent3 upscale_factor = 1;
};

/// Throws Error{kShape} unless every factor is at least 1 and their product fits 63 bits.
std::unique_ptr<Layer> make_layer(const PixelShuffle3d& shuffle);

}  // namespace convt3d
