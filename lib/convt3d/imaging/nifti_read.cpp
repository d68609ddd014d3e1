#include <fmt/format.h>

#include <array>
#include <cmath>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/imaging/byte_reader.hpp"
#include "convt3d/imaging/nifti.hpp"
#include "convt3d/imaging/nifti_geometry.hpp"
#include "convt3d/imaging/nifti_header.hpp"
#include "convt3d/imaging/pixels.hpp"
#include "convt3d/imaging/voxel_source.hpp"

namespace convt3d {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const std::string& message) {
  throw Error(ErrorKind::kInput, fmt::format("{}: {}", path.string(), message));
}

/// The other file of a pair, in the case of the one that was named: scan.hdr and scan.img, SCAN.HDR and SCAN.IMG.
fs::path with_pair_extension(fs::path path, const char* lower, const char* upper) {
  const std::string extension = path.extension().string();
  const bool is_upper = extension.size() > 1 && extension[1] >= 'A' && extension[1] <= 'Z';
  return path.replace_extension(is_upper ? upper : lower);
}

fs::path header_file(const fs::path& path) {
  return volume_extension(path) == ".img" ? with_pair_extension(path, ".hdr", ".HDR") : path;
}

NiftiHeader read_fields(ByteReader& file, const fs::path& path) {
  std::array<std::byte, kNifti2HeaderBytes> bytes;
  file.read(std::span(bytes).first<4>(), "the NIfTI header");
  const std::size_t length = nifti_header_bytes(std::span(bytes).first<4>(), path);
  file.read(std::span(bytes).subspan(4, length - 4), "the NIfTI header");
  return decode_nifti(std::span(bytes).first(length), path);
}

/// Makes dim[1] to dim[7] what the volume has: the axes past dim[0] have one voxel. Throws for what is no volume of at most
/// frames and components.
void normalise_dimensions(NiftiHeader& header, const fs::path& path) {
  if (header.dim[0] < 2 || header.dim[0] > 7) {
    fail(path, fmt::format("dim[0] is {}; expected 2 or 3 axes, or 4 with frames and 5 with components", header.dim[0]));
  }
  std::optional<std::int64_t> bytes = 16;  // of the widest element, so that all later products fit
  for (std::size_t axis = 1; axis < 8; ++axis) {
    std::int64_t& size = header.dim[axis];
    if (static_cast<std::int64_t>(axis) > header.dim[0]) size = 1;
    if (size < 1) fail(path, fmt::format("dim[{}] is {}; expected at least 1", axis, size));
    if (axis > 5 && size > 1) fail(path, fmt::format("dim[{}] is {}; only axes 1 to 5 can be longer than 1", axis, size));
    bytes = checked_mul(bytes, size);
  }
  if (!bytes) {
    fail(path, fmt::format("dim[1] to dim[5] are {}, {}, {}, {}, {}: that is more bytes than 63 bits count", header.dim[1],
                           header.dim[2], header.dim[3], header.dim[4], header.dim[5]));
  }
}

/// Where the voxels start: in a single file 0 stands for directly behind the header.
std::int64_t voxel_offset(const NiftiHeader& header, const fs::path& path) {
  if (header.paired) return header.vox_offset;
  const std::int64_t behind_header = header.version == 1 ? 352 : 544;  // 348 or 540, and 4 bytes of extension flags
  if (header.vox_offset == 0) return behind_header;
  if (header.vox_offset < behind_header - 4) {
    fail(path, fmt::format("vox_offset is {}, inside the header; expected at least {}", header.vox_offset, behind_header));
  }
  return header.vox_offset;
}

StoredPixels stored_pixels(const NiftiHeader& header, const fs::path& path) {
  const auto dtype = dtype_of_nifti(header.datatype);
  if (!dtype) {
    fail(path, fmt::format("datatype is {}; expected integers of up to 64 bits, float32 or float64",
                           nifti_datatype_name(header.datatype)));
  }
  StoredPixels stored{.type = *dtype, .swapped = header.swapped};
  if (std::isfinite(header.scl_slope) && header.scl_slope != 0) {  // else the elements are the values
    if (!std::isfinite(header.scl_inter)) {
      fail(path, fmt::format("scl_inter is {} where scl_slope is {}; expected a finite number", header.scl_inter,
                             header.scl_slope));
    }
    stored.slope = header.scl_slope;
    stored.intercept = header.scl_inter;
  }
  return stored;
}

/// Seconds in the header's unit of time; what is no time (hertz, ppm) keeps its number.
double seconds_per_unit(int xyzt_units) {
  switch (xyzt_units & 0x38) {
    case nifti::kUnitMillisecond: return 1e-3;
    case nifti::kUnitMicrosecond: return 1e-6;
    default: return 1;
  }
}

NiftiFields kept_fields(const NiftiHeader& header, const VoxelGrid& grid, const fs::path& path) {
  NiftiFields kept;
  kept.qform_code = header.qform_code;
  kept.sform_code = header.sform_code;
  kept.intent_code = header.intent_code;
  kept.intent_parameters = header.intent_p;
  kept.intent_name = header.intent_name;
  kept.first_frame_s = header.toffset * seconds_per_unit(header.xyzt_units);
  if (header.qform_code > 0 && header.sform_code > 0) {
    const VoxelGrid qform = qform_grid(header, path);
    constexpr double kRounding = 1e-3;  // of float32 affines, over volumes of some thousand voxels
    if (distance_in_voxels(grid, qform) > kRounding) kept.qform = qform;
  }
  return kept;
}

VolumeHeader volume_header(NiftiHeader& header, const fs::path& path) {
  normalise_dimensions(header, path);
  voxel_offset(header, path);
  VolumeHeader volume;
  volume.path = path;
  volume.format = VolumeFormat::kNifti;
  volume.pixel_type = pixel_type_of(stored_pixels(header, path));
  volume.grid = grid_of(header, path);
  volume.frames = header.dim[4];
  volume.components = header.dim[5];
  const double duration = header.pixdim[4] * seconds_per_unit(header.xyzt_units);
  if (header.dim[0] >= 4 && std::isfinite(duration)) volume.frame_duration_s = duration;
  volume.nifti = kept_fields(header, volume.grid, path);
  return volume;
}

}  // namespace

VolumeHeader read_nifti_header(const fs::path& path) {
  const fs::path file_path = header_file(path);
  ByteReader file(file_path, Encoding::kGzipOrNot);
  NiftiHeader header = read_fields(file, file_path);
  return volume_header(header, path);
}

VoxelSource nifti_source(const VolumeHeader& header) {
  const fs::path header_path = header_file(header.path);
  ByteReader file(header_path, Encoding::kGzipOrNot);
  NiftiHeader fields = read_fields(file, header_path);
  const VolumeHeader now = volume_header(fields, header.path);
  if (now.grid.extent != header.grid.extent || now.frames != header.frames || now.components != header.components) {
    fail(header.path, "has changed since its header was read");
  }
  return {.path = fields.paired ? with_pair_extension(header_path, ".img", ".IMG") : header_path,
          .encoding = Encoding::kGzipOrNot,
          .content_offset = voxel_offset(fields, header_path),
          .stored = stored_pixels(fields, header_path),
          .order = ComponentOrder::kPlanar};
}

}  // namespace convt3d
