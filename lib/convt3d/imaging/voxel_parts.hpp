#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "convt3d/base/tensor.hpp"
#include "convt3d/imaging/block_pipeline.hpp"
#include "convt3d/imaging/volume.hpp"

namespace convt3d {

/// How a format cuts a volume's elements into parts that each grow from front to back as planes arrive.
struct PartLayout {
  std::int64_t parts = 1;
  std::int64_t components = 1;    ///< of a voxel that lie side by side in a part
  std::int64_t voxels = 0;        ///< of a part
  std::int64_t voxel_bytes = 0;   ///< of those components
  std::int64_t block_voxels = 0;  ///< blocks begin at multiples of this, so that how planes arrive changes nothing

  std::int64_t block_bytes() const { return block_voxels * voxel_bytes; }
  std::int64_t part_bytes() const { return voxels * voxel_bytes; }
};

/// NIfTI has all volumes of a channel before the next channel: one part per channel. MetaImage (`interleaved`) has the
/// channels of a voxel side by side.
PartLayout part_layout(const Shape& shape, DType pixel_type, bool interleaved);

/// Converts planes to a file's elements and hands full blocks to a pipeline.
class VoxelParts {
 public:
  /// `files` has a file for each part, or one for all.
  VoxelParts(const Shape& shape, const PartLayout& layout, const WriteOptions& options, int threads, BlockPipeline& pipeline,
             std::vector<std::shared_ptr<BlockFile>> files);

  /// The next planes, (1, C, d, H, W). Calls `between` now and then, which may throw.
  void add(const ConstTensorView& planes, const std::function<void()>& between);

  std::int64_t clipped() const { return clipped_; }

  /// Blocks that are being filled at once, besides one for each part.
  static std::int64_t round(int threads) { return threads; }

 private:
  /// Voxels of one part and one block.
  struct Piece {
    std::int64_t part = 0;
    std::int64_t source = 0;  ///< first voxel, in the planes
    std::int64_t begin = 0;   ///< first voxel, in the part
    std::int64_t count = 0;
    Block block;
    std::int64_t clipped = 0;
    std::int64_t nan_channel = -1;
    std::int64_t nan_voxel = -1;  ///< in the planes
  };

  std::vector<Piece> pieces_of(std::int64_t voxels) const;
  void convert(const ConstTensorView& planes, Piece& piece) const;
  void hand_over(Piece& piece);

  Shape shape_;
  PartLayout layout_;
  const WriteOptions& options_;
  int threads_;
  BlockPipeline& pipeline_;
  std::vector<std::shared_ptr<BlockFile>> files_;
  std::vector<std::optional<Block>> open_;  ///< of each part, not yet full
  std::int64_t taken_ = 0;                  ///< voxels of each part
  std::int64_t clipped_ = 0;
};

}  // namespace convt3d
