#include "convt3d/imaging/voxel_grid.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace convt3d {
namespace {

using Vector3 = std::array<double, 3>;

/// A turn by `angle` about the axis (1, 2, 3), row-major (Rodrigues).
std::array<double, 9> rotation(double angle) {
  const double length = std::sqrt(14.0);
  const double x = 1 / length, y = 2 / length, z = 3 / length;
  const double c = std::cos(angle), s = std::sin(angle), v = 1 - c;
  return {c + x * x * v,     x * y * v - z * s, x * z * v + y * s, y * x * v + z * s, c + y * y * v,
          y * z * v - x * s, z * x * v - y * s, z * y * v + x * s, c + z * z * v};
}

VoxelGrid oblique(double voxel_mm) {
  return {.extent = {5, 6, 7},
          .spacing_mm = {voxel_mm, 2 * voxel_mm, 3 * voxel_mm},
          .origin_mm = {-90.5, 12.25, 71},
          .direction = rotation(0.7)};
}

void expect_near(const Vector3& a, const Vector3& b, double tolerance) {
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(a[i], b[i], tolerance) << "axis " << i;
}

struct Layer {
  std::string name;
  int kernel, stride, padding, dilation;
  double shift;  ///< of output voxel 0, in input voxels, as the geometry table has it
};

class Table : public testing::TestWithParam<Layer> {
 protected:
  /// (o + p - d(k-1)/2) / s, written down here again.
  Sampling sampling() const {
    const Layer& layer = GetParam();
    const double offset = (layer.padding - layer.dilation * (layer.kernel - 1) / 2.0) / layer.stride;
    return {.step = {1.0 / layer.stride, 1.0 / layer.stride, 1.0 / layer.stride}, .offset = {offset, offset, offset}};
  }
};

TEST_P(Table, ShiftsTheFirstVoxelAsSaid) {
  const double s = GetParam().stride;
  for (const double voxel_mm : {1.0, 0.1, 0.00065}) {
    const VoxelGrid grid = oblique(voxel_mm);
    const VoxelGrid out = propagate(grid, sampling(), {10, 12, 14}, OriginMode::kKernel);
    const double shift = GetParam().shift;
    expect_near(out.origin_mm, world_position(grid, {shift, shift, shift}), 1e-12);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_DOUBLE_EQ(out.spacing_mm[i], grid.spacing_mm[i] / s);
    EXPECT_EQ(out.direction, grid.direction);
    EXPECT_EQ(out.extent, Extent3(10, 12, 14));
  }
}

TEST_P(Table, PutsEveryOutputVoxelOnItsInputIndex) {
  const VoxelGrid grid = oblique(0.1);
  const Sampling s = sampling();
  const VoxelGrid out = propagate(grid, s, {10, 12, 14}, OriginMode::kKernel);
  for (const Vector3& o : {Vector3{0, 0, 0}, Vector3{13, 0, 0}, Vector3{0, 11, 0}, Vector3{3, 4, 9}}) {
    const Vector3 input_index = {o[0] * s.step[2] + s.offset[2], o[1] * s.step[1] + s.offset[1],
                                 o[2] * s.step[0] + s.offset[0]};
    expect_near(world_position(out, o), world_position(grid, input_index), 1e-12);
  }
}

TEST_P(Table, IsWhatTheLayersSay) {
  const Layer& layer = GetParam();
  const Sampling of_layer = sampling_of(ConvTranspose3dOptions{.in_channels = 1,
                                                               .out_channels = 1,
                                                               .kernel_size = layer.kernel,
                                                               .stride = layer.stride,
                                                               .padding = layer.padding,
                                                               .dilation = layer.dilation});
  EXPECT_EQ(of_layer, sampling());
}

INSTANTIATE_TEST_SUITE_P(Semantics, Table,
                         testing::Values(Layer{"k2s2", 2, 2, 0, 1, -0.25}, Layer{"k4s2p1", 4, 2, 1, 1, -0.25},
                                         Layer{"k4s4", 4, 4, 0, 1, -0.375}, Layer{"k9s3p3", 9, 3, 3, 1, -1.0 / 3},
                                         Layer{"k3s2p1op1", 3, 2, 1, 1, 0}, Layer{"k3s2", 3, 2, 0, 1, -0.5},
                                         Layer{"k3s1p2d2", 3, 1, 2, 2, 0}),
                         [](const auto& row) { return row.param.name; });

TEST(Propagate, KeepsAxesApart) {
  VoxelGrid grid;
  grid.spacing_mm = {1, 10, 100};
  const Sampling sampling = {.step = {0.25, 0.5, 1}, .offset = {-3, 2, 0}};  // d, h, w
  const VoxelGrid out = propagate(grid, sampling, {4, 2, 1}, OriginMode::kKernel);
  EXPECT_EQ(out.spacing_mm, (Vector3{1, 5, 25}));
  EXPECT_EQ(out.origin_mm, (Vector3{0, 20, -300}));
}

TEST(Propagate, ComposesOverLayers) {
  const VoxelGrid grid = oblique(0.1);
  const Sampling first = {.step = {0.5, 0.5, 1}, .offset = {-0.25, 0, 2}};
  const Sampling second = {.step = {1.0 / 3, 1, 0.5}, .offset = {-1.0 / 3, -2, 0.25}};
  const VoxelGrid one_by_one =
      propagate(propagate(grid, first, {1, 1, 1}, OriginMode::kKernel), second, {3, 3, 3}, OriginMode::kKernel);
  const VoxelGrid at_once = propagate(grid, compose(first, second), {3, 3, 3}, OriginMode::kKernel);
  expect_near(one_by_one.origin_mm, at_once.origin_mm, 1e-12);
  expect_near(one_by_one.spacing_mm, at_once.spacing_mm, 1e-15);
}

TEST(Propagate, FovKeepsTheOuterFaces) {
  const VoxelGrid grid = oblique(0.1);
  const Sampling sampling = {.step = {0.5, 0.25, 1.0 / 3}, .offset = {7, 7, 7}};
  const VoxelGrid out = propagate(grid, sampling, {10, 24, 21}, OriginMode::kFov);
  expect_near(world_position(out, {-0.5, -0.5, -0.5}), world_position(grid, {-0.5, -0.5, -0.5}), 1e-12);
  expect_near(world_position(out, {20.5, 23.5, 9.5}), world_position(grid, {6.5, 5.5, 4.5}), 1e-12);
}

TEST(Propagate, KeepKeepsTheFirstVoxel) {
  const VoxelGrid grid = oblique(0.1);
  const VoxelGrid out = propagate(grid, {.step = {0.5, 0.5, 0.5}, .offset = {-1, -1, -1}}, {2, 2, 2}, OriginMode::kKeep);
  EXPECT_EQ(out.origin_mm, grid.origin_mm);
}

TEST(ContinuousIndex, InvertsWorldPosition) {
  VoxelGrid grid = oblique(0.00065);
  grid.direction[1] += 0.2;  // sheared
  const Vector3 index = {1.5, -2, 300};
  expect_near(continuous_index(grid, world_position(grid, index)), index, 1e-8);
}

TEST(OriginModeName, IsUnderstood) {
  EXPECT_EQ(origin_mode_from_name("kernel"), OriginMode::kKernel);
  EXPECT_EQ(origin_mode_from_name("fov"), OriginMode::kFov);
  EXPECT_EQ(origin_mode_from_name("keep"), OriginMode::kKeep);
  EXPECT_EQ(origin_mode_from_name("centre"), std::nullopt);
}

}  // namespace
}  // namespace convt3d
