#pragma once

#include <memory>

#include "convt3d/conv/pad_mode.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// torch.nn.ZeroPad3d, ReplicationPad3d, ReflectionPad3d. output = begin + input + end voxels; output voxel o sits at input
/// index o - begin. kReflect needs margins smaller than the input's extent.
struct Pad {
  PadMode mode = PadMode::kZeros;
  Margins padding = {};
};

/// Takes voxels away at the faces; at least one must be left. Output voxel o sits at input index o + begin.
struct Crop {
  Margins padding = {};
};

/// The padded volumes, (N, C, D', H', W'). Throws Error{kShape} as the layer does. float32 and float64.
Tensor padded(const ConstTensorView& input, const Pad& pad, int threads);
Shape padded_shape(const Shape& input, const Pad& pad);
/// Planes `run.wanted` of the padded volumes.
void pad_planes(const PlaneRun& run, const Pad& pad, int threads);
PlaneReach padded_reach(const Pad& pad, std::int64_t input_planes);

/// Each throws Error{kShape} when a margin is negative.
std::unique_ptr<Layer> make_layer(const Pad& pad);
std::unique_ptr<Layer> make_layer(const Crop& crop);

}  // namespace convt3d
