#include "convt3d/base/buffer.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kHugeFrom = kHugePage / 2;  // below that the rounding up would waste over half

std::size_t alignment_of(std::size_t bytes) { return bytes >= kHugeFrom ? kHugePage : kAlignment; }

/// 0 where that is past what a size can say.
std::size_t rounded_up(std::size_t bytes) {
  const std::size_t alignment = alignment_of(bytes);
  return bytes > SIZE_MAX - alignment ? 0 : (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace

Buffer::Buffer(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  const std::size_t alignment = alignment_of(bytes);
  const std::size_t rounded = rounded_up(bytes);
  data_ = rounded == 0 ? nullptr : std::aligned_alloc(alignment, rounded);
  if (data_ == nullptr) throw Error(ErrorKind::kMemory, "cannot allocate " + std::to_string(bytes) + " bytes");
  if (alignment == kHugePage) madvise(data_, rounded, MADV_HUGEPAGE);  // advice: where it is not taken, nothing is lost
}

Buffer::Buffer(const Buffer& other) : Buffer(other.size_) {
  if (size_ > 0) std::memcpy(data_, other.data_, size_);
}

Buffer& Buffer::operator=(const Buffer& other) {
  if (this != &other) *this = Buffer(other);
  return *this;
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      owned_(std::exchange(other.owned_, true)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(owned_, other.owned_);
  return *this;
}

Buffer::~Buffer() {
  if (owned_) std::free(data_);
}

std::int64_t Buffer::taken(std::int64_t bytes) {
  return static_cast<std::int64_t>(rounded_up(static_cast<std::size_t>(bytes)));
}

Buffer Buffer::borrowed(void* data, std::size_t bytes) {
  Buffer buffer;
  buffer.data_ = data;
  buffer.size_ = bytes;
  buffer.owned_ = false;
  return buffer;
}

void Buffer::reserve(std::size_t bytes) {
  if (bytes <= size_) return;
  *this = Buffer();  // first give back, then take: the peak is one buffer, not two
  *this = Buffer(bytes);
}

}  // namespace convt3d
