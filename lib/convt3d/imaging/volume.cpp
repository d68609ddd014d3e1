#include "convt3d/imaging/volume.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "convt3d/base/error.hpp"
#include "convt3d/imaging/metaimage.hpp"
#include "convt3d/imaging/nifti.hpp"
#include "convt3d/imaging/plane_reader.hpp"

namespace convt3d {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 6> kExtensions = {".nii.gz", ".nii", ".mha", ".mhd", ".hdr", ".img"};

bool is_metaimage(std::string_view extension) { return extension == ".mha" || extension == ".mhd"; }

}  // namespace

std::string volume_extension(const fs::path& path) {
  std::string name = path.filename().string();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const std::string_view extension : kExtensions) {
    if (name.size() > extension.size() && name.ends_with(extension)) return std::string(extension);
  }
  return "";
}

VolumeFormat format_of(const fs::path& path) {
  const std::string extension = volume_extension(path);
  if (is_metaimage(extension)) return VolumeFormat::kMetaImage;
  if (extension == ".nii" || extension == ".nii.gz") return VolumeFormat::kNifti;
  throw Error(ErrorKind::kOutput,
              fmt::format("{}: cannot be written; expected the extension .nii, .nii.gz, .mha or .mhd", path.string()));
}

VolumeHeader read_header(const fs::path& path) {
  const std::string extension = volume_extension(path);
  if (extension.empty()) {
    throw Error(ErrorKind::kInput,
                fmt::format("{}: is no volume that can be read; expected the extension .nii, .nii.gz, .mha, "
                            ".mhd, .hdr or .img",
                            path.string()));
  }
  return is_metaimage(extension) ? read_metaimage_header(path) : read_nifti_header(path);
}

Tensor read_voxels(const VolumeHeader& header, DType dtype, Observer* observer) {
  if (dtype != DType::kFloat32 && dtype != DType::kFloat64) {
    throw Error(ErrorKind::kShape, fmt::format("voxels are read as float32 or float64, not as {}", name_of(dtype)));
  }
  return header.format == VolumeFormat::kNifti ? read_nifti_voxels(header, dtype, observer)
                                               : read_metaimage_voxels(header, dtype, observer);
}

std::int64_t reading_bytes(const VolumeHeader& header, DType dtype) {
  const Extent3& extent = header.grid.extent;
  return byte_count({header.frames, header.components, extent.d, extent.h, extent.w}, dtype) + kReadScratchBytes;
}

}  // namespace convt3d
