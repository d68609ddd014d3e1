#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

/// Files for the tests of configs and weights.
namespace testing_support {

/// A folder that is gone with this object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "convt3d_model_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  const std::filesystem::path& path() const { return path_; }

  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    std::filesystem::remove(path_ / name);  // ext4 waits for the disk when a file is cut and written anew
    std::ofstream(path_ / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// An .npy file of format 1.0 with this header text and data.
inline std::string npy_bytes(const std::string& header, std::string_view data) {
  std::string bytes = "\x93NUMPY";
  bytes += '\1';
  bytes += '\0';
  bytes += static_cast<char>((header.size() + 1) & 255);
  bytes += static_cast<char>((header.size() + 1) >> 8);
  return bytes + header + "\n" + std::string(data);
}

/// Little-endian float32 0, 1, 2, ... in the shape of a tuple's text, "(2, 3)".
inline std::string npy_floats(const std::string& shape, std::int64_t count) {
  std::string data;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<float>(i);
    data.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }", data);
}

}  // namespace testing_support
