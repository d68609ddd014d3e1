#include "convt3d/imaging/volume.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "convt3d/base/error.hpp"
#include "convt3d/imaging/metaimage.hpp"
#include "convt3d/imaging/nifti.hpp"
#include "convt3d/imaging/pixels.hpp"
#include "convt3d/imaging/plane_reader.hpp"
#include "convt3d/imaging/temporary_folder.hpp"

namespace convt3d {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 6> kExtensions = {".nii.gz", ".nii", ".mha", ".mhd", ".hdr", ".img"};

bool is_metaimage(std::string_view extension) { return extension == ".mha" || extension == ".mhd"; }

void require_writable(const Tensor& voxels, const VoxelGrid& grid, const WriteOptions& options) {
  const ConstTensorView view = voxels.view();
  if (view.extent != grid.extent) {
    throw Error(ErrorKind::kShape,
                fmt::format("the voxels are {}, their grid {}", to_string(view.extent), to_string(grid.extent)));
  }
  if (voxels.size() == 0) throw Error(ErrorKind::kOutput, "there are no voxels to write");
  if (!is_pixel_type(options.pixel_type)) {
    throw Error(ErrorKind::kOutput, fmt::format("no file holds {} voxels; write float32", name_of(options.pixel_type)));
  }
  if (options.nan_value && is_integer(options.pixel_type) && !fits(*options.nan_value, options.pixel_type)) {
    throw Error(ErrorKind::kOutput,
                fmt::format("{} for NaN is outside the range of {}", *options.nan_value, name_of(options.pixel_type)));
  }
  if (options.compression_level < 0 || options.compression_level > 12) {
    throw Error(ErrorKind::kOutput, fmt::format("compression level {}; expected 0 to 12", options.compression_level));
  }
}

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

WriteReport write_volume(const fs::path& path, const Tensor& voxels, const VoxelGrid& grid, const VolumeHeader& source,
                         const WriteOptions& options, Observer* observer) {
  const VolumeFormat format = format_of(path);
  try {
    require_writable(voxels, grid, options);
    TemporaryFolder folder(path);
    const WriteReport report = format == VolumeFormat::kNifti
                                   ? write_nifti(folder.file(), voxels, grid, source, options, observer)
                                   : write_metaimage(folder.file(), voxels, grid, source, options, observer);
    if (observer != nullptr && observer->stop_requested()) throw Error(ErrorKind::kStopped, "stopped while writing");
    folder.publish();
    return report;
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", path.string(), error.what()));
  }
}

std::int64_t writing_bytes(const fs::path& path, const Shape& voxels, DType /*blocks have options.pixel_type*/,
                           const WriteOptions& options) {
  return format_of(path) == VolumeFormat::kNifti ? nifti_writing_bytes(path, voxels, options)
                                                 : metaimage_writing_bytes(voxels, options);
}

}  // namespace convt3d
