#include "convt3d/imaging/block_writer.hpp"

#include <algorithm>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/base/machine.hpp"
#include "convt3d/conv/parallel.hpp"
#include "convt3d/imaging/gzip.hpp"
#include "convt3d/imaging/pixels.hpp"

namespace convt3d {
namespace {

constexpr std::int64_t kBlockBytes = 4 << 20;  // long enough that members cost nothing in size

/// Blocks that are converted before they are written: two for each thread, so that unequal ones even out.
std::int64_t blocks_per_round(const WriteOptions& options) {
  return 2 * (options.threads > 0 ? options.threads : Machine::detect().threads);
}

struct Block {
  std::vector<std::byte> bytes;
  std::int64_t clipped = 0;
  std::int64_t nan_element = -1;
};

/// The voxels as the file orders them: element e is voxel e % plane of plane e / plane, and planes go by channel first.
struct FileOrder {
  std::int64_t n, c;
  Extent3 extent;

  explicit FileOrder(const ConstTensorView& voxels) : n(voxels.n), c(voxels.c), extent(voxels.extent) {}

  std::int64_t plane() const { return extent.d * extent.h * extent.w; }
  std::int64_t elements() const { return n * c * plane(); }
  /// Of a plane in the file to that in memory.
  std::int64_t memory_plane(std::int64_t file_plane) const { return file_plane % n * c + file_plane / n; }

  [[noreturn]] void throw_nan_at(std::int64_t element, DType type) const {
    const std::int64_t file_plane = element / plane();
    throw_nan(file_plane % n, file_plane / n, element % plane(), extent, type);
  }
};

template <typename Value>
Block encode(const Value* voxels, const FileOrder& order, std::int64_t begin, std::int64_t end,
             const WriteOptions& options) {
  const auto element_bytes = static_cast<std::int64_t>(size_of(options.pixel_type));
  Block block;
  block.bytes.resize(static_cast<std::size_t>((end - begin) * element_bytes));
  for (std::int64_t at = begin; at < end;) {
    const std::int64_t in_plane = at % order.plane();
    const std::int64_t count = std::min(end - at, order.plane() - in_plane);
    const Value* values = voxels + order.memory_plane(at / order.plane()) * order.plane() + in_plane;
    const StoreReport stored = store_pixels(values, count, options.pixel_type, options.nan_value,
                                            block.bytes.data() + (at - begin) * element_bytes);
    block.clipped += stored.clipped;
    if (stored.first_nan >= 0 && block.nan_element < 0) block.nan_element = at + stored.first_nan;
    at += count;
  }
  return block;
}

template <typename Value>
std::int64_t write_all(OutputFile& file, const Value* voxels, const FileOrder& order, const WriteOptions& options, bool gzip,
                       Observer* observer) {
  const std::int64_t block_elements = kBlockBytes / static_cast<std::int64_t>(size_of(options.pixel_type));
  const std::int64_t blocks = ceil_div(order.elements(), block_elements);
  std::vector<Block> round(static_cast<std::size_t>(std::min(blocks, blocks_per_round(options))));
  std::int64_t clipped = 0;
  for (std::int64_t first = 0; first < blocks;) {
    const std::int64_t count = std::min(blocks - first, static_cast<std::int64_t>(round.size()));
    parallel_for(options.threads, count, 1, [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t i = from; i < to; ++i) {
        const std::int64_t begin = (first + i) * block_elements;
        Block& block = round[static_cast<std::size_t>(i)];
        block = encode(voxels, order, begin, std::min(begin + block_elements, order.elements()), options);
        if (gzip) block.bytes = gzip_member(block.bytes, options.compression_level);
      }
    });
    for (std::int64_t i = 0; i < count; ++i) {
      const Block& block = round[static_cast<std::size_t>(i)];
      if (block.nan_element >= 0) order.throw_nan_at(block.nan_element, options.pixel_type);
      clipped += block.clipped;
      file.write(block.bytes);
    }
    first += count;
    if (observer == nullptr) continue;
    if (observer->stop_requested()) throw Error(ErrorKind::kStopped, "stopped while writing");
    observer->progress(static_cast<double>(first) / static_cast<double>(blocks));
  }
  return clipped;
}

}  // namespace

std::int64_t write_blocks(OutputFile& file, const Tensor& voxels, const WriteOptions& options, bool gzip,
                          Observer* observer) {
  const FileOrder order(voxels.view());
  if (voxels.dtype() == DType::kFloat64) return write_all(file, voxels.data<double>(), order, options, gzip, observer);
  return write_all(file, voxels.data<float>(), order, options, gzip, observer);
}

std::int64_t block_bytes(std::int64_t elements, const WriteOptions& options, bool gzip) {
  const std::int64_t volume_bytes = elements * static_cast<std::int64_t>(size_of(options.pixel_type));
  // While a block is compressed, its content and its member are both held.
  return std::min(volume_bytes + kBlockBytes, blocks_per_round(options) * kBlockBytes) * (gzip ? 2 : 1);
}

}  // namespace convt3d
