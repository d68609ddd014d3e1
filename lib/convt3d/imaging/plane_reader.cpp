#include "convt3d/imaging/plane_reader.hpp"

#include <algorithm>
#include <vector>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

constexpr std::int64_t kChunkBytes = 1 << 20;

/// Reads files chunk by chunk, reporting how far it is.
class ChunkReader {
 public:
  ChunkReader(ByteReader& file, const StoredPixels& stored, std::int64_t total_bytes, Observer* observer)
      : file_(file), stored_(stored), total_bytes_(total_bytes), observer_(observer) {}

  /// `voxels` voxels of `components` interleaved elements; component c goes to values + c·voxels.
  template <typename Value>
  void read(std::int64_t voxels, std::int64_t components, Value* values) {
    const auto element_bytes = static_cast<std::int64_t>(size_of(stored_.type));
    const std::int64_t voxel_bytes = components * element_bytes;
    const std::int64_t chunk = std::max<std::int64_t>(1, kChunkBytes / voxel_bytes);
    for (std::int64_t begin = 0; begin < voxels; begin += chunk) {
      const std::int64_t count = std::min(chunk, voxels - begin);
      bytes_.resize(static_cast<std::size_t>(count * voxel_bytes));
      file_.read(bytes_, "the voxel data");
      if (stored_.swapped) swap_byte_order(bytes_, stored_.type);
      for (std::int64_t c = 0; c < components; ++c) {
        load_pixels(bytes_.data() + c * element_bytes, components, count, stored_, values + c * voxels + begin);
      }
      report(count * voxel_bytes);
    }
  }

 private:
  void report(std::int64_t bytes) {
    done_bytes_ += bytes;
    if (observer_ == nullptr) return;
    if (observer_->stop_requested()) throw Error(ErrorKind::kStopped, "stopped while reading");
    observer_->progress(static_cast<double>(done_bytes_) / static_cast<double>(total_bytes_));
  }

  ByteReader& file_;
  const StoredPixels& stored_;
  std::int64_t total_bytes_;
  std::int64_t done_bytes_ = 0;
  Observer* observer_;
  std::vector<std::byte> bytes_;
};

template <typename Value>
void read_all(ChunkReader& reader, const VolumeHeader& header, ComponentOrder order, Value* values) {
  const Extent3& extent = header.grid.extent;
  const std::int64_t voxels = extent.d * extent.h * extent.w;
  const std::int64_t components = header.components;
  if (order == ComponentOrder::kInterleaved) {
    for (std::int64_t t = 0; t < header.frames; ++t) reader.read(voxels, components, values + t * components * voxels);
    return;
  }
  for (std::int64_t c = 0; c < components; ++c) {
    for (std::int64_t t = 0; t < header.frames; ++t) reader.read(voxels, 1, values + (t * components + c) * voxels);
  }
}

}  // namespace

Tensor read_planes(ByteReader& file, const VolumeHeader& header, const StoredPixels& stored, ComponentOrder order,
                   DType dtype, Observer* observer) {
  const Extent3& extent = header.grid.extent;
  const Shape shape = {header.frames, header.components, extent.d, extent.h, extent.w};
  const std::int64_t file_bytes = byte_count(shape, stored.type);
  file.expect_room_for(file_bytes, "the voxel data");

  Tensor voxels = Tensor::empty(shape, dtype);
  ChunkReader reader(file, stored, file_bytes, observer);
  if (dtype == DType::kFloat64) {
    read_all(reader, header, order, voxels.data<double>());
  } else {
    read_all(reader, header, order, voxels.data<float>());
  }
  file.expect_end("the voxel data");
  return voxels;
}

}  // namespace convt3d
