#pragma once

#include "convt3d/base/extent.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/conv3d_options.hpp"

namespace convt3d {

/// Extent of a convolution's output for an input of extent `input`, in voxels, per axis:
///   out = floor((in + padding before and behind - dilation*(kernel-1) - 1) / stride) + 1
/// Throws Error{kShape} if a parameter is invalid, the input has an empty axis, the kernel reaches beyond the padded input,
/// or a sum passes 63 bits. Source: torch.nn.Conv3d, "Shape".
Extent3 output_extent(const Conv3dOptions& options, const Extent3& input);

/// Shape (N, C', D', H', W') of the output of an input (N, C, D, H, W), or without N for (C, D, H, W).
/// Throws Error{kShape} as output_extent does, for another rank, and for channels other than in_channels.
Shape output_shape(const Conv3dOptions& options, const Shape& input);

/// The part of the input (inside its extent) that the outputs [b, e) depend on, padding counting as zeros: from b*stride -
/// padding to (e-1)*stride - padding + dilation*(kernel-1).
Box3 required_input(const Conv3dOptions& options, const Extent3& input, const Box3& output);

}  // namespace convt3d
