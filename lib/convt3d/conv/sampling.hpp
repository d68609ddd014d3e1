#pragma once

#include <array>

#include "convt3d/conv/conv3d_options.hpp"
#include "convt3d/conv/options.hpp"

namespace convt3d {

/// Where outputs lie among inputs: on each axis (d, h, w) output voxel o sits at input index o*step + offset. All geometry
/// of a layer is in this one value; a stack's is the composition of its layers'.
struct Sampling {
  std::array<double, 3> step = {1, 1, 1};
  std::array<double, 3> offset = {0, 0, 0};  ///< input voxels

  friend bool operator==(const Sampling&, const Sampling&) = default;
};

/// With the kernel centred on its support, (o + padding - dilation*(kernel-1)/2) / stride.
Sampling sampling_of(const ConvTranspose3dOptions& options);

/// Likewise of a convolution: o*stride - padding + dilation*(kernel-1)/2.
Sampling sampling_of(const Conv3dOptions& options);

/// `first`, then `second` on its output.
Sampling compose(const Sampling& first, const Sampling& second);

}  // namespace convt3d
