#include "convt3d/model/regular_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorKind::kConfig, path.string() + ": " + what);
}

}  // namespace

RegularFile::RegularFile(std::filesystem::path path) : path_(std::move(path)) {
  // Opening a pipe would otherwise wait for somebody to write into it.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor_ < 0) fail(path_, errno == ENOENT ? "there is no such file" : std::generic_category().message(errno));
  struct stat status {};
  const bool known = ::fstat(descriptor_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    fail(path_, known && S_ISDIR(status.st_mode) ? "a folder, not a file" : "no regular file");
  }
  size_bytes_ = status.st_size;
}

RegularFile::~RegularFile() { ::close(descriptor_); }

void RegularFile::read(std::int64_t offset, void* to, std::int64_t bytes) const {
  constexpr std::int64_t kMostAtOnce = std::int64_t{1} << 30;  // Linux reads at most 2 GiB - 4 KiB
  auto* next = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = ::pread(descriptor_, next, static_cast<std::size_t>(std::min(bytes, kMostAtOnce)), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(ErrorKind::kConfig, "cannot be read: " + std::generic_category().message(errno));
    if (got == 0) throw Error(ErrorKind::kConfig, "it became shorter while it was read");
    next += got;
    offset += got;
    bytes -= got;
  }
}

}  // namespace convt3d
