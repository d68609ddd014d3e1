/// What ITK makes of the files that convt3d writes.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/imaging/volume.hpp"
#include "imaging/itk_volume.hpp"
#include "imaging/test_files.hpp"

namespace convt3d {
namespace {

using testing::ItkVolume;
using testing::read_with_itk;
using testing::ScratchFolder;

/// A turn about (1, 2, 3).
std::array<double, 9> rotation(double angle) {
  const double length = std::sqrt(14.0);
  const double x = 1 / length, y = 2 / length, z = 3 / length;
  const double c = std::cos(angle), s = std::sin(angle), v = 1 - c;
  return {c + x * x * v,     x * y * v - z * s, x * z * v + y * s, y * x * v + z * s, c + y * y * v,
          y * z * v - x * s, z * x * v - y * s, z * y * v + x * s, c + z * z * v};
}

class ItkAgreement : public ::testing::TestWithParam<const char*> {
 protected:
  void expect_same(std::int64_t n, std::int64_t c, const VoxelGrid& grid, bool compress_metaimage = false) {
    const std::filesystem::path path = folder_ / (std::string("scan") + GetParam());
    Tensor voxels = Tensor::empty({n, c, grid.extent.d, grid.extent.h, grid.extent.w});
    for (std::int64_t i = 0; i < voxels.size(); ++i) voxels.data<float>()[i] = static_cast<float>(i % 1000003) - 5;
    VolumeHeader source;
    source.format = VolumeFormat::kMetaImage;
    write_volume(path, voxels, grid, source, {.compress_metaimage = compress_metaimage, .provenance = "convt3d test"});

    const ItkVolume itk = read_with_itk(path);
    EXPECT_EQ(itk.type, itk::IOComponentEnum::FLOAT);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      EXPECT_EQ(itk.sizes[axis], static_cast<unsigned>(grid.extent[2 - static_cast<int>(axis)]));
      EXPECT_NEAR(itk.spacing[axis], grid.spacing_mm[axis], 1e-6 * grid.spacing_mm[axis]);
      EXPECT_NEAR(itk.origin[axis], grid.origin_mm[axis], 1e-5);
    }
    for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(itk.direction[i], grid.direction[i], 1e-6) << i;
    expect_same_voxels(itk, std::as_const(voxels).view());
  }

 private:
  void expect_same_voxels(const ItkVolume& itk, const ConstTensorView& voxels) {
    const std::int64_t plane = voxels.extent.d * voxels.extent.h * voxels.extent.w;
    ASSERT_EQ(static_cast<std::int64_t>(itk.voxels.size()), voxels.n * voxels.c * plane);
    const auto* expected = static_cast<const float*>(voxels.data);
    const std::int64_t together = itk.components;  // channels side by side, or 1 where they are an axis
    const std::int64_t planes = voxels.n * voxels.c / together;
    std::int64_t differing = 0;
    for (std::int64_t p = 0; p < planes; ++p) {
      for (std::int64_t c = 0; c < together; ++c) {
        for (std::int64_t i = 0; i < plane; ++i) {
          differing += itk.voxels[static_cast<std::size_t>((p * plane + i) * together + c)] !=
                       expected[(p * together + c) * plane + i];
        }
      }
    }
    EXPECT_EQ(differing, 0);
  }

  ScratchFolder folder_;
};

TEST_P(ItkAgreement, OnGeometryAndVoxels) {
  for (const double voxel_mm : {1.0, 0.1, 0.00065}) {
    for (const double angle : {0.0, 0.7, 1e-4, 3.14}) {
      expect_same(1, 1,
                  {.extent = {3, 4, 5},
                   .spacing_mm = {voxel_mm, 2 * voxel_mm, 3 * voxel_mm},
                   .origin_mm = {-1.5, 20.25, 3},
                   .direction = rotation(angle)});
    }
  }
}

TEST_P(ItkAgreement, OnALeftHandedDirection) {
  expect_same(
      1, 1,
      {.extent = {3, 4, 5}, .spacing_mm = {1, 2, 3}, .origin_mm = {1, 2, 3}, .direction = {0, 1, 0, 1, 0, 0, 0, 0, 1}});
}

TEST_P(ItkAgreement, OnFramesAndChannels) {
  VoxelGrid grid;
  grid.extent = {3, 4, 5};
  expect_same(4, 1, grid);
  expect_same(1, 3, grid);
  if (std::string(GetParam()).starts_with(".m")) expect_same(2, 3, grid);
}

TEST_P(ItkAgreement, OnSeveralCompressedBlocks) {
  VoxelGrid grid;
  grid.extent = {40, 256, 256};  // 10 MiB of float32: as many gzip members and the header's, or parts of a zlib stream
  expect_same(1, 1, grid, true);
}

INSTANTIATE_TEST_SUITE_P(Formats, ItkAgreement, ::testing::Values(".nii", ".nii.gz", ".mha", ".mhd"), [](const auto& row) {
  std::string name = row.param;
  std::erase(name, '.');
  return name;
});

}  // namespace
}  // namespace convt3d
