#include "convt3d/imaging/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "convt3d/base/error.hpp"

namespace convt3d {

OutputFile::OutputFile(const std::filesystem::path& path) {
  descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("cannot be created");
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("writing failed");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    size_ += count;
  }
}

std::int64_t OutputFile::close() {
  const int descriptor = descriptor_;
  descriptor_ = -1;
  if (::close(descriptor) != 0) fail("closing failed");
  return size_;
}

void OutputFile::fail(const char* what) const {
  throw Error(ErrorKind::kOutput, fmt::format("{} after {} bytes: {}", what, size_, std::strerror(errno)));
}

}  // namespace convt3d
