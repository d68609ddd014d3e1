#pragma once

#include <optional>
#include <vector>

#include "convt3d/base/extent.hpp"
#include "convt3d/nn/conv_transpose3d.hpp"

namespace convt3d {

/// What a transposed convolution makes of a constant input, per phase: the sums over the taps that reach an output voxel
/// differ between the s³ phases unless the kernel takes care, and where they differ every output carries a pattern of period
/// s, a checkerboard. Source: Odena et al., "Deconvolution and Checkerboard Artifacts", Distill 2016.
struct KernelSums {
  Extent3 phases;            ///< stride
  std::vector<double> mean;  ///< per phase (d, h, w), C order: the sum over taps, mean over all pairs of channels
  /// Root mean square, over pairs of channels and phases, of how far a phase's sum is from the mean of its pair's phases,
  /// divided by that of the sums: 0 is even, 1 means that the phases have nothing in common.
  double unevenness = 0;
};

/// nullopt where there are more than 4096 phases.
std::optional<KernelSums> kernel_sums(const ConvTranspose3d& module);

}  // namespace convt3d
