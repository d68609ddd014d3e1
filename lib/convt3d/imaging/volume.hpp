#pragma once

#include <array>
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
  /// Where the qform puts the voxels when both forms are set and it says something else than the sform, which is the
  /// header's grid (SPM keeps the scanner's frame so, after a registration).
  std::optional<VoxelGrid> qform;
  int intent_code = 0;
  std::array<double, 3> intent_parameters = {0, 0, 0};
  std::string intent_name;
  double first_frame_s = 0;  ///< toffset
};

/// All that a volume's file says besides its voxels.
struct VolumeHeader {
  std::filesystem::path path;
  VolumeFormat format = VolumeFormat::kNifti;
  VoxelGrid grid;
  DType pixel_type =
      DType::kFloat32;               ///< as reading gives it: float32 or float64 where a slope or intercept scales integers
  std::int64_t components = 1;       ///< of a vector image's voxel
  std::int64_t frames = 1;           ///< length of the 4th axis
  double frame_duration_s = 1;       ///< spacing of the 4th axis
  std::optional<NiftiFields> nifti;  ///< of a NIfTI file
};

/// Reads the header only: the voxel data may be missing. A 2-D image is a volume of depth 1; a NIfTI file's 4th axis is
/// frames and its 5th, like a MetaImage's channels, components. Of a pair either file may be named. Throws Error{kInput}
/// with the path, the field and its value for what is no such volume of real numbers.
VolumeHeader read_header(const std::filesystem::path& path);

/// The voxels as (frames, components, D, H, W) in `dtype` (float32 or float64), slope and intercept applied, NaN and Inf as
/// they are in the file. Throws Error{kInput} when data is short, corrupt or of another size than the header says (before
/// making room for it, where the file's length tells), and Error{kStopped} soon after the observer asks to stop.
Tensor read_voxels(const VolumeHeader& header, DType dtype, Observer* observer = nullptr);

/// Bytes that read_voxels holds at its fullest, its result among them.
std::int64_t reading_bytes(const VolumeHeader& header, DType dtype);

struct WriteOptions {
  DType pixel_type = DType::kFloat32;
  int compression_level = 6;        ///< 0 to 12 for .nii.gz (libdeflate's); MetaImages take 1 to 9 (zlib's), more being 9
  bool compress_metaimage = false;  ///< or written as they are, at many times the speed
  std::optional<double> nan_value = std::nullopt;  ///< written for NaN to an integer type; nullopt: Error{kOutput}
  std::string provenance = {};  ///< tool, version and config: NIfTI's descrip (79 bytes of it), MetaImage's Provenance
  int threads = 0;              ///< 0: the CPUs this process may use
};

/// What writing did to the values.
struct WriteReport {
  std::int64_t bytes = 0;    ///< of the file, or files
  std::int64_t clipped = 0;  ///< voxels outside the integer type's range
};

/// The format an output path's extension means (.nii, .nii.gz, .mha, .mhd); throws Error{kOutput} for others, naming them.
VolumeFormat format_of(const std::filesystem::path& path);

/// Extension of a volume's path, ".nii.gz" being one; "" if it is none that can be read (.nii, .nii.gz, .mha, .mhd, .hdr,
/// .img). Case does not matter: "SCAN.NII" has ".nii".
std::string volume_extension(const std::filesystem::path& path);

/// Writes (N, C, D, H, W), float32 or float64, to `path` on `grid`. Integers are rounded half to even and clamped.
///
/// NIfTI: N > 1 or C > 1 is the 4th axis (what FSL and nnU-Net read); both together are the 4th and the 5th, with the intent
/// VECTOR. `source` is the header that codes, intent and frame times come from. qform and sform are both written:
///   - their codes are the source's; where it has none (MetaImage, or both 0) both are 1, scanner;
///   - the sform is the grid, exactly; so is the qform unless the source's said something else, which then follows the
///   voxels;
///   - a direction that is sheared has no qform: it gets the nearest rotation under code 0;
///   - a source with a qform alone gets an sform as well where the qform cannot hold the grid;
///   - intents that describe axes (vectors, matrices) are dropped with the axes they describe, others are kept.
/// Sizes past 32,767 make it NIfTI-2; .nii.gz is gzip members of 1 MiB of voxels each, compressed by all threads.
///
/// MetaImage: channels are vector pixels, N the 4th axis. Compressed, it is one zlib stream that all threads make.
///
/// The file grows in a hidden folder of its own beside `path` and is renamed when complete; an exception removes the folder,
/// so nothing is left behind on failure, nor when a signal makes the observer stop the run. Throws Error{kOutput} when the
/// file cannot be written or its format cannot hold the volume, and Error{kStopped} soon after the observer asks to stop.
WriteReport write_volume(const std::filesystem::path& path, const Tensor& voxels, const VoxelGrid& grid,
                         const VolumeHeader& source, const WriteOptions& options, Observer* observer = nullptr);

/// Bytes that write_volume holds at its fullest for voxels of that shape and dtype, besides the voxels themselves.
std::int64_t writing_bytes(const std::filesystem::path& path, const Shape& voxels, DType dtype, const WriteOptions& options);

}  // namespace convt3d
