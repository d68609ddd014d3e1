#include "convt3d/imaging/block_encoder.hpp"

#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

/// A gzip member's header, with one extra field: how long the member is. It lets readers find the next one without
/// inflating this one; those that do not know it skip it.
///   1f 8b 8 | flags: extra field | no time | no hint, no system | length of the extra field | 'C' 'V' | length of its value
///   | value
constexpr std::array<std::uint8_t, 20> kMemberHeader = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, 'C', 'V', 4, 0};
constexpr std::size_t kMemberLengthAt = 16;
constexpr std::size_t kMemberTrailerBytes = 8;  // CRC-32 and length of the content

/// What deflate makes of content that it cannot compress: stored blocks, of at most 64 KiB less one but seldom below 5,000
/// bytes, each with 5 bytes in front; and the empty one that ends a part.
constexpr std::size_t deflated_bound(std::size_t bytes) { return bytes + bytes / 1000 + 64; }

void put_u32(std::byte* to, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
}

struct FreeLibdeflate {
  void operator()(libdeflate_compressor* compressor) const { libdeflate_free_compressor(compressor); }
};
using Libdeflate = std::unique_ptr<libdeflate_compressor, FreeLibdeflate>;

std::size_t gzip_member(libdeflate_compressor* compressor, const Block& block, std::size_t capacity) {
  std::byte* const member = block.encoded.get();
  const std::size_t deflated =
      libdeflate_deflate_compress(compressor, block.content.get(), block.content_bytes, member + kMemberHeader.size(),
                                  capacity - kMemberHeader.size() - kMemberTrailerBytes);
  if (deflated == 0) throw Error(ErrorKind::kOutput, "a block became longer than deflate can make it");
  const std::size_t length = kMemberHeader.size() + deflated + kMemberTrailerBytes;
  std::memcpy(member, kMemberHeader.data(), kMemberHeader.size());
  put_u32(member + kMemberLengthAt, static_cast<std::uint32_t>(length));
  put_u32(member + length - 8, libdeflate_crc32(0, block.content.get(), block.content_bytes));
  put_u32(member + length - 4, static_cast<std::uint32_t>(block.content_bytes));
  return length;
}

std::size_t zlib_part(int level, const Block& block, std::size_t capacity) {
  z_stream stream{};
  if (deflateInit2(&stream, std::min(level, 9), Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  stream.next_in = reinterpret_cast<Bytef*>(block.content.get());
  stream.avail_in = static_cast<uInt>(block.content_bytes);
  stream.next_out = reinterpret_cast<Bytef*>(block.encoded.get());
  stream.avail_out = static_cast<uInt>(capacity);
  const int status = deflate(&stream, Z_SYNC_FLUSH);
  const bool whole = status == Z_OK && stream.avail_in == 0 && stream.avail_out > 0;
  deflateEnd(&stream);
  if (!whole) throw Error(ErrorKind::kOutput, "a block became longer than deflate can make it");
  return capacity - stream.avail_out;
}

}  // namespace

/// Those that no thread is using: setting one up takes longer than compressing a small block.
struct BlockEncoder::Compressors {
  std::mutex mutex;
  std::vector<Libdeflate> idle;

  Libdeflate take(int level) {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        Libdeflate compressor = std::move(idle.back());
        idle.pop_back();
        return compressor;
      }
    }
    Libdeflate compressor(libdeflate_alloc_compressor(level));
    if (!compressor) throw Error(ErrorKind::kMemory, "no memory for a compressor");
    return compressor;
  }

  void put_back(Libdeflate compressor) {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(compressor));
  }
};

BlockEncoder::BlockEncoder(BlockCoding coding, int level, std::size_t block_bytes)
    : coding_(coding), level_(level), block_bytes_(block_bytes), compressors_(std::make_unique<Compressors>()) {}

BlockEncoder::~BlockEncoder() = default;

Block BlockEncoder::make_block() const {
  Block block;
  block.content = std::make_unique_for_overwrite<std::byte[]>(block_bytes_);
  if (coding_ != BlockCoding::kPlain)
    block.encoded = std::make_unique_for_overwrite<std::byte[]>(deflated_bound(block_bytes_));
  return block;
}

void BlockEncoder::encode(Block& block) {
  const std::size_t capacity = deflated_bound(block_bytes_);
  if (coding_ == BlockCoding::kGzip) {
    Libdeflate compressor = compressors_->take(level_);
    block.encoded_bytes = gzip_member(compressor.get(), block, capacity);
    compressors_->put_back(std::move(compressor));
  } else if (coding_ == BlockCoding::kZlib) {
    block.encoded_bytes = zlib_part(level_, block, capacity);
    block.adler = libdeflate_adler32(1, block.content.get(), block.content_bytes);
  }
}

std::span<const std::byte> BlockEncoder::file_bytes(const Block& block) const {
  if (coding_ == BlockCoding::kPlain) return {block.content.get(), block.content_bytes};
  return {block.encoded.get(), block.encoded_bytes};
}

std::int64_t BlockEncoder::held_by_block(BlockCoding coding, std::size_t block_bytes) {
  return static_cast<std::int64_t>(coding == BlockCoding::kPlain ? block_bytes : block_bytes + deflated_bound(block_bytes));
}

std::int64_t BlockEncoder::held_by_thread(BlockCoding coding, int level) {
  if (coding == BlockCoding::kPlain) return 0;
  // zlib's window and tables; libdeflate's up to level 9, and of levels 10 to 12, which find the best of all parsings.
  if (coding == BlockCoding::kZlib) return std::int64_t{400} << 10;
  return level < 10 ? std::int64_t{1} << 20 : std::int64_t{10} << 20;
}

}  // namespace convt3d
