#pragma once

#include <cstdint>
#include <filesystem>

namespace convt3d {

/// A file open for reading at any place. Folders, pipes and devices are refused without waiting for them. Bytes are read
/// when they are asked for: of a large file only what is needed, and a file that shrinks meanwhile is an error, where a
/// mapping of it would end the process. Throws Error{kConfig}; that of opening starts with the path.
class RegularFile {
 public:
  explicit RegularFile(std::filesystem::path path);
  ~RegularFile();
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::int64_t size_bytes() const { return size_bytes_; }

  /// `bytes` bytes from `offset` on, all of them inside the file.
  void read(std::int64_t offset, void* to, std::int64_t bytes) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::int64_t size_bytes_ = 0;
};

}  // namespace convt3d
