#pragma once

#include <optional>
#include <string_view>

#include "convt3d/base/extent.hpp"

namespace convt3d {

/// Voxels at the six faces: begin = (front, top, left), end = (back, bottom, right).
struct Margins {
  Extent3 begin = {};
  Extent3 end = {};

  friend bool operator==(const Margins&, const Margins&) = default;
};

/// What the voxels outside are: 0; the nearest voxel; or the voxels mirrored about the outermost one (which is not
/// repeated).
enum class PadMode { kZeros, kReplicate, kReflect };

/// "zeros", "replicate", "reflect"
std::string_view name_of(PadMode mode);
std::optional<PadMode> pad_mode_from_name(std::string_view name);

}  // namespace convt3d
