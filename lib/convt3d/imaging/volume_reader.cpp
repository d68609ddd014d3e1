#include "convt3d/imaging/volume_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "convt3d/base/buffer.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/imaging/byte_reader.hpp"
#include "convt3d/imaging/pixels.hpp"
#include "convt3d/imaging/voxel_source.hpp"

namespace convt3d {
namespace {

constexpr std::int64_t kChunkBytes = 1 << 20;
constexpr std::int64_t kScratchBytes = 2 << 20;  // a chunk and what inflating it takes
constexpr const char* kWhat = "the voxel data";

VoxelSource source_of(const VolumeHeader& header) {
  return header.format == VolumeFormat::kNifti ? nifti_source(header) : metaimage_source(header);
}

Shape shape_of(const VolumeHeader& header) {
  const Extent3& extent = header.grid.extent;
  return {header.frames, header.components, extent.d, extent.h, extent.w};
}

/// Volume n of a tensor.
TensorView volume_of(Tensor& voxels, std::int64_t n) {
  TensorView view = voxels.view();
  view.data = static_cast<std::byte*>(view.data) + n * (voxels.size_bytes() / view.n);
  view.n = 1;
  return view;
}

void require_readable_as(DType dtype) {
  if (dtype == DType::kFloat32 || dtype == DType::kFloat64) return;
  throw Error(ErrorKind::kShape, fmt::format("voxels are read as float32 or float64, not as {}", name_of(dtype)));
}

/// Elements from `offset` on.
template <typename Value>
Value* elements(const TensorView& view, std::int64_t offset) {
  return static_cast<Value*>(view.data) + offset;
}

/// Component c alone.
TensorView component_of(TensorView view, std::int64_t c) {
  const std::int64_t voxels = view.extent.d * view.extent.h * view.extent.w;
  view.data = static_cast<std::byte*>(view.data) + c * voxels * static_cast<std::int64_t>(size_of(view.dtype));
  view.c = 1;
  return view;
}

}  // namespace

struct VolumeReader::State {
  State(const VolumeHeader& volume_header, Observer* its_observer)
      : header(volume_header), source(source_of(header)), observer(its_observer) {
    voxel_bytes = static_cast<std::int64_t>(size_of(source.stored.type)) * (interleaved() ? header.components : 1);
    total_bytes = byte_count(shape_of(header), source.stored.type);
    begin();
    file->expect_room_for(total_bytes, kWhat);
    if (file->inflates()) return;
    file->seek(end_offset());
    file->expect_end(kWhat);
  }

  bool interleaved() const { return source.order == ComponentOrder::kInterleaved; }
  bool whole_is_held() const { return file->inflates() && !interleaved() && header.components > 1; }
  std::int64_t end_offset() const { return source.content_offset + total_bytes; }

  /// Opens the file where the voxels begin.
  void begin() {
    file.emplace(source.path, source.encoding, source.file_offset);
    file->skip(source.content_offset, "the part before the voxel data, by vox_offset,");
  }

  /// Goes to byte `at` of the voxels.
  void go_to(std::int64_t at) {
    const std::int64_t position = source.content_offset + at;
    if (!file->inflates()) return file->seek(position);
    if (position < file->position()) begin();
    file->skip(position - file->position(), kWhat);
  }

  /// The next voxels of the file into all components of `planes`.
  template <typename Value>
  void read_next(const TensorView& planes) {
    const std::int64_t voxels = planes.extent.d * planes.extent.h * planes.extent.w;
    const auto element_bytes = static_cast<std::int64_t>(size_of(source.stored.type));
    const std::int64_t chunk = std::max<std::int64_t>(1, kChunkBytes / voxel_bytes);
    for (std::int64_t begin_voxel = 0; begin_voxel < voxels; begin_voxel += chunk) {
      const std::int64_t count = std::min(chunk, voxels - begin_voxel);
      bytes.resize(static_cast<std::size_t>(count * voxel_bytes));
      file->read(bytes, kWhat);
      if (source.stored.swapped) swap_byte_order(bytes, source.stored.type);
      for (std::int64_t c = 0; c < planes.c; ++c) {
        load_pixels(bytes.data() + c * element_bytes, planes.c, count, source.stored,
                    elements<Value>(planes, c * voxels + begin_voxel));
      }
      report(count * voxel_bytes);
    }
    if (file->inflates() && file->position() == end_offset()) file->expect_end(kWhat);
  }

  void report(std::int64_t read_bytes) {
    done_bytes += read_bytes;
    if (observer == nullptr) return;
    if (observer->stop_requested()) throw Error(ErrorKind::kStopped, "stopped while reading");
    observer->progress(std::min(1.0, static_cast<double>(done_bytes) / static_cast<double>(total_bytes)));
  }

  /// Planes of frame n, from first_d on; of component c where the file has them one after the other, else of all.
  void read_run(std::int64_t n, std::int64_t c, std::int64_t first_d, const TensorView& planes) {
    const Extent3& extent = header.grid.extent;
    go_to(((c * header.frames + n) * extent.d + first_d) * extent.h * extent.w * voxel_bytes);
    if (planes.dtype == DType::kFloat64) {
      read_next<double>(planes);
    } else {
      read_next<float>(planes);
    }
  }

  void read(std::int64_t n, std::int64_t first_d, const TensorView& planes) {
    if (interleaved()) return read_run(n, 0, first_d, planes);
    if (whole_is_held()) return copy_of_whole(n, first_d, planes);
    for (std::int64_t c = 0; c < planes.c; ++c) read_run(n, c, first_d, component_of(planes, c));
  }

  void copy_of_whole(std::int64_t n, std::int64_t first_d, const TensorView& planes) {
    if (!whole || whole->dtype() != planes.dtype) whole = read_all(planes.dtype);
    const TensorView volume = volume_of(*whole, n);
    const auto element_bytes = static_cast<std::int64_t>(size_of(planes.dtype));
    const std::int64_t plane_bytes = planes.extent.h * planes.extent.w * element_bytes;
    for (std::int64_t c = 0; c < planes.c; ++c) {
      const auto* const from = static_cast<const std::byte*>(component_of(volume, c).data) + first_d * plane_bytes;
      std::copy_n(from, planes.extent.d * plane_bytes, static_cast<std::byte*>(component_of(planes, c).data));
    }
  }

  /// In the file's order.
  Tensor read_all(DType dtype) {
    Tensor voxels = Tensor::empty(shape_of(header), dtype);
    for (std::int64_t c = 0; c < (interleaved() ? 1 : header.components); ++c) {
      for (std::int64_t n = 0; n < header.frames; ++n) {
        const TensorView volume = volume_of(voxels, n);
        read_run(n, c, 0, interleaved() ? volume : component_of(volume, c));
      }
    }
    return voxels;
  }

  VolumeHeader header;
  VoxelSource source;
  Observer* observer;
  std::int64_t voxel_bytes = 0;  ///< of the components that lie side by side
  std::int64_t total_bytes = 0;
  std::int64_t done_bytes = 0;
  std::optional<ByteReader> file;
  std::vector<std::byte> bytes;
  std::optional<Tensor> whole;
};

VolumeReader::VolumeReader(const VolumeHeader& header, Observer* observer)
    : state_(std::make_unique<State>(header, observer)) {}

VolumeReader::~VolumeReader() = default;

bool VolumeReader::seeks() const { return !state_->file->inflates(); }

void VolumeReader::read(std::int64_t n, std::int64_t first_d, const TensorView& planes) {
  const Shape shape = shape_of(state_->header);
  const Extent3 wanted = {planes.extent.d, shape[3], shape[4]};
  if (planes.n != 1 || planes.c != shape[1] || planes.extent != wanted || n < 0 || n >= shape[0] || first_d < 0 ||
      planes.extent.d < 1 || planes.extent.d > shape[2] - first_d) {
    throw Error(ErrorKind::kShape,
                fmt::format("{}: ({}, {}, {}) from plane {} of volume {} on are not in {}", state_->header.path.string(),
                            planes.n, planes.c, to_string(planes.extent), first_d, n, to_string(shape)));
  }
  require_readable_as(planes.dtype);
  state_->read(n, first_d, planes);
}

Tensor VolumeReader::read_all(DType dtype) {
  require_readable_as(dtype);
  return state_->read_all(dtype);
}

Tensor read_voxels(const VolumeHeader& header, DType dtype, Observer* observer) {
  return VolumeReader(header, observer).read_all(dtype);
}

std::int64_t reading_bytes(const VolumeHeader& header, DType dtype) {
  return Buffer::taken(byte_count(shape_of(header), dtype)) + kScratchBytes;
}

std::int64_t region_reading_bytes(const VolumeHeader& header, DType dtype) {
  const bool whole_is_held = header.format == VolumeFormat::kNifti && header.components > 1 && starts_as_gzip(header.path);
  return kScratchBytes + (whole_is_held ? Buffer::taken(byte_count(shape_of(header), dtype)) : 0);
}

}  // namespace convt3d
