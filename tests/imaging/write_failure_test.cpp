#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <limits>

#include "convt3d/imaging/volume.hpp"
#include "imaging/test_files.hpp"

namespace convt3d {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

/// Noise of 16 MiB as float32, which nothing compresses much.
const Tensor& noise() {
  static const Tensor voxels = [] {
    Tensor result = Tensor::empty({1, 1, 64, 256, 256});
    std::uint32_t state = 1;
    for (float& value : result.values<float>()) {
      state = state * 1664525u + 1013904223u;
      value = static_cast<float>(state >> 8);
    }
    return result;
  }();
  return voxels;
}

void write(const std::filesystem::path& path, const WriteOptions& options = {}, Observer* observer = nullptr) {
  VoxelGrid grid;
  grid.extent = {64, 256, 256};
  write_volume(path, noise(), grid, VolumeHeader{}, options, observer);
}

/// No file of this process may grow past `bytes` while this lives, as if the disk were full.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_limit_);
    const rlimit limit = {bytes, old_limit_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_limit_);
    signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_limit_{};
  void (*old_handler_)(int);
};

class WriteFailure : public ::testing::TestWithParam<const char*> {
 protected:
  ScratchFolder folder_;
  std::filesystem::path path() const { return folder_ / (std::string("scan") + GetParam()); }
};

TEST_P(WriteFailure, OfAFullDiskLeavesNothing) {
  for (const bool compress : {false, true}) {
    for (const rlim_t bytes : {100, 1 << 20}) {
      const FileSizeLimit limit(bytes);
      expect_error(ErrorKind::kOutput, {path().string()}, [&] { write(path(), {.compress_metaimage = compress}); });
      EXPECT_TRUE(folder_.names().empty()) << folder_.names().front();
    }
  }
}

TEST_P(WriteFailure, KeepsTheFileThatWasThere) {
  testing::write_file(path(), "precious");
  const FileSizeLimit limit(1 << 20);
  expect_error(ErrorKind::kOutput, {}, [&] { write(path()); });
  EXPECT_EQ(testing::read_file(path()), "precious");
}

TEST_P(WriteFailure, OfAMissingFolderNamesIt) {
  const auto target = folder_ / "gone" / path().filename();
  expect_error(ErrorKind::kOutput, {target.string(), "there is no folder", "gone"}, [&] { write(target); });
}

TEST_P(WriteFailure, OfAFolderThatVanishesSaysSo) {
  struct Remove : Observer {
    void progress(double) override { std::filesystem::remove_all(folder); }
    std::filesystem::path folder;
  } remove;
  remove.folder = folder_ / "out";
  const auto target = remove.folder / path().filename();
  std::filesystem::create_directory(remove.folder);
  expect_error(ErrorKind::kOutput, {target.string(), "No such file"}, [&] { write(target, {}, &remove); });
  EXPECT_TRUE(folder_.names().empty());
}

TEST_P(WriteFailure, OfAForbiddenFolderSaysSo) {
  const auto target = "/proc" / path().filename();  // where not even root makes files
  expect_error(ErrorKind::kOutput, {target.string(), "no file can be made in /proc"}, [&] { write(target); });
}

TEST_P(WriteFailure, OfAFolderInTheWaySaysSo) {
  std::filesystem::create_directory(path());
  expect_error(ErrorKind::kOutput, {path().string(), "is a folder"}, [&] { write(path()); });
}

TEST_P(WriteFailure, WhenStoppedLeavesNothing) {
  struct Stop : Observer {
    bool stop_requested() const override { return true; }
  } stop;
  expect_error(ErrorKind::kStopped, {"stopped"}, [&] { write(path(), {}, &stop); });
  EXPECT_TRUE(folder_.names().empty());
}

TEST_P(WriteFailure, OfOptionsIsToldBeforeAnythingIsWritten) {
  expect_error(ErrorKind::kOutput, {"float16"}, [&] { write(path(), {.pixel_type = DType::kFloat16}); });
  expect_error(ErrorKind::kOutput, {"compression level 13", "0 to 12"}, [&] { write(path(), {.compression_level = 13}); });
  expect_error(ErrorKind::kOutput, {"300", "uint8"},
               [&] { write(path(), {.pixel_type = DType::kUInt8, .nan_value = 300.0}); });
  EXPECT_TRUE(folder_.names().empty());
}

INSTANTIATE_TEST_SUITE_P(Formats, WriteFailure, ::testing::Values(".nii", ".nii.gz", ".mha", ".mhd"), [](const auto& row) {
  std::string name = row.param;
  std::erase(name, '.');
  return name;
});

TEST(WriteVolume, RefusesAGridOfAnotherExtent) {
  const ScratchFolder folder;
  VoxelGrid grid;
  grid.extent = {64, 256, 255};
  expect_error(ErrorKind::kShape, {"(64, 256, 256)", "(64, 256, 255)"},
               [&] { write_volume(folder / "a.nii", noise(), grid, VolumeHeader{}, {}); });
}

TEST(WriteVolume, ReportsProgressToItsEnd) {
  struct Watch : Observer {
    void progress(double fraction) override {
      EXPECT_GE(fraction, last);
      last = fraction;
    }
    double last = 0;
  } watch;
  const ScratchFolder folder;
  write(folder / "a.nii", {.threads = 1}, &watch);
  EXPECT_EQ(watch.last, 1);
  watch.last = 0;
  read_voxels(read_header(folder / "a.nii"), DType::kFloat32, &watch);
  EXPECT_EQ(watch.last, 1);
}

TEST(ReadVoxels, StopsWhenAsked) {
  struct Stop : Observer {
    bool stop_requested() const override { return true; }
  } stop;
  const ScratchFolder folder;
  write(folder / "a.nii");
  expect_error(ErrorKind::kStopped, {"stopped"},
               [&] { read_voxels(read_header(folder / "a.nii"), DType::kFloat32, &stop); });
}

TEST(FormatOf, IsTheExtension) {
  EXPECT_EQ(format_of("a/b.nii"), VolumeFormat::kNifti);
  EXPECT_EQ(format_of("a.b.nii.gz"), VolumeFormat::kNifti);
  EXPECT_EQ(format_of("SCAN.NII"), VolumeFormat::kNifti);
  EXPECT_EQ(format_of("a.mha"), VolumeFormat::kMetaImage);
  EXPECT_EQ(format_of("a.mhd"), VolumeFormat::kMetaImage);
  for (const char* name : {"a.hdr", "a.img", "a.gz", "a.png", "a", ".nii", "nii"}) {
    expect_error(ErrorKind::kOutput, {name, ".nii.gz", ".mha"}, [&] { format_of(name); });
  }
}

TEST(VolumeExtension, IsWhatCanBeRead) {
  EXPECT_EQ(volume_extension("x/a.b.nii.gz"), ".nii.gz");
  EXPECT_EQ(volume_extension("a.Nii"), ".nii");
  EXPECT_EQ(volume_extension("a.hdr"), ".hdr");
  EXPECT_EQ(volume_extension("a.gz"), "");
  EXPECT_EQ(volume_extension("a"), "");
  EXPECT_EQ(volume_extension(".mha"), "");
}

}  // namespace
}  // namespace convt3d
