#include "convt3d/imaging/byte_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& message) {
  throw Error(ErrorKind::kInput, fmt::format("{}: {}", path.string(), message));
}

}  // namespace

std::int64_t file_length(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) fail(path, "no such file");
  if (std::filesystem::is_directory(status)) fail(path, "is a folder, not a file");
  const auto length = std::filesystem::file_size(path, error);
  if (error) fail(path, "cannot be read: " + error.message());
  return static_cast<std::int64_t>(length);
}

bool starts_as_gzip(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 2> magic{};
  file.read(magic.data(), magic.size());
  return magic == std::array<char, 2>{'\x1f', '\x8b'};
}

ByteReader::ByteReader(const std::filesystem::path& path, Encoding encoding, std::int64_t offset)
    : path_(path), begin_(offset), file_size_(file_length(path)) {
  errno = 0;
  file_.open(path, std::ios::binary);
  if (!file_) fail(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  if (offset > file_size_) {
    fail(path, fmt::format("the voxel data should start at byte {}, but the file has {} bytes", offset, file_size_));
  }
  if (encoding == Encoding::kGzipOrNot && !starts_as_gzip(path)) encoding = Encoding::kPlain;
  file_.seekg(offset);
  file_position_ = offset;
  if (encoding == Encoding::kPlain) return;
  inflated_ = std::make_unique<InflateStream>(path, encoding == Encoding::kDeflated ? Wrapper::kZlibOrGzip : Wrapper::kGzip,
                                              offset, [this](std::span<std::byte> out) { return read_file(out); });
}

std::size_t ByteReader::read_file(std::span<std::byte> out) {
  file_.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
  const auto count = static_cast<std::size_t>(file_.gcount());
  if (file_.bad()) fail(path_, fmt::format("reading failed at byte {}: {}", file_position_, std::strerror(errno)));
  file_position_ += static_cast<std::int64_t>(count);
  return count;
}

std::size_t ByteReader::read_some(std::span<std::byte> out) {
  const std::size_t count = inflated_ ? inflated_->read(out) : read_file(out);
  content_position_ += static_cast<std::int64_t>(count);
  return count;
}

void ByteReader::read(std::span<std::byte> out, std::string_view what) {
  const std::int64_t begin = content_position_;
  if (read_some(out) < out.size()) fail_cut_off(what, begin, static_cast<std::int64_t>(out.size()));
}

void ByteReader::fail_cut_off(std::string_view what, std::int64_t begin, std::int64_t count) const {
  if (!inflated_) {
    fail(path_, fmt::format("{} is cut off: bytes {} to {} are expected, but the file ends at {}", what, begin_ + begin,
                            begin_ + begin + count, file_size_));
  }
  fail(path_, fmt::format("{} is cut off: bytes {} to {} are expected, but the inflated content ends at {}{}", what, begin,
                          begin + count, content_position_,
                          inflated_->ended() ? "" : fmt::format(", with the file at its byte {}", file_size_)));
}

void ByteReader::seek(std::int64_t position) {
  file_.clear();  // of having read to the end
  file_.seekg(begin_ + position);
  file_position_ = begin_ + position;
  content_position_ = position;
}

void ByteReader::skip(std::int64_t count, std::string_view what) {
  const std::int64_t begin = content_position_;
  if (!inflates()) {
    if (count > file_size_ - file_position_) fail_cut_off(what, begin, count);
    if (count > 0) seek(begin + count);
    return;
  }
  std::array<std::byte, 4096> ignored;
  for (std::int64_t left = count; left > 0;) {
    const auto part = static_cast<std::size_t>(std::min<std::int64_t>(left, ignored.size()));
    if (read_some(std::span(ignored).first(part)) < part) fail_cut_off(what, begin, count);
    left -= static_cast<std::int64_t>(part);
  }
}

void ByteReader::expect_end(std::string_view what) {
  std::array<std::byte, 1> next;
  if (read_some(next) == 0) {
    if (inflated_ && !inflated_->ended()) fail(path_, "the compressed data is cut off in its checksum");
    return;
  }
  const std::int64_t end = content_position_ - 1;
  if (inflated_) {
    // More likely than a header that is wrong is damaged data: look on for a while whether the stream notices.
    std::vector<std::byte> ignored(1 << 20);
    for (int i = 0; i < 64 && read_some(ignored) == ignored.size(); ++i) continue;
    fail(path_, fmt::format("more content follows {}, which the header lets end at byte {}", what, end));
  }
  fail(path_, fmt::format("{} bytes follow {}, which the header lets end at byte {}", file_size_ - (file_position_ - 1),
                          what, file_position_ - 1));
}

void ByteReader::expect_room_for(std::int64_t count, std::string_view what) const {
  constexpr std::int64_t kMaxRatio = 1032;
  const std::int64_t remaining = file_size_ - file_position_;
  if (!inflated_ && count > remaining) {
    fail(path_, fmt::format("{} is cut off: the header asks for {} bytes from byte {} on, the file has {} there", what,
                            count, file_position_, remaining));
  }
  if (inflated_ && count / kMaxRatio > file_size_) {
    fail(path_,
         fmt::format("{} cannot be all there: the header asks for {} bytes, and the file's {} bytes inflate to at most {}",
                     what, count, file_size_, file_size_ * kMaxRatio));
  }
}

}  // namespace convt3d
