#include "convt3d/imaging/inflate_stream.hpp"

#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

constexpr std::size_t kInputBytes = 256 << 10;
constexpr std::size_t kMaxRun = 1 << 30;  // ISA-L counts in 32 bits

/// ISA-L takes up to 8 bytes into a register before it needs them. Where deflate data ends, those behind it are given back:
/// room for them stands before the input, since they may come from the part before.
constexpr std::size_t kTakenAhead = 8;

enum GzipFlag : unsigned { kHeaderCrc = 2, kExtra = 4, kName = 8, kComment = 16, kReserved = 0xe0 };

std::string_view name_of_fault(int status) {
  switch (status) {
    case ISAL_INVALID_BLOCK: return "a block that deflate does not have";
    case ISAL_INVALID_SYMBOL: return "a code that its block does not have";
    case ISAL_INVALID_LOOKBACK: return "a reference to before the beginning";
    default: return "the decoder refuses it";
  }
}

}  // namespace

struct InflateStream::State {
  State(std::filesystem::path its_path, Wrapper its_wrapper, std::int64_t offset, Source its_source)
      : path(std::move(its_path)),
        wrapper(its_wrapper),
        source(std::move(its_source)),
        taken_bytes(offset),
        input(kTakenAhead + kInputBytes) {
    isal_inflate_init(&inflate);
    inflate.crc_flag = ISAL_DEFLATE;  // headers, trailers and checksums are read here
    inflate.next_in = buffer();
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorKind::kInput, fmt::format("{}: {}", path.string(), message));
  }

  std::uint8_t* buffer() { return reinterpret_cast<std::uint8_t*>(input.data()) + kTakenAhead; }

  /// Where the next byte is in the file.
  std::int64_t position() const { return taken_bytes - static_cast<std::int64_t>(inflate.avail_in); }

  /// Whether there is a next byte.
  bool fill() {
    if (inflate.avail_in > 0) return true;
    std::memmove(input.data(), inflate.next_in - kTakenAhead, kTakenAhead);
    inflate.next_in = buffer();
    inflate.avail_in = static_cast<std::uint32_t>(source(std::span(input).subspan(kTakenAhead)));
    taken_bytes += inflate.avail_in;
    return inflate.avail_in > 0;
  }

  /// The next byte of a header or trailer; nullopt, there and for all that follow, where the file is cut off.
  std::optional<std::uint8_t> next() {
    if (!fill()) return std::nullopt;
    --inflate.avail_in;
    const std::uint8_t byte = *inflate.next_in++;
    header_crc = libdeflate_crc32(header_crc, &byte, 1);
    return byte;
  }

  /// Of `bytes` bytes, the first the lowest.
  std::optional<std::uint32_t> next_number(int bytes) {
    std::uint32_t number = 0;
    for (int i = 0; i < bytes; ++i) {
      const auto byte = next();
      if (!byte) return std::nullopt;
      number |= static_cast<std::uint32_t>(*byte) << (8 * i);
    }
    return number;
  }

  bool skip(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!next()) return false;
    }
    return true;
  }

  bool skip_text() {
    for (;;) {
      const auto byte = next();
      if (!byte || *byte == 0) return byte.has_value();
    }
  }

  /// Reads over a header, up to its deflate data; false where the file is cut off in it.
  bool begin_member() {
    member_at = position();
    header_crc = 0;
    const auto first = next();
    if (!first) return false;
    gzip = wrapper == Wrapper::kGzip || *first == 0x1f;
    if (!(gzip ? skip_gzip_header(*first) : skip_zlib_header(*first))) return false;
    isal_inflate_reset(&inflate);
    checksum = gzip ? 0 : 1;
    member_bytes = 0;
    return true;
  }

  bool skip_gzip_header(std::uint8_t first) {
    const auto rest_of_magic = next_number(2);
    if (!rest_of_magic) return false;
    if (first != 0x1f || *rest_of_magic != 0x088b) {
      fail(fmt::format("the compressed data is damaged near byte {} of the file: no gzip member begins there", member_at));
    }
    const auto flags = next();
    if (flags && (*flags & kReserved) != 0) {
      fail(fmt::format("the compressed data is damaged near byte {} of the file: a gzip header with unknown flags",
                       member_at));
    }
    if (!flags || !skip(6)) return false;  // time, hint, system
    if ((*flags & kExtra) != 0) {
      const auto length = next_number(2);
      if (!length || !skip(*length)) return false;
    }
    if ((*flags & kName) != 0 && !skip_text()) return false;
    if ((*flags & kComment) != 0 && !skip_text()) return false;
    return (*flags & kHeaderCrc) == 0 || check_header_crc();
  }

  bool check_header_crc() {
    const std::uint32_t expected = header_crc & 0xffff;
    const auto stored = next_number(2);
    if (stored && *stored != expected) {
      fail(fmt::format("the compressed data is damaged: the gzip header at byte {} of the file has an incorrect checksum",
                       member_at));
    }
    return stored.has_value();
  }

  /// RFC 1950: deflate with a window of at most 32 KiB, no preset dictionary, and both bytes together a multiple of 31.
  bool skip_zlib_header(std::uint8_t first) {
    const auto second = next();
    if (!second) return false;
    const bool right = (first & 0x0f) == 8 && first >> 4 <= 7 && (*second & 0x20) == 0 && (first * 256 + *second) % 31 == 0;
    if (!right) {
      fail(
          fmt::format("the compressed data is damaged near byte {} of the file: neither a zlib stream nor a gzip member "
                      "begins there",
                      member_at));
    }
    return true;
  }

  /// Inflates into `out` until it is full, the member ends or the input does; returns how many bytes it got.
  std::size_t inflate_some(std::span<std::byte> out) {
    const auto room = static_cast<std::uint32_t>(std::min(out.size(), kMaxRun));
    inflate.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    inflate.avail_out = room;
    const int status = isal_inflate(&inflate);
    if (status != ISAL_DECOMP_OK) {
      fail(fmt::format("the compressed data is damaged near byte {} of the file: {}", position(), name_of_fault(status)));
    }
    const std::size_t count = room - inflate.avail_out;
    checksum = gzip ? libdeflate_crc32(checksum, out.data(), count) : libdeflate_adler32(checksum, out.data(), count);
    member_bytes += static_cast<std::int64_t>(count);
    return count;
  }

  /// Checks a member's trailer; false where the file is cut off in it.
  bool end_member() {
    const auto ahead = static_cast<std::uint32_t>(inflate.read_in_length / 8);
    inflate.next_in -= ahead;
    inflate.avail_in += ahead;
    const std::int64_t trailer_at = position();
    auto stored = next_number(4);
    if (!stored) return false;
    if (!gzip) stored = __builtin_bswap32(*stored);
    if (*stored != checksum) {
      fail(
          fmt::format("the compressed data is damaged near byte {} of the file: an incorrect checksum, {:08x} where the "
                      "{} bytes inflated since byte {} have {:08x}",
                      trailer_at, *stored, member_bytes, member_at, checksum));
    }
    if (!gzip) return true;
    const auto length = next_number(4);
    if (!length) return false;
    if (*length != static_cast<std::uint32_t>(member_bytes)) {  // modulo 2^32
      fail(
          fmt::format("the compressed data is damaged near byte {} of the file: an incorrect length, {} where {} bytes "
                      "were inflated since byte {}",
                      trailer_at + 4, *length, member_bytes, member_at));
    }
    return true;
  }

  /// Whether another member follows the one that has ended.
  bool another_member() {
    for (; fill(); next()) {
      const std::uint8_t byte = *inflate.next_in;
      if (wrapper == Wrapper::kGzip && byte == 0x1f) return true;
      if (wrapper != Wrapper::kGzip || byte != 0) {
        fail(fmt::format("bytes that belong to nothing follow the compressed data, at byte {} of the file", position()));
      }
    }
    return false;
  }

  std::size_t read(std::span<std::byte> out) {
    std::size_t done = 0;
    while (done < out.size() && !ended && !cut_off) {
      if (!in_member) {
        in_member = begin_member();
        cut_off = !in_member;
        continue;
      }
      const bool input_left = fill();
      const std::int64_t before = position();
      const std::size_t count = inflate_some(out.subspan(done));
      done += count;
      if (inflate.block_state == ISAL_BLOCK_FINISH) {
        in_member = false;
        cut_off = !end_member();
        ended = !cut_off && !another_member();
      } else if (count == 0 && position() == before) {
        if (input_left) fail(fmt::format("the compressed data is damaged near byte {} of the file", before));
        cut_off = true;
      }
    }
    return done;
  }

  std::filesystem::path path;
  Wrapper wrapper;
  Source source;
  std::int64_t taken_bytes;  ///< end of the input, in the file
  std::vector<std::byte> input;
  inflate_state inflate{};
  bool gzip = true;
  bool in_member = false;
  bool ended = false;
  bool cut_off = false;
  std::int64_t member_at = 0;     ///< where it begins in the file
  std::int64_t member_bytes = 0;  ///< of content so far
  std::uint32_t checksum = 0;     ///< CRC-32 or Adler-32 of those
  std::uint32_t header_crc = 0;
};

InflateStream::InflateStream(std::filesystem::path path, Wrapper wrapper, std::int64_t offset, Source source)
    : state_(std::make_unique<State>(std::move(path), wrapper, offset, std::move(source))) {}

InflateStream::~InflateStream() = default;

std::size_t InflateStream::read(std::span<std::byte> out) { return state_->read(out); }

bool InflateStream::ended() const { return state_->ended; }

}  // namespace convt3d
