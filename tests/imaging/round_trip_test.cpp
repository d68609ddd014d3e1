#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "convt3d/imaging/volume.hpp"
#include "imaging/test_files.hpp"

namespace convt3d {
namespace {

using testing::ScratchFolder;

const Extent3 kExtent = {3, 4, 5};

VoxelGrid oblique_grid() {
  const double c = std::cos(0.3), s = std::sin(0.3);
  return {.extent = kExtent,
          .spacing_mm = {0.5, 0.75, 2},
          .origin_mm = {-10, 20, 30.5},
          .direction = {c, -s, 0, s, c, 0, 0, 0, 1}};
}

/// 0, 1, 2, ... with the places of a few given to others.
Tensor counting(std::int64_t n, std::int64_t c, DType dtype = DType::kFloat32) {
  Tensor voxels = Tensor::empty({n, c, kExtent.d, kExtent.h, kExtent.w}, dtype);
  for (std::int64_t i = 0; i < voxels.size(); ++i) {
    if (dtype == DType::kFloat64) {
      voxels.data<double>()[i] = static_cast<double>(i);
    } else {
      voxels.data<float>()[i] = static_cast<float>(i);
    }
  }
  return voxels;
}

VolumeHeader no_source() {
  VolumeHeader source;
  source.format = VolumeFormat::kMetaImage;
  return source;
}

class RoundTrip : public ::testing::TestWithParam<const char*> {
 protected:
  ScratchFolder folder_;
  std::filesystem::path path() const { return folder_ / (std::string("scan") + GetParam()); }

  Tensor through_file(const Tensor& voxels, const WriteOptions& options = {}) {
    write_volume(path(), voxels, oblique_grid(), no_source(), options);
    return read_voxels(read_header(path()), voxels.dtype());
  }
};

TEST_P(RoundTrip, KeepsGeometry) {
  write_volume(path(), counting(1, 1), oblique_grid(), no_source(), {});
  const VolumeHeader header = read_header(path());
  EXPECT_EQ(header.grid.extent, kExtent);
  const VoxelGrid grid = oblique_grid();
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(header.grid.spacing_mm[i], grid.spacing_mm[i], 1e-6);
    EXPECT_NEAR(header.grid.origin_mm[i], grid.origin_mm[i], 1e-5);
  }
  for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(header.grid.direction[i], grid.direction[i], 1e-6) << i;
}

TEST_P(RoundTrip, KeepsVoxels) {
  const Tensor voxels = counting(1, 1);
  const Tensor read = through_file(voxels);
  ASSERT_EQ(read.shape(), voxels.shape());
  for (std::int64_t i = 0; i < voxels.size(); ++i) EXPECT_EQ(read.data<float>()[i], voxels.data<float>()[i]) << i;
}

TEST_P(RoundTrip, KeepsNanAndInfinity) {
  Tensor voxels = counting(1, 1);
  voxels.data<float>()[7] = std::numeric_limits<float>::quiet_NaN();
  voxels.data<float>()[8] = std::numeric_limits<float>::infinity();
  voxels.data<float>()[9] = -std::numeric_limits<float>::infinity();
  const Tensor read = through_file(voxels);
  EXPECT_TRUE(std::isnan(std::as_const(read).data<float>()[7]));
  EXPECT_EQ(read.data<float>()[8], std::numeric_limits<float>::infinity());
  EXPECT_EQ(read.data<float>()[9], -std::numeric_limits<float>::infinity());
}

TEST_P(RoundTrip, KeepsEveryPixelType) {
  for (const DType type : {DType::kFloat32, DType::kFloat64, DType::kInt8, DType::kUInt8, DType::kInt16, DType::kUInt16,
                           DType::kInt32, DType::kUInt32, DType::kInt64, DType::kUInt64}) {
    const Tensor voxels = counting(1, 1, DType::kFloat64);
    const Tensor read = through_file(voxels, {.pixel_type = type});
    EXPECT_EQ(read_header(path()).pixel_type, type) << name_of(type);
    for (std::int64_t i = 0; i < voxels.size(); ++i) {
      EXPECT_EQ(read.data<double>()[i], voxels.data<double>()[i]) << name_of(type);
    }
  }
}

TEST_P(RoundTrip, KeepsFramesAndComponentsApart) {
  const bool nifti = std::string(GetParam()).starts_with(".nii");
  for (const auto& [n, c] : {std::pair{1, 3}, std::pair{4, 1}, std::pair{2, 3}}) {
    const Tensor voxels = counting(n, c);
    const Tensor read = through_file(voxels);
    // NIfTI's 4th axis does not tell channels from frames
    const Shape expected = nifti && n == 1 ? Shape{c, 1, 3, 4, 5} : voxels.shape();
    ASSERT_EQ(read.shape(), expected);
    for (std::int64_t i = 0; i < voxels.size(); ++i) EXPECT_EQ(read.data<float>()[i], voxels.data<float>()[i]);
  }
}

TEST_P(RoundTrip, LeavesTheFilesOfThatNameAlone) {
  through_file(counting(1, 1));
  for (const std::string& name : folder_.names()) EXPECT_TRUE(name.starts_with("scan.")) << name;
}

INSTANTIATE_TEST_SUITE_P(Formats, RoundTrip, ::testing::Values(".nii", ".nii.gz", ".mha", ".mhd"), [](const auto& row) {
  std::string name = row.param;
  std::erase(name, '.');
  return name;
});

}  // namespace
}  // namespace convt3d
