#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace convt3d {

/// How blocks of content become the bytes of a file.
enum class BlockCoding {
  kPlain,  ///< as they are
  kGzip,   ///< a gzip member each (RFC 1952); members one after the other are a gzip file of all their contents
  kZlib,   ///< a part of one zlib stream each (RFC 1950): deflate blocks up to a byte's end that look at no other part
};

/// Some consecutive bytes of a file's content, and the same encoded. The memory is as large as a block ever gets.
struct Block {
  std::unique_ptr<std::byte[]> content;
  std::size_t content_bytes = 0;
  std::int64_t offset = 0;  ///< of the content's first byte, in the content
  std::unique_ptr<std::byte[]> encoded;
  std::size_t encoded_bytes = 0;
  std::uint32_t adler = 1;  ///< checksum of the content, of kZlib
};

/// Encodes blocks of up to `block_bytes`; the same blocks give the same bytes. Any number of threads may use one at once.
class BlockEncoder {
 public:
  /// `level` is libdeflate's for gzip: 0 stores, 1 is fastest, 12 smallest; and zlib's for kZlib, 9 standing for more.
  BlockEncoder(BlockCoding coding, int level, std::size_t block_bytes);
  ~BlockEncoder();
  BlockEncoder(const BlockEncoder&) = delete;
  BlockEncoder& operator=(const BlockEncoder&) = delete;

  BlockCoding coding() const { return coding_; }
  std::size_t block_bytes() const { return block_bytes_; }

  Block make_block() const;
  /// Throws Error{kMemory} when there is none for a compressor.
  void encode(Block& block);
  /// What the file has for a block that was encoded.
  std::span<const std::byte> file_bytes(const Block& block) const;

  /// Memory of a block.
  static std::int64_t held_by_block(BlockCoding coding, std::size_t block_bytes);
  /// Memory of what one thread compresses with.
  static std::int64_t held_by_thread(BlockCoding coding, int level);

 private:
  struct Compressors;

  BlockCoding coding_;
  int level_;
  std::size_t block_bytes_;
  std::unique_ptr<Compressors> compressors_;
};

}  // namespace convt3d
