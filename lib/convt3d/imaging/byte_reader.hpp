#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string_view>

#include "convt3d/imaging/inflate_stream.hpp"

namespace convt3d {

/// How a file's bytes become its content.
enum class Encoding {
  kPlain,
  kDeflated,   ///< one zlib stream, or gzip member
  kGzipOrNot,  ///< gzip members one after the other if it starts as one (1f 8b), whatever its name; else plain
};

/// A file's content from the front to the back, inflated on the way. Everything that is wrong with the file throws
/// Error{kInput} that starts with its path.
class ByteReader {
 public:
  /// Starts at byte `offset` of the file.
  explicit ByteReader(const std::filesystem::path& path, Encoding encoding = Encoding::kPlain, std::int64_t offset = 0);
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;

  /// Fills `out` as far as the content goes; returns how many bytes it got. Checks the stream's checksum where it ends.
  std::size_t read_some(std::span<std::byte> out);

  /// Fills `out`, or throws saying that `what` is cut off.
  void read(std::span<std::byte> out, std::string_view what);

  /// Reads over `count` bytes.
  void skip(std::int64_t count, std::string_view what);

  /// Whether content is inflated; if not it is the file itself.
  bool inflates() const { return inflated_ != nullptr; }

  /// Bytes of content that have been given out or read over.
  std::int64_t position() const { return content_position_; }

  /// Goes to byte `position` of the content of a file that does not inflate.
  void seek(std::int64_t position);

  /// Throws when content follows what was read.
  void expect_end(std::string_view what);

  /// Throws unless `count` more bytes of content can be there, before anybody makes room for them: a plain file tells by its
  /// length; deflate makes at most 1032 bytes of one (a match of 258 bytes in two bits).
  void expect_room_for(std::int64_t count, std::string_view what) const;

 private:
  std::size_t read_file(std::span<std::byte> out);
  /// Says that `count` bytes of content from `begin` on are not all there.
  [[noreturn]] void fail_cut_off(std::string_view what, std::int64_t begin, std::int64_t count) const;

  std::filesystem::path path_;
  std::ifstream file_;
  std::int64_t begin_ = 0;  ///< of the content, in the file
  std::int64_t file_size_ = 0;
  std::int64_t file_position_ = 0;     ///< bytes taken from the file
  std::int64_t content_position_ = 0;  ///< bytes given out
  std::unique_ptr<InflateStream> inflated_;
};

/// Whether a file begins as gzip does; not if it cannot be read.
bool starts_as_gzip(const std::filesystem::path& path);

/// Length of a file; throws Error{kInput} if there is no such file or it is none.
std::int64_t file_length(const std::filesystem::path& path);

}  // namespace convt3d
