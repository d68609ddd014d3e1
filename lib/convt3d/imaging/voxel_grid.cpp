#include "convt3d/imaging/voxel_grid.hpp"

namespace convt3d {
namespace {

using Vector3 = std::array<double, 3>;

double dot(const Vector3& a, const Vector3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

Vector3 cross(const Vector3& a, const Vector3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

double first_voxel_offset(double step, double kernel_offset, OriginMode mode) {
  switch (mode) {
    case OriginMode::kFov: return (step - 1) / 2;
    case OriginMode::kKeep: return 0;
    case OriginMode::kKernel: break;
  }
  return kernel_offset;
}

}  // namespace

std::optional<OriginMode> origin_mode_from_name(std::string_view name) {
  if (name == "kernel") return OriginMode::kKernel;
  if (name == "fov") return OriginMode::kFov;
  if (name == "keep") return OriginMode::kKeep;
  return std::nullopt;
}

VoxelGrid propagate(const VoxelGrid& grid, const Sampling& sampling, const Extent3& output, OriginMode mode) {
  VoxelGrid result = grid;
  result.extent = output;
  std::array<double, 3> first_voxel{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::size_t tensor_axis = 2 - axis;  // x is w, y is h, z is d
    const double step = sampling.step[tensor_axis];
    first_voxel[axis] = first_voxel_offset(step, sampling.offset[tensor_axis], mode);
    result.spacing_mm[axis] = grid.spacing_mm[axis] * step;
  }
  result.origin_mm = world_position(grid, first_voxel);
  return result;
}

std::array<double, 3> world_position(const VoxelGrid& grid, const std::array<double, 3>& index) {
  std::array<double, 3> world = grid.origin_mm;
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      world[row] += grid.direction[3 * row + axis] * grid.spacing_mm[axis] * index[axis];
    }
  }
  return world;
}

std::array<double, 3> continuous_index(const VoxelGrid& grid, const std::array<double, 3>& world_mm) {
  const auto column = [&](std::size_t axis) {
    return std::array{grid.direction[axis], grid.direction[3 + axis], grid.direction[6 + axis]};
  };
  std::array<double, 3> from_origin;
  for (std::size_t i = 0; i < 3; ++i) from_origin[i] = world_mm[i] - grid.origin_mm[i];

  // Cramer's rule: with columns a, b, c the index on axis a is det(v, b, c) / det(a, b, c), in units of its spacing.
  std::array<double, 3> index;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto normal = cross(column((axis + 1) % 3), column((axis + 2) % 3));
    index[axis] = dot(from_origin, normal) / dot(column(axis), normal) / grid.spacing_mm[axis];
  }
  return index;
}

}  // namespace convt3d
