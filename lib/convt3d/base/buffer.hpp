#pragma once

#include <cstddef>
#include <cstdint>

namespace convt3d {

/// Uninitialised memory, aligned to 64 bytes (a cache line, and a zmm register); from 1 MiB up aligned to 2 MiB and advised
/// to use huge pages, because first touch of 4 KiB pages runs at a tenth of the memory's speed.
class Buffer {
 public:
  Buffer() = default;
  /// Throws Error{kMemory} when the bytes cannot be had.
  explicit Buffer(std::size_t bytes);
  Buffer(const Buffer& other);
  Buffer& operator=(const Buffer& other);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  /// Memory that someone else owns and keeps meanwhile; a copy of it is owned.
  static Buffer borrowed(void* data, std::size_t bytes);

  /// What a buffer of so many bytes takes, rounding included.
  static std::int64_t taken(std::int64_t bytes);

  void* data() { return data_; }
  const void* data() const { return data_; }
  std::size_t size() const { return size_; }

  /// Makes room for at least `bytes`; the content is lost when it grows.
  void reserve(std::size_t bytes);

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
  bool owned_ = true;
};

}  // namespace convt3d
