#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/base/dtype.hpp"
#include "convt3d/base/observer.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/imaging/voxel_grid.hpp"

namespace convt3d {

enum class VolumeFormat { kNifti, kMetaImage };

/// Fields of a NIfTI header that ITK loses and an output keeps.
struct NiftiFields {
  int qform_code = 1;
  int sform_code = 1;
  int intent_code = 0;
  std::array<float, 3> intent_parameters = {0, 0, 0};
  std::string intent_name;
  double frame_duration = 1;  ///< pixdim[4], seconds
};

/// All that a volume's file says besides its voxels.
struct VolumeHeader {
  std::filesystem::path path;
  VolumeFormat format = VolumeFormat::kNifti;
  VoxelGrid grid;
  /// As reading gives it: float32 or float64 where a slope or intercept scales integers.
  DType pixel_type = DType::kFloat32;
  std::int64_t components = 1;       ///< of a vector image's voxel
  std::int64_t frames = 1;           ///< length of the 4th axis
  std::optional<NiftiFields> nifti;  ///< of a NIfTI file
};

/// Reads the header only: the voxel data may be missing. Throws Error{kInput} with the path for what is no valid volume of
/// 3 dimensions, or of 4; a 2-D image is a volume of depth 1.
VolumeHeader read_header(const std::filesystem::path& path);

/// The voxels as (frames, components, D, H, W) in `dtype` (float32 or float64), slope and intercept applied, NaN and Inf as
/// they are in the file. Throws Error{kInput} when data is short, corrupt or of another size than the header says, and
/// Error{kStopped} soon after the observer asks to stop.
Tensor read_voxels(const VolumeHeader& header, DType dtype, Observer* observer = nullptr);

/// Bytes that read_voxels holds at its fullest, its result among them.
std::int64_t reading_bytes(const VolumeHeader& header, DType dtype);

struct WriteOptions {
  DType pixel_type = DType::kFloat32;
  int compression_level = 6;  ///< 0 to 12, for .nii.gz and .mha/.mhd
  bool compress_metaimage = true;
  std::optional<double> nan_value;  ///< written for NaN to an integer type; nullopt: Error{kOutput}
  std::string provenance;           ///< tool, version and config, for descrip and MetaImage fields
};

/// What writing did to the values.
struct WriteReport {
  std::int64_t bytes = 0;    ///< of the file, or files
  std::int64_t clipped = 0;  ///< voxels outside the integer type's range
};

/// The format an output path's extension means (.nii, .nii.gz, .mha, .mhd); throws Error{kOutput} for others, naming them.
VolumeFormat format_of(const std::filesystem::path& path);

/// Extension of a volume's path, ".nii.gz" being one; "" if it is none that can be read (.nii, .nii.gz, .mha, .mhd, .hdr,
/// .img).
std::string volume_extension(const std::filesystem::path& path);

/// Writes (N, C, D, H, W) to `path` on `grid`: under a temporary name in the same folder, renamed when complete, nothing
/// left behind on failure. NIfTI gets more than one volume or channel as a 4th axis, MetaImage channels as vector pixels and
/// N as a 4th axis. Integers are rounded half to even and clamped. `source` is the header that codes, units and intent come
/// from. Throws Error{kOutput} when the file cannot be written or its format cannot hold the volume, and Error{kStopped}
/// soon after the observer asks to stop.
WriteReport write_volume(const std::filesystem::path& path, const Tensor& voxels, const VoxelGrid& grid,
                         const VolumeHeader& source, const WriteOptions& options, Observer* observer = nullptr);

/// Bytes that write_volume holds at its fullest for voxels of that shape and dtype, besides the voxels themselves.
std::int64_t writing_bytes(const std::filesystem::path& path, const Shape& voxels, DType dtype, const WriteOptions& options);

}  // namespace convt3d
