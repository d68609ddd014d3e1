#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace convt3d {

/// A new file written from the front to the back; every failure throws Error{kOutput} with the system's reason.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);

  /// Ends the file: some systems (NFS, quotas) report a full disk only now. Returns its length.
  std::int64_t close();

 private:
  [[noreturn]] void fail(const char* what) const;

  int descriptor_ = -1;
  std::int64_t size_ = 0;
};

}  // namespace convt3d
