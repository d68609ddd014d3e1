#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "convt3d/base/extent.hpp"
#include "convt3d/conv/sampling.hpp"

namespace convt3d {

/// Where a volume's voxels are in space, as ITK says it: x is the fastest axis (w), then y (h) and z (d); the world is LPS
/// (x grows to the patient's left, y to the back, z to the head) and lengths are millimetres:
///   world = origin + direction · diag(spacing) · (x, y, z)
struct VoxelGrid {
  Extent3 extent;
  std::array<double, 3> spacing_mm = {1, 1, 1};                   ///< of x, y, z; > 0
  std::array<double, 3> origin_mm = {0, 0, 0};                    ///< centre of voxel (0, 0, 0)
  std::array<double, 9> direction = {1, 0, 0, 0, 1, 0, 0, 0, 1};  ///< row-major; its columns have length 1

  friend bool operator==(const VoxelGrid&, const VoxelGrid&) = default;
};

/// What the output's origin is made from. kKernel is exact: where the first output voxel's kernel sits. kFov and kKeep are
/// for interoperation: the outer faces of the volume stay where they are; the first voxel's centre stays.
enum class OriginMode { kKernel, kFov, kKeep };

/// "kernel", "fov", "keep"
std::optional<OriginMode> origin_mode_from_name(std::string_view name);

/// The grid of the output, of `output` voxels, of a layer or stack that samples the input as `sampling` says.
///
/// Output voxel o lies at input index step·o + offset on each axis, so with A = direction · diag(spacing)
///   world(o) = origin + A·(diag(step)·o + offset)
/// which is again a grid:
///   spacing' = spacing · step,  origin' = origin + A·offset,  direction' = direction           (kKernel)
/// A transposed convolution has step = 1/s and offset = (p - d(k-1)/2)/s; see sampling_of.
///
/// kFov puts the outer face of the first voxel, index -1/2, where the input's is: offset = (step - 1)/2. Where the output is
/// not exactly 1/step as long as the input, its far face then lies elsewhere than the input's. kKeep has offset = 0.
VoxelGrid propagate(const VoxelGrid& grid, const Sampling& sampling, const Extent3& output, OriginMode mode);

/// Centre of the voxel at `index` (x, y, z; any real number), in millimetres.
std::array<double, 3> world_position(const VoxelGrid& grid, const std::array<double, 3>& index);

/// Index (x, y, z) of the point at `world_mm`: world_position the other way round. The direction's columns span the space.
std::array<double, 3> continuous_index(const VoxelGrid& grid, const std::array<double, 3>& world_mm);

}  // namespace convt3d
