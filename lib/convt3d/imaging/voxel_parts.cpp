#include "convt3d/imaging/voxel_parts.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "convt3d/conv/parallel.hpp"
#include "convt3d/imaging/pixels.hpp"

namespace convt3d {
namespace {

/// Long enough that what begins anew in each block costs nothing in size, short enough to stay in a core's cache.
constexpr std::int64_t kBlockBytes = 1 << 20;
/// Of many channels each has a block that is being filled.
constexpr std::int64_t kOpenBytes = 32 << 20;
constexpr std::int64_t kLeastBlockBytes = 64 << 10;

StoreReport store(const ConstTensorView& planes, std::int64_t element, std::int64_t count, const WriteOptions& options,
                  std::byte* bytes, std::int64_t stride) {
  if (planes.dtype == DType::kFloat64) {
    return store_pixels(static_cast<const double*>(planes.data) + element, count, options.pixel_type, options.nan_value,
                        bytes, stride);
  }
  return store_pixels(static_cast<const float*>(planes.data) + element, count, options.pixel_type, options.nan_value, bytes,
                      stride);
}

}  // namespace

PartLayout part_layout(const Shape& shape, DType pixel_type, bool interleaved) {
  PartLayout layout;
  const std::int64_t channels = shape[1];
  layout.parts = interleaved ? 1 : channels;
  layout.components = interleaved ? channels : 1;
  layout.voxels = shape[0] * shape[2] * shape[3] * shape[4];
  layout.voxel_bytes = layout.components * static_cast<std::int64_t>(size_of(pixel_type));
  const std::int64_t block_bytes = std::clamp(kOpenBytes / layout.parts, kLeastBlockBytes, kBlockBytes);
  layout.block_voxels = std::max<std::int64_t>(1, block_bytes / layout.voxel_bytes);
  return layout;
}

VoxelParts::VoxelParts(const Shape& shape, const PartLayout& layout, const WriteOptions& options, int threads,
                       BlockPipeline& pipeline, std::vector<std::shared_ptr<BlockFile>> files)
    : shape_(shape),
      layout_(layout),
      options_(options),
      threads_(threads),
      pipeline_(pipeline),
      files_(std::move(files)),
      open_(static_cast<std::size_t>(layout.parts)) {}

/// What `voxels` more of each part are, cut where blocks end.
std::vector<VoxelParts::Piece> VoxelParts::pieces_of(std::int64_t voxels) const {
  std::vector<Piece> pieces;
  for (std::int64_t part = 0; part < layout_.parts; ++part) {
    for (std::int64_t at = 0; at < voxels;) {
      Piece piece;
      piece.part = part;
      piece.source = at;
      piece.begin = taken_ + at;
      piece.count = std::min(voxels - at, layout_.block_voxels - piece.begin % layout_.block_voxels);
      at += piece.count;
      pieces.push_back(std::move(piece));
    }
  }
  return pieces;
}

void VoxelParts::convert(const ConstTensorView& planes, Piece& piece) const {
  const std::int64_t plane_voxels = planes.extent.d * planes.extent.h * planes.extent.w;
  const std::int64_t element_bytes = layout_.voxel_bytes / layout_.components;
  std::byte* const voxels = piece.block.content.get() + piece.begin % layout_.block_voxels * layout_.voxel_bytes;
  for (std::int64_t component = 0; component < layout_.components; ++component) {
    const std::int64_t channel = piece.part * layout_.components + component;
    const StoreReport stored = store(planes, channel * plane_voxels + piece.source, piece.count, options_,
                                     voxels + component * element_bytes, layout_.components);
    piece.clipped += stored.clipped;
    if (stored.first_nan >= 0 && piece.nan_voxel < 0) {
      piece.nan_channel = channel;
      piece.nan_voxel = piece.source + stored.first_nan;
    }
  }
}

void VoxelParts::hand_over(Piece& piece) {
  const std::int64_t end = piece.begin + piece.count;
  const auto part = static_cast<std::size_t>(piece.part);
  if (end % layout_.block_voxels != 0 && end != layout_.voxels) {
    open_[part] = std::move(piece.block);
    return;
  }
  const std::int64_t block_begin = (end - 1) / layout_.block_voxels * layout_.block_voxels;
  const bool one_file = files_.size() == 1;
  piece.block.content_bytes = static_cast<std::size_t>((end - block_begin) * layout_.voxel_bytes);
  piece.block.offset = block_begin * layout_.voxel_bytes + (one_file ? piece.part * layout_.part_bytes() : 0);
  pipeline_.submit(std::move(piece.block), files_[one_file ? 0 : part]);
}

void VoxelParts::add(const ConstTensorView& planes, const std::function<void()>& between) {
  const std::int64_t voxels = planes.extent.d * planes.extent.h * planes.extent.w;
  std::vector<Piece> pieces = pieces_of(voxels);
  const auto round_pieces = static_cast<std::size_t>(round(threads_));
  for (std::size_t first = 0; first < pieces.size(); first += round_pieces) {
    const std::span<Piece> round = std::span(pieces).subspan(first, std::min(round_pieces, pieces.size() - first));
    for (Piece& piece : round) {
      std::optional<Block>& open = open_[static_cast<std::size_t>(piece.part)];
      piece.block = open ? std::move(*open) : pipeline_.take();
      open.reset();
    }
    parallel_for(threads_, static_cast<std::int64_t>(round.size()), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) convert(planes, round[static_cast<std::size_t>(i)]);
    });
    for (Piece& piece : round) {
      if (piece.nan_voxel >= 0) {
        const std::int64_t volume_voxels = shape_[2] * shape_[3] * shape_[4];
        const std::int64_t index = taken_ + piece.nan_voxel;
        throw_nan(index / volume_voxels, piece.nan_channel, index % volume_voxels, {shape_[2], shape_[3], shape_[4]},
                  options_.pixel_type);
      }
      clipped_ += piece.clipped;
      hand_over(piece);
    }
    between();
  }
  taken_ += voxels;
}

}  // namespace convt3d
