/// The only file that includes ITK.
#include <fmt/format.h>
#include <itkMetaImageIO.h>

#include <algorithm>
#include <cmath>

#include "convt3d/base/error.hpp"
#include "convt3d/imaging/metaimage.hpp"
#include "convt3d/imaging/metaimage_header.hpp"
#include "convt3d/imaging/pixels.hpp"
#include "convt3d/imaging/voxel_source.hpp"

namespace convt3d {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const std::string& message) {
  throw Error(ErrorKind::kInput, fmt::format("{}: {}", path.string(), message));
}

/// The geometry as ITK reads it; a 2-D image lies in the plane z = 0 of the world.
VoxelGrid read_grid(const itk::MetaImageIO& io, const MetaImageHeader& fields, const fs::path& path) {
  const auto axes = static_cast<unsigned>(std::min<std::size_t>(fields.sizes.size(), 3));
  VoxelGrid grid;
  grid.extent = {axes == 3 ? fields.sizes[2] : 1, fields.sizes[1], fields.sizes[0]};
  for (unsigned axis = 0; axis < axes; ++axis) {
    grid.spacing_mm[axis] = io.GetSpacing(axis);
    grid.origin_mm[axis] = io.GetOrigin(axis);
    const std::vector<double> column = io.GetDirection(axis);
    for (unsigned row = 0; row < axes; ++row) grid.direction[3 * row + axis] = column[row];
    if (!(std::isfinite(grid.spacing_mm[axis]) && grid.spacing_mm[axis] > 0)) {
      fail(path, fmt::format("ElementSpacing is {} on axis {}; expected a number > 0", grid.spacing_mm[axis], axis));
    }
    if (!std::isfinite(grid.origin_mm[axis])) fail(path, fmt::format("Offset is {} on axis {}", grid.origin_mm[axis], axis));
  }
  // A point one voxel along each axis has the index (1, 1, 1) again, unless the axes span no volume.
  const auto index = continuous_index(grid, world_position(grid, {1, 1, 1}));
  for (const double i : index) {
    if (!(std::abs(i - 1) < 1e-3)) fail(path, "TransformMatrix spans no volume; expected three independent unit vectors");
  }
  return grid;
}

}  // namespace

VolumeHeader read_metaimage_header(const fs::path& path) {
  const MetaImageHeader fields = read_metaimage_fields(path);
  const auto io = itk::MetaImageIO::New();
  try {
    io->SetFileName(path.string());
    io->ReadImageInformation();
  } catch (const itk::ExceptionObject& error) {
    fail(path, fmt::format("ITK cannot read the header: {}", error.GetDescription()));
  }
  VolumeHeader header;
  header.path = path;
  header.format = VolumeFormat::kMetaImage;
  header.grid = read_grid(*io, fields, path);
  header.pixel_type = pixel_type_of(fields.pixels);
  header.components = fields.channels;
  if (fields.sizes.size() == 4) {
    header.frames = fields.sizes[3];
    header.frame_duration_s = io->GetSpacing(3);
  }
  return header;
}

VoxelSource metaimage_source(const VolumeHeader& header) {
  const MetaImageHeader fields = read_metaimage_fields(header.path);
  const std::int64_t offset =
      fields.data_offset >= 0 ? fields.data_offset : file_length(fields.data_path) - voxel_bytes(fields);
  if (offset < 0) {
    fail(fields.data_path, fmt::format("the voxel data is cut off: the header asks for {} bytes", voxel_bytes(fields)));
  }
  return {.path = fields.data_path,
          .encoding = fields.compressed ? Encoding::kDeflated : Encoding::kPlain,
          .file_offset = offset,
          .stored = fields.pixels,
          .order = ComponentOrder::kInterleaved};
}

}  // namespace convt3d
