#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "convt3d/imaging/block_encoder.hpp"
#include "convt3d/imaging/output_file.hpp"

namespace convt3d {

/// A file that encoded blocks go to: plain ones to their offsets behind what was put in front, others one behind the other.
class BlockFile {
 public:
  BlockFile(const std::filesystem::path& path, BlockCoding coding) : file_(path), coding_(coding) {}

  /// Puts a header before all blocks.
  void put_in_front(std::span<const std::byte> bytes);
  void put(const Block& block, std::span<const std::byte> file_bytes);
  /// Ends the content; only file() is used afterwards.
  void end_content();

  OutputFile& file() { return file_; }

 private:
  OutputFile file_;
  BlockCoding coding_;
  std::int64_t front_bytes_ = 0;
  std::uint32_t adler_ = 1;
  bool begun_ = false;
};

/// Brings blocks into files in the order they are handed over: threads that would otherwise be idle encode and write them
/// while the caller makes the next ones. At most as many as capacity(threads) are on their way: a caller that is ahead of
/// that takes its share of the work. An error ends all work, and is thrown at the next call.
class BlockPipeline {
 public:
  BlockPipeline(BlockCoding coding, int level, std::size_t block_bytes, int threads);
  /// Drops what has not been written.
  ~BlockPipeline();
  BlockPipeline(const BlockPipeline&) = delete;
  BlockPipeline& operator=(const BlockPipeline&) = delete;

  /// A block to fill.
  Block take();
  void submit(Block block, std::shared_ptr<BlockFile> file);
  /// Returns when all that was submitted is written.
  void finish();

  /// Two blocks for each thread, so that unequal ones even out.
  static std::int64_t capacity(int threads) { return 2 * std::int64_t{threads}; }

 private:
  struct State;

  int threads_;
  std::shared_ptr<State> state_;  ///< shared with background tasks, which may begin after all has ended
};

}  // namespace convt3d
