/// What convt3d reads from files that it did not write, held against what ITK reads from them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "imaging/itk_volume.hpp"
#include "imaging/test_files.hpp"

namespace convt3d {
namespace {

using testing::ItkVolume;
using testing::read_with_itk;
using testing::ScratchFolder;

constexpr std::array<std::int64_t, 3> kSizes = {5, 4, 3};
constexpr std::int64_t kVoxels = 5 * 4 * 3;

struct Type {
  const char* name;
  int nifti;
  const char* metaimage;
};

/// All that ITK reads with one real number per component.
const std::vector<std::pair<DType, Type>> kTypes = {
    {DType::kUInt8, {"uint8", 2, "MET_UCHAR"}},           {DType::kInt8, {"int8", 256, "MET_CHAR"}},
    {DType::kUInt16, {"uint16", 512, "MET_USHORT"}},      {DType::kInt16, {"int16", 4, "MET_SHORT"}},
    {DType::kUInt32, {"uint32", 768, "MET_UINT"}},        {DType::kInt32, {"int32", 8, "MET_INT"}},
    {DType::kUInt64, {"uint64", 1280, "MET_ULONG_LONG"}}, {DType::kInt64, {"int64", 1024, "MET_LONG_LONG"}},
    {DType::kFloat32, {"float32", 16, "MET_FLOAT"}},      {DType::kFloat64, {"float64", 64, "MET_DOUBLE"}},
};

/// Bytes of either order.
class Bytes {
 public:
  explicit Bytes(bool swapped) : swapped_(swapped) {}

  template <typename T>
  void put(std::size_t offset, T value) {
    std::array<char, sizeof(T)> bytes;
    std::memcpy(bytes.data(), &value, sizeof(T));
    if (swapped_) std::ranges::reverse(bytes);
    text.resize(std::max(text.size(), offset + sizeof(T)));
    std::ranges::copy(bytes, text.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  /// Counts from -3, or what that is in an unsigned type.
  template <typename T>
  void put_voxels_as(std::size_t offset) {
    for (std::size_t i = 0; i < kVoxels; ++i) put(offset + i * sizeof(T), static_cast<T>(static_cast<T>(i) - T(3)));
  }

  void put_voxels(std::size_t offset, DType type) {
    switch (type) {
      case DType::kUInt8: return put_voxels_as<std::uint8_t>(offset);
      case DType::kInt8: return put_voxels_as<std::int8_t>(offset);
      case DType::kUInt16: return put_voxels_as<std::uint16_t>(offset);
      case DType::kInt16: return put_voxels_as<std::int16_t>(offset);
      case DType::kUInt32: return put_voxels_as<std::uint32_t>(offset);
      case DType::kInt32: return put_voxels_as<std::int32_t>(offset);
      case DType::kUInt64: return put_voxels_as<std::uint64_t>(offset);
      case DType::kInt64: return put_voxels_as<std::int64_t>(offset);
      case DType::kFloat32: return put_voxels_as<float>(offset);
      case DType::kFloat64: return put_voxels_as<double>(offset);
      default: ADD_FAILURE() << "no pixel type";
    }
  }

  std::string text;

 private:
  bool swapped_;
};

/// A NIfTI-1 header by the offsets of nifti1.h, oblique about z.
Bytes nifti_header(const Type& type, DType dtype, bool swapped, float slope, float intercept, bool paired) {
  Bytes header(swapped);
  header.text.resize(352);
  header.put<std::int32_t>(0, 348);
  header.put<std::int16_t>(40, 3);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    header.put(42 + 2 * axis, static_cast<std::int16_t>(kSizes[axis]));
    header.put(80 + 4 * axis, 0.5f + 0.25f * static_cast<float>(axis));
  }
  for (std::size_t axis = 4; axis < 8; ++axis) header.put<std::int16_t>(40 + 2 * axis, 1);
  header.put(70, static_cast<std::int16_t>(type.nifti));
  header.put(72, static_cast<std::int16_t>(8 * size_of(dtype)));
  header.put(76, 1.0f);
  header.put(108, paired ? 0.0f : 352.0f);
  header.put(112, slope);
  header.put(116, intercept);
  header.put<std::uint8_t>(123, 2);
  header.put<std::int16_t>(252, 1);
  header.put(264, std::sin(0.2f));  // of half the angle
  for (std::size_t axis = 0; axis < 3; ++axis) header.put(268 + 4 * axis, 10.0f + static_cast<float>(axis));
  header.text.replace(344, 4, paired ? "ni1" : "n+1", 4);
  return header;
}

void expect_same(const std::filesystem::path& path) {
  const VolumeHeader header = read_header(path);
  const Tensor ours = read_voxels(header, DType::kFloat64);
  const ItkVolume itk = read_with_itk(path);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    EXPECT_EQ(itk.sizes[axis], static_cast<unsigned>(kSizes[axis]));
    EXPECT_EQ(header.grid.extent[2 - static_cast<int>(axis)], kSizes[axis]);
    EXPECT_NEAR(itk.spacing[axis], header.grid.spacing_mm[axis], 1e-6);
    EXPECT_NEAR(itk.origin[axis], header.grid.origin_mm[axis], 1e-5);
  }
  for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(itk.direction[i], header.grid.direction[i], 1e-6) << i;
  ASSERT_EQ(static_cast<std::int64_t>(itk.voxels.size()), ours.size());
  for (std::size_t i = 0; i < itk.voxels.size(); ++i) {
    const double value = ours.data<double>()[i];
    ASSERT_NEAR(itk.voxels[i], value, 1e-6 * std::abs(value)) << "voxel " << i;  // ITK scales in float32
  }
}

/// Values that do not depend on what both readers make of them.
void expect_counting(const std::filesystem::path& path, double slope, double intercept) {
  const Tensor ours = read_voxels(read_header(path), DType::kFloat64);
  EXPECT_NEAR(ours.data<double>()[3], intercept, 1e-12);
  EXPECT_NEAR(ours.data<double>()[59], 56 * slope + intercept, 1e-12);
}

class ItkReading : public ::testing::TestWithParam<std::pair<DType, Type>> {
 protected:
  ScratchFolder folder_;
};

TEST_P(ItkReading, AgreesOnNiftiOfEitherByteOrderAndScale) {
  const auto& [dtype, type] = GetParam();
  for (const bool swapped : {false, true}) {
    for (const auto& [slope, intercept] : {std::pair(0.0f, 0.0f), std::pair(1.0f, 0.0f), std::pair(2.5f, -7.0f)}) {
      SCOPED_TRACE(::testing::Message() << "swapped " << swapped << ", slope " << slope);
      Bytes file = nifti_header(type, dtype, swapped, slope, intercept, false);
      file.put_voxels(352, dtype);
      testing::write_file(folder_ / "scan.nii", file.text);
      expect_same(folder_ / "scan.nii");
      expect_counting(folder_ / "scan.nii", slope == 0 ? 1 : slope, intercept);
    }
  }
}

TEST_P(ItkReading, AgreesOnPairsByEitherName) {
  const auto& [dtype, type] = GetParam();
  Bytes voxels(true);
  voxels.put_voxels(0, dtype);
  testing::write_file(folder_ / "scan.hdr", nifti_header(type, dtype, true, 0, 0, true).text);
  testing::write_file(folder_ / "scan.img", voxels.text);
  expect_same(folder_ / "scan.hdr");
  expect_same(folder_ / "scan.img");
}

TEST_P(ItkReading, AgreesOnMetaImagesOfEitherByteOrder) {
  const auto& [dtype, type] = GetParam();
  for (const bool swapped : {false, true}) {
    SCOPED_TRACE(::testing::Message() << "swapped " << swapped);
    Bytes file(swapped);
    file.text = std::string("ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = ") +
                (swapped ? "True" : "False") +
                "\nTransformMatrix = 0.6 0.8 0 -0.8 0.6 0 0 0 1\nOffset = 10 11 12\nElementSpacing = 0.5 0.75 1\n"
                "DimSize = 5 4 3\nElementType = " +
                type.metaimage + "\nElementDataFile = LOCAL\n";
    file.put_voxels(file.text.size(), dtype);
    testing::write_file(folder_ / "scan.mha", file.text);
    expect_same(folder_ / "scan.mha");
    expect_counting(folder_ / "scan.mha", 1, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ItkReading, ::testing::ValuesIn(kTypes),
                         [](const auto& row) { return std::string(row.param.second.name); });

}  // namespace
}  // namespace convt3d
