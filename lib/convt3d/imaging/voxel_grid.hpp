#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "convt3d/base/extent.hpp"
#include "convt3d/conv/sampling.hpp"

namespace convt3d {

/// Where a volume's voxels are in space, as ITK says it: x is the fastest axis (w), world is LPS, lengths are millimetres.
/// world = origin + direction · diag(spacing) · (x, y, z)
struct VoxelGrid {
  Extent3 extent;
  std::array<double, 3> spacing_mm = {1, 1, 1};
  std::array<double, 3> origin_mm = {0, 0, 0};
  std::array<double, 9> direction = {1, 0, 0, 0, 1, 0, 0, 0, 1};  ///< row-major
};

/// What the output's origin is made from. kKernel is exact: the position of the first output voxel's kernel. kFov and kKeep
/// are for interoperation: the outer faces of the volume stay where they are; the first voxel's centre stays.
enum class OriginMode { kKernel, kFov, kKeep };

/// "kernel", "fov", "keep"
std::optional<OriginMode> origin_mode_from_name(std::string_view name);

/// The grid of a stack's output:
///   spacing' = spacing · step,  origin' = origin + direction · diag(spacing) · offset   (kKernel)
VoxelGrid propagate(const VoxelGrid& grid, const Sampling& sampling, const Extent3& output, OriginMode mode);

/// Centre of the voxel at `index` (x, y, z; any real number), in millimetres.
std::array<double, 3> world_position(const VoxelGrid& grid, const std::array<double, 3>& index);

}  // namespace convt3d
