#include "convt3d/imaging/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

[[noreturn]] void fail(const char* what, std::int64_t offset) {
  throw Error(ErrorKind::kOutput, fmt::format("{} at byte {}: {}", what, offset, std::strerror(errno)));
}

/// A file that is read; closed when it goes.
class Source {
 public:
  explicit Source(const std::filesystem::path& path) : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail("a part of the file cannot be opened again", 0);
  }
  ~Source() { ::close(descriptor_); }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace

OutputFile::OutputFile(const std::filesystem::path& path) {
  descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    throw Error(ErrorKind::kOutput, fmt::format("the file cannot be created: {}", std::strerror(errno)));
  }
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write_at(std::int64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("writing failed", offset);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += count;
    size_ = std::max(size_, offset);
  }
}

void OutputFile::append_file(const std::filesystem::path& path) {
  constexpr std::size_t kChunkBytes = 1 << 20;
  const Source source(path);
  std::vector<std::byte> chunk;  // where the system cannot copy: between file systems, and some network ones
  for (;;) {
    off_t to = size_;
    ssize_t count = -1;
    if (chunk.empty()) count = copy_file_range(source.descriptor(), nullptr, descriptor_, &to, std::size_t{1} << 30, 0);
    if (count < 0 && errno != ENOSPC && errno != EDQUOT && errno != EFBIG) {
      chunk.resize(kChunkBytes);
      count = read(source.descriptor(), chunk.data(), chunk.size());
      if (count > 0) append(std::span(chunk).first(static_cast<std::size_t>(count)));
    } else if (count > 0) {
      size_ = to;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("copying a part into place failed", size_);
    if (count == 0) return;
  }
}

std::int64_t OutputFile::close() {
  if (::close(std::exchange(descriptor_, -1)) != 0) fail("closing failed", size_);
  return size_;
}

}  // namespace convt3d
