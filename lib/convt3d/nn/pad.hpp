#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "convt3d/base/extent.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// Voxels at the six faces: begin = (front, top, left), end = (back, bottom, right).
struct Margins {
  Extent3 begin = {};
  Extent3 end = {};
};

/// What the voxels outside are: 0; the nearest voxel; or the voxels mirrored about the outermost one (which is not
/// repeated).
enum class PadMode { kZeros, kReplicate, kReflect };

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

/// "zeros", "replicate", "reflect"
std::optional<PadMode> pad_mode_from_name(std::string_view name);

/// Each throws Error{kShape} when a margin is negative.
std::unique_ptr<Layer> make_layer(const Pad& pad);
std::unique_ptr<Layer> make_layer(const Crop& crop);

}  // namespace convt3d
