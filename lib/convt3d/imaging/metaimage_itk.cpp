/// The only file that includes ITK.
#include <fmt/format.h>
#include <itkMetaDataObject.h>
#include <itkMetaImageIO.h>

#include <algorithm>
#include <cmath>

#include "convt3d/base/error.hpp"
#include "convt3d/imaging/metaimage.hpp"
#include "convt3d/imaging/metaimage_header.hpp"
#include "convt3d/imaging/pixels.hpp"
#include "convt3d/imaging/plane_reader.hpp"

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

itk::IOComponentEnum itk_type(DType type) {
  switch (type) {
    case DType::kInt8: return itk::IOComponentEnum::CHAR;
    case DType::kUInt8: return itk::IOComponentEnum::UCHAR;
    case DType::kInt16: return itk::IOComponentEnum::SHORT;
    case DType::kUInt16: return itk::IOComponentEnum::USHORT;
    case DType::kInt32: return itk::IOComponentEnum::INT;
    case DType::kUInt32: return itk::IOComponentEnum::UINT;
    case DType::kInt64: return itk::IOComponentEnum::LONGLONG;
    case DType::kUInt64: return itk::IOComponentEnum::ULONGLONG;
    case DType::kFloat64: return itk::IOComponentEnum::DOUBLE;
    default: return itk::IOComponentEnum::FLOAT;
  }
}

/// The voxels in the file's order, components of a voxel side by side, and how many were clipped.
template <typename Value>
std::int64_t interleave(const Value* voxels, const ConstTensorView& view, const WriteOptions& options, std::byte* bytes) {
  const std::int64_t plane = view.extent.d * view.extent.h * view.extent.w;
  const auto element_bytes = static_cast<std::int64_t>(size_of(options.pixel_type));
  std::int64_t clipped = 0;
  for (std::int64_t n = 0; n < view.n; ++n) {
    for (std::int64_t c = 0; c < view.c; ++c) {
      std::byte* first = bytes + (n * view.c * plane + c) * element_bytes;
      const StoreReport stored =
          store_pixels(voxels + (n * view.c + c) * plane, plane, options.pixel_type, options.nan_value, first, view.c);
      if (stored.first_nan >= 0) throw_nan(n, c, stored.first_nan, view.extent, options.pixel_type);
      clipped += stored.clipped;
    }
  }
  return clipped;
}

void set_geometry(itk::MetaImageIO& io, const ConstTensorView& view, const VoxelGrid& grid, double frame_duration_s) {
  const unsigned axes = view.n > 1 ? 4 : 3;
  io.SetNumberOfDimensions(axes);
  itk::ImageIORegion region(axes);
  const std::array<std::int64_t, 4> sizes = {view.extent.w, view.extent.h, view.extent.d, view.n};
  for (unsigned axis = 0; axis < axes; ++axis) {
    std::vector<double> column(axes, 0.0);
    if (axis < 3) {
      for (unsigned row = 0; row < 3; ++row) column[row] = grid.direction[3 * row + axis];
    } else {
      column[axis] = 1;
    }
    io.SetDimensions(axis, static_cast<unsigned>(sizes[axis]));
    region.SetSize(axis, static_cast<itk::SizeValueType>(sizes[axis]));
    io.SetDirection(axis, column);
    io.SetSpacing(axis, axis < 3 ? grid.spacing_mm[axis] : frame_duration_s > 0 ? frame_duration_s : 1);
    io.SetOrigin(axis, axis < 3 ? grid.origin_mm[axis] : 0);
  }
  io.SetIORegion(region);
}

void set_pixels(itk::MetaImageIO& io, std::int64_t components, const WriteOptions& options) {
  io.SetComponentType(itk_type(options.pixel_type));
  io.SetNumberOfComponents(static_cast<unsigned>(components));
  io.SetPixelType(components > 1 ? itk::IOPixelEnum::VECTOR : itk::IOPixelEnum::SCALAR);
  const bool compress = options.compress_metaimage && options.compression_level > 0;
  io.SetUseCompression(compress);
  if (compress) io.SetCompressionLevel(std::min(options.compression_level, 9));
}

/// One line, as a header's value must be.
std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < ' '; }, ' ');
  return text;
}

/// What MetaIO does not say: whether the disk took all that it wrote. Returns the bytes of header and data.
std::int64_t check_written(const fs::path& file) try {
  const MetaImageHeader header = read_metaimage_fields(file);
  const std::int64_t data = header.compressed ? header.compressed_bytes : voxel_bytes(header);
  const std::int64_t expected = header.data_offset + data;
  const std::int64_t found = file_length(header.data_path);
  if (found != expected) {
    throw Error(ErrorKind::kOutput, fmt::format("{} of {} bytes were written; is the disk full?", found, expected));
  }
  return header.data_path == file ? found : found + file_length(file);
} catch (const Error& error) {
  throw Error(ErrorKind::kOutput, fmt::format("writing failed: {}", error.what()));
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

Tensor read_metaimage_voxels(const VolumeHeader& header, DType dtype, Observer* observer) {
  const MetaImageHeader fields = read_metaimage_fields(header.path);
  const std::int64_t offset =
      fields.data_offset >= 0 ? fields.data_offset : file_length(fields.data_path) - voxel_bytes(fields);
  if (offset < 0) {
    fail(fields.data_path, fmt::format("the voxel data is cut off: the header asks for {} bytes", voxel_bytes(fields)));
  }
  ByteReader file(fields.data_path, fields.compressed ? Encoding::kDeflated : Encoding::kPlain, offset);
  return read_planes(file, header, fields.pixels, ComponentOrder::kInterleaved, dtype, observer);
}

WriteReport write_metaimage(const fs::path& file, const Tensor& voxels, const VoxelGrid& grid, const VolumeHeader& source,
                            const WriteOptions& options, Observer* observer) {
  const ConstTensorView view = voxels.view();
  Buffer bytes(static_cast<std::size_t>(byte_count(voxels.shape(), options.pixel_type)));
  auto* const elements = static_cast<std::byte*>(bytes.data());
  WriteReport report;
  report.clipped = voxels.dtype() == DType::kFloat64 ? interleave(voxels.data<double>(), view, options, elements)
                                                     : interleave(voxels.data<float>(), view, options, elements);
  if (observer != nullptr && observer->stop_requested()) throw Error(ErrorKind::kStopped, "stopped while writing");

  const auto io = itk::MetaImageIO::New();
  try {
    io->SetFileName(file.string());
    set_geometry(*io, view, grid, source.frame_duration_s);
    set_pixels(*io, view.c, options);
    if (!options.provenance.empty()) {
      itk::EncapsulateMetaData<std::string>(io->GetMetaDataDictionary(), "Provenance", one_line(options.provenance));
    }
    io->Write(elements);
  } catch (const itk::ExceptionObject& error) {
    throw Error(ErrorKind::kOutput, fmt::format("ITK cannot write it: {}", error.GetDescription()));
  }
  report.bytes = check_written(file);
  return report;
}

std::int64_t metaimage_writing_bytes(const Shape& voxels, const WriteOptions& options) {
  const std::int64_t bytes = byte_count(voxels, options.pixel_type);
  return options.compress_metaimage ? 2 * bytes : bytes;  // MetaIO compresses into a second buffer
}

}  // namespace convt3d
