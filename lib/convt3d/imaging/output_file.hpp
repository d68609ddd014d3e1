#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace convt3d {

/// A new file; every failure throws Error{kOutput} with the byte it happened at and the system's reason.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Writes behind all that was written before.
  void append(std::span<const std::byte> bytes) { write_at(size_, bytes); }

  /// Writes from byte `offset` of the file on.
  void write_at(std::int64_t offset, std::span<const std::byte> bytes);

  /// Copies all of a file that exists behind what was written before, within the system where it can do that.
  void append_file(const std::filesystem::path& path);

  std::int64_t size() const { return size_; }

  /// Ends the file: some systems (NFS, quotas) report a full disk only now. Returns its length.
  std::int64_t close();

 private:
  int descriptor_ = -1;
  std::int64_t size_ = 0;
};

}  // namespace convt3d
