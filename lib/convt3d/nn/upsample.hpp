#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string_view>

#include "convt3d/base/extent.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// torch.nn.Upsample of volumes. With s the input voxels per output voxel of an axis of I voxels that becomes O,
///   kNearest                    takes voxel floor(o·s)
///   kTrilinear                  interpolates at (o + 1/2)·s - 1/2, held at 0 from below and at the last voxel
///   kTrilinear, align_corners   interpolates at o·s, s = (I - 1)/(O - 1)
/// Axes have at most 2^20 voxels. Without align_corners s is 1/scale_factor, and O floor(I·scale_factor); with `size` s is
/// I/O.
struct Upsample {
  enum class Mode { kNearest, kTrilinear };

  std::optional<Extent3> size = std::nullopt;                        ///< one of size and scale_factor
  std::optional<std::array<double, 3>> scale_factor = std::nullopt;  ///< d, h, w
  Mode mode = Mode::kNearest;
  bool align_corners = false;  ///< kTrilinear only
};

/// "nearest", "trilinear"
std::optional<Upsample::Mode> upsample_mode_from_name(std::string_view name);

/// Throws Error{kShape} when an argument is not admissible.
std::unique_ptr<Layer> make_layer(const Upsample& upsample);

}  // namespace convt3d
