#include "convt3d/imaging/byte_reader.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

constexpr std::size_t kInputBytes = 256 << 10;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& message) {
  throw Error(ErrorKind::kInput, fmt::format("{}: {}", path.string(), message));
}

}  // namespace

struct ByteReader::Inflater {
  explicit Inflater(Encoding encoding) : gzip(encoding != Encoding::kDeflated), input(kInputBytes) {
    const int window_bits = 15 + 32;  // zlib's way to ask for its own wrapper or gzip's, whichever comes
    if (inflateInit2(&stream, window_bits) != Z_OK) throw Error(ErrorKind::kMemory, "zlib cannot be initialised");
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  bool gzip;
  bool ended = false;  ///< behind the last member
  z_stream stream{};
  std::vector<std::byte> input;
};

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
  if (encoding != Encoding::kPlain) inflater_ = std::make_unique<Inflater>(encoding);
}

ByteReader::~ByteReader() = default;

std::size_t ByteReader::read_file(std::span<std::byte> out) {
  file_.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
  const auto count = static_cast<std::size_t>(file_.gcount());
  if (file_.bad()) fail(path_, fmt::format("reading failed at byte {}: {}", file_position_, std::strerror(errno)));
  file_position_ += static_cast<std::int64_t>(count);
  return count;
}

std::size_t ByteReader::read_some(std::span<std::byte> out) {
  const std::size_t count = inflater_ ? inflate_some(out) : read_file(out);
  content_position_ += static_cast<std::int64_t>(count);
  return count;
}

std::size_t ByteReader::inflate_some(std::span<std::byte> out) {
  z_stream& stream = inflater_->stream;
  std::size_t done = 0;
  while (done < out.size() && !inflater_->ended) {
    if (stream.avail_in == 0) {
      stream.next_in = reinterpret_cast<Bytef*>(inflater_->input.data());
      stream.avail_in = static_cast<uInt>(read_file(inflater_->input));
      if (stream.avail_in == 0) break;  // the file is cut off in a member
    }
    const auto room = static_cast<uInt>(std::min<std::size_t>(out.size() - done, std::numeric_limits<uInt>::max()));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    stream.avail_out = room;
    const int status = inflate(&stream, Z_NO_FLUSH);
    done += room - stream.avail_out;
    if (status == Z_STREAM_END) {
      inflater_->ended = !next_member();
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      fail(path_, fmt::format("the compressed data is damaged near byte {} of the file: {}",
                              file_position_ - static_cast<std::int64_t>(stream.avail_in),
                              stream.msg != nullptr ? stream.msg : "zlib refuses it"));
    }
  }
  return done;
}

/// Whether another gzip member follows; zeros behind the last one are padding, as gzip(1) and tape drives have it.
bool ByteReader::next_member() {
  z_stream& stream = inflater_->stream;
  for (;;) {
    if (stream.avail_in == 0) {
      stream.next_in = reinterpret_cast<Bytef*>(inflater_->input.data());
      stream.avail_in = static_cast<uInt>(read_file(inflater_->input));
      if (stream.avail_in == 0) return false;
    }
    if (inflater_->gzip && *stream.next_in == 0x1f) return inflateReset(&stream) == Z_OK;
    if (!inflater_->gzip || *stream.next_in != 0) {
      fail(path_, fmt::format("bytes that belong to nothing follow the compressed data, at byte {} of the file",
                              file_position_ - static_cast<std::int64_t>(stream.avail_in)));
    }
    ++stream.next_in;
    --stream.avail_in;
  }
}

void ByteReader::read(std::span<std::byte> out, std::string_view what) {
  const std::int64_t begin = content_position_;
  const std::size_t count = read_some(out);
  if (count == out.size()) return;
  fail(path_, fmt::format("{} is cut off: bytes {} to {} are expected, but the {} ends at {}", what, begin,
                          begin + static_cast<std::int64_t>(out.size()), inflater_ ? "inflated content" : "file",
                          content_position_ + (inflater_ ? 0 : file_position_ - content_position_)));
}

void ByteReader::seek(std::int64_t position) {
  file_.clear();  // of having read to the end
  file_.seekg(begin_ + position);
  file_position_ = begin_ + position;
  content_position_ = position;
}

void ByteReader::skip(std::int64_t count, std::string_view what) {
  if (!inflates() && count > 0 && count <= file_size_ - file_position_) return seek(content_position_ + count);
  std::array<std::byte, 4096> ignored;
  while (count > 0) {
    const auto part = static_cast<std::size_t>(std::min<std::int64_t>(count, ignored.size()));
    read(std::span(ignored).first(part), what);
    count -= static_cast<std::int64_t>(part);
  }
}

void ByteReader::expect_end(std::string_view what) {
  std::array<std::byte, 1> next;
  if (read_some(next) == 0) {
    if (inflater_ && !inflater_->ended) fail(path_, "the compressed data is cut off in its checksum");
    return;
  }
  const std::int64_t end = content_position_ - 1;
  if (inflater_) fail(path_, fmt::format("more content follows {}, which the header lets end at byte {}", what, end));
  fail(path_, fmt::format("{} bytes follow {}, which the header lets end at byte {}", file_size_ - (file_position_ - 1),
                          what, file_position_ - 1));
}

void ByteReader::expect_room_for(std::int64_t count, std::string_view what) const {
  constexpr std::int64_t kMaxRatio = 1032;
  const std::int64_t remaining = file_size_ - file_position_;
  if (!inflater_ && count > remaining) {
    fail(path_, fmt::format("{} is cut off: the header asks for {} bytes from byte {} on, the file has {} there", what,
                            count, file_position_, remaining));
  }
  if (inflater_ && count / kMaxRatio > file_size_) {
    fail(path_,
         fmt::format("{} cannot be all there: the header asks for {} bytes, and the file's {} bytes inflate to at most {}",
                     what, count, file_size_, file_size_ * kMaxRatio));
  }
}

}  // namespace convt3d
