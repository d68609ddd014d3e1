#pragma once

#include <cstdint>
#include <span>

#include "convt3d/base/extent.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/options.hpp"

namespace convt3d {

/// Extent of the output for an input of extent `input`, in voxels, per axis:
///   out = (in-1)*stride - 2*padding + dilation*(kernel-1) + output_padding + 1
/// Throws Error{kShape} if a parameter is invalid, the input has an empty axis, or the output is < 1 or past 63 bits.
/// Source: torch.nn.ConvTranspose3d, "Shape".
Extent3 output_extent(const ConvTranspose3dOptions& options, const Extent3& input);

/// The output_padding under which an input of extent `input` gives `output_size` voxels: 3 numbers (d, h, w), or as many as
/// the output's rank, whose leading ones are ignored. Each lies from the minimum (output_padding 0) to minimum + stride - 1.
/// Throws Error{kShape} naming the admissible range. Source: torch.nn.modules.conv._ConvTransposeNd._output_padding.
Extent3 output_padding_for(const ConvTranspose3dOptions& options, const Extent3& input,
                           std::span<const std::int64_t> output_size);

/// Shape (N, C', D', H', W') of the output of an input (N, C, D, H, W), or without N for (C, D, H, W).
/// Throws Error{kShape} as output_extent does, for another rank, and for channels other than in_channels.
Shape output_shape(const ConvTranspose3dOptions& options, const Shape& input);

/// The part of the input (inside its extent) that the outputs of `output` depend on.
Box3 required_input(const ConvTranspose3dOptions& options, const Extent3& input, const Box3& output);

/// "output_padding=(1, 1, 1) or output_size=(8, 8, 8)": how a layer whose output is one to stride-1 voxels short of
/// stride * input reaches it; empty where it cannot.
std::string advise_exact_multiple(const ConvTranspose3dOptions& options, const Extent3& input);

}  // namespace convt3d
