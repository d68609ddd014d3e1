#include "convt3d/imaging/volume_reader.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "convt3d/base/buffer.hpp"
#include "imaging/test_files.hpp"

namespace convt3d {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

const Shape kShape = {2, 3, 9, 40, 50};

struct Case {
  const char* extension;
  bool compress;
  bool seeks;
};

class RegionReader : public ::testing::TestWithParam<Case> {
 protected:
  RegionReader() : voxels_(Tensor::empty(kShape)) {
    for (std::int64_t i = 0; i < voxels_.size(); ++i) voxels_.data<float>()[i] = static_cast<float>(i);
    VoxelGrid grid;
    grid.extent = {kShape[2], kShape[3], kShape[4]};
    path_ = folder_ / (std::string("scan") + GetParam().extension);
    write_volume(path_, voxels_, grid, VolumeHeader{}, {.compress_metaimage = GetParam().compress});
  }

  void expect_planes(VolumeReader& reader, std::int64_t n, std::int64_t first, std::int64_t count) {
    Tensor planes = Tensor::empty({1, kShape[1], count, kShape[3], kShape[4]}, DType::kFloat64);
    reader.read(n, first, planes.view());
    const std::int64_t plane = kShape[3] * kShape[4];
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < planes.size(); ++i) {
      const std::int64_t c = i / (count * plane);
      const std::int64_t at = ((n * kShape[1] + c) * kShape[2] + first) * plane + i % (count * plane);
      wrong += planes.data<double>()[i] != static_cast<double>(at);
    }
    EXPECT_EQ(wrong, 0) << "planes " << first << " to " << first + count << " of volume " << n;
  }

  ScratchFolder folder_;
  std::filesystem::path path_;
  Tensor voxels_;
};

TEST_P(RegionReader, GivesAnyPlanesInAnyOrder) {
  VolumeReader reader(read_header(path_));
  EXPECT_EQ(reader.seeks(), GetParam().seeks);
  expect_planes(reader, 0, 0, 4);
  expect_planes(reader, 0, 3, 4);
  expect_planes(reader, 1, 0, 9);
  expect_planes(reader, 1, 8, 1);
  expect_planes(reader, 0, 1, 2);
}

TEST_P(RegionReader, RefusesPlanesOutside) {
  VolumeReader reader(read_header(path_));
  Tensor planes = Tensor::empty({1, 3, 2, 40, 50});
  for (const auto& [n, d] : {std::pair{2, 0}, std::pair{-1, 0}, std::pair{0, 8}, std::pair{0, -1}}) {
    expect_error(ErrorKind::kShape, {path_.string(), "are not in (2, 3, 9, 40, 50)"},
                 [&] { reader.read(n, d, planes.view()); });
  }
}

TEST_P(RegionReader, TellsOfShortFiles) {
  const VolumeHeader header = read_header(path_);
  const auto data = GetParam().extension == std::string(".mhd") ? folder_ / "scan.raw" : path_;
  std::filesystem::resize_file(data, std::filesystem::file_size(data) - 100);
  expect_error(ErrorKind::kInput, {data.string(), "cut off"}, [&] {
    VolumeReader reader(header);
    expect_planes(reader, 0, 0, 9);
    expect_planes(reader, 1, 0, 9);
  });
}

TEST(RegionReadingBytes, CountTheWholeVolumeWhereComponentsOfACompressedFileFollowEachOther) {
  const ScratchFolder folder;
  const Tensor voxels = Tensor::zeros({1, 1, 4, 5, 6});
  VoxelGrid grid;
  grid.extent = {4, 5, 6};
  write_volume(folder / "a.nii.gz", voxels, grid, VolumeHeader{}, {});
  VolumeHeader header = read_header(folder / "a.nii.gz");
  const std::int64_t scratch = region_reading_bytes(header, DType::kFloat32);
  header.components = 3;
  EXPECT_EQ(region_reading_bytes(header, DType::kFloat32), scratch + Buffer::taken(3 * 4 * 5 * 6 * 4));
  write_volume(folder / "a.nii", voxels, grid, VolumeHeader{}, {});
  header.path = folder / "a.nii";
  EXPECT_EQ(region_reading_bytes(header, DType::kFloat32), scratch);
}

INSTANTIATE_TEST_SUITE_P(Formats, RegionReader,
                         ::testing::Values(Case{".nii", false, true}, Case{".nii.gz", false, false},
                                           Case{".mha", false, true}, Case{".mha", true, false}, Case{".mhd", false, true}),
                         [](const auto& row) {
                           std::string name = row.param.extension + std::string(row.param.compress ? "_zlib" : "");
                           std::erase(name, '.');
                           return name;
                         });

}  // namespace
}  // namespace convt3d
