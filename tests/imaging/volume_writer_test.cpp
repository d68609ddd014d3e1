#include "convt3d/imaging/volume_writer.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <map>

#include "imaging/test_files.hpp"

namespace convt3d {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

/// Some blocks of each channel, and part of one.
const Shape kShape = {2, 3, 19, 130, 141};

VoxelGrid grid_of(const Shape& shape) {
  VoxelGrid grid;
  grid.extent = {shape[2], shape[3], shape[4]};
  return grid;
}

/// Neither constant nor noise.
Tensor waves(const Shape& shape) {
  Tensor voxels = Tensor::empty(shape);
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < voxels.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    voxels.data<float>()[i] = static_cast<float>(i % 1000 + (state >> 29));
  }
  return voxels;
}

/// Planes [first, first + count) of volume n, dense.
const Tensor planes_of(const Tensor& voxels, std::int64_t n, std::int64_t first, std::int64_t count) {
  const Shape& shape = voxels.shape();
  const std::int64_t plane = shape[3] * shape[4];
  Tensor planes = Tensor::empty({1, shape[1], count, shape[3], shape[4]});
  for (std::int64_t c = 0; c < shape[1]; ++c) {
    std::memcpy(planes.data<float>() + c * count * plane,
                voxels.data<float>() + ((n * shape[1] + c) * shape[2] + first) * plane,
                static_cast<std::size_t>(count * plane) * sizeof(float));
  }
  return planes;
}

/// Writes in slabs of these numbers of planes, over and over.
WriteReport write_in_slabs(const std::filesystem::path& path, const Tensor& voxels, const std::vector<std::int64_t>& counts,
                           const WriteOptions& options) {
  const Shape& shape = voxels.shape();
  VolumeWriter writer(path, shape, grid_of(shape), VolumeHeader{}, options);
  std::size_t slab = 0;
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    for (std::int64_t d = 0; d < shape[2];) {
      const std::int64_t count = std::min(counts[slab++ % counts.size()], shape[2] - d);
      writer.write(planes_of(voxels, n, d, count).view(), n, d);
      d += count;
    }
  }
  return writer.finish();
}

class SlabWriter : public ::testing::TestWithParam<const char*> {
 protected:
  ScratchFolder folder_;
  std::string name() const { return std::string("scan") + GetParam(); }

  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> result;
    for (const std::string& file : folder_.names()) result[file] = testing::read_file(folder_ / file);
    return result;
  }
};

TEST_P(SlabWriter, WritesTheSameBytesHoweverTheVolumeIsCut) {
  const Tensor voxels = waves(kShape);
  for (const bool compress : {false, true}) {
    for (const DType type : {DType::kFloat32, DType::kUInt8}) {
      WriteOptions options = {.pixel_type = type, .compression_level = 1, .compress_metaimage = compress, .threads = 1};
      const WriteReport whole = write_volume(folder_ / name(), voxels, grid_of(kShape), VolumeHeader{}, options);
      const auto expected = files();
      const std::vector<std::pair<std::vector<std::int64_t>, int>> ways = {{{1}, 2}, {{7, 1, 4}, 5}, {{18}, 1}};
      for (const auto& [counts, threads] : ways) {
        options.threads = threads;
        const WriteReport report = write_in_slabs(folder_ / name(), voxels, counts, options);
        EXPECT_EQ(report.bytes, whole.bytes);
        EXPECT_EQ(report.clipped, whole.clipped);
        EXPECT_TRUE(files() == expected) << counts.front() << " planes, " << threads << " threads";
      }
    }
  }
}

TEST_P(SlabWriter, RefusesPlanesThatAreNotNext) {
  const Tensor voxels = waves({2, 1, 4, 5, 6});
  VolumeWriter writer(folder_ / name(), voxels.shape(), grid_of(voxels.shape()), VolumeHeader{}, {});
  const auto refused = [&](const Tensor& planes, std::int64_t n, std::int64_t d) {
    expect_error(ErrorKind::kShape, {name(), "not what comes next", "plane 2 of volume 0"},
                 [&] { writer.write(planes.view(), n, d); });
  };
  writer.write(planes_of(voxels, 0, 0, 2).view(), 0, 0);
  refused(planes_of(voxels, 0, 0, 1), 0, 0);
  refused(planes_of(voxels, 0, 3, 1), 0, 3);
  refused(planes_of(voxels, 0, 2, 1), 1, 2);
  refused(waves({1, 1, 3, 5, 6}), 0, 2);
  refused(waves({1, 2, 1, 5, 6}), 0, 2);
  refused(waves({1, 1, 1, 6, 5}), 0, 2);
  expect_error(ErrorKind::kShape, {"planes are missing", "plane 2"}, [&] { writer.finish(); });
}

TEST_P(SlabWriter, LeavesNothingWhenItIsGivenUp) {
  const Tensor voxels = waves(kShape);
  {
    VolumeWriter writer(folder_ / name(), kShape, grid_of(kShape), VolumeHeader{}, {});
    writer.write(planes_of(voxels, 0, 0, 19).view(), 0, 0);
    EXPECT_FALSE(folder_.names().empty());
  }
  EXPECT_TRUE(folder_.names().empty());
}

TEST_P(SlabWriter, NamesTheVoxelThatIsNaN) {
  Tensor voxels = waves(kShape);
  voxels.data<float>()[(((1 * 3 + 2) * 19 + 17) * 130 + 5) * 141 + 9] = std::numeric_limits<float>::quiet_NaN();
  expect_error(ErrorKind::kOutput, {name(), "(1, 2, 17, 5, 9) is NaN", "int16"},
               [&] { write_in_slabs(folder_ / name(), voxels, {4}, {.pixel_type = DType::kInt16}); });
  EXPECT_TRUE(folder_.names().empty());
}

INSTANTIATE_TEST_SUITE_P(Formats, SlabWriter, ::testing::Values(".nii", ".nii.gz", ".mha", ".mhd"), [](const auto& row) {
  std::string name = row.param;
  std::erase(name, '.');
  return name;
});

}  // namespace
}  // namespace convt3d
