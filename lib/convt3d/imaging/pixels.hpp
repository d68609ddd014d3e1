#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "convt3d/base/dtype.hpp"
#include "convt3d/base/tensor.hpp"

namespace convt3d {

/// How a file's elements become values: value = slope · element + intercept, elements of the other byte order swapped first.
struct StoredPixels {
  DType type = DType::kFloat32;
  bool swapped = false;
  double slope = 1;
  double intercept = 0;

  bool scaled() const { return slope != 1 || intercept != 0; }
};

/// What reading makes of such elements: their own type, or where integers are scaled a float that holds every one of them:
/// float32 (24 bits) for up to 16 bits, float64 for more.
DType pixel_type_of(const StoredPixels& stored);

/// Turns elements of one byte order into the other's.
void swap_byte_order(std::span<std::byte> bytes, DType type);

/// Reads `count` elements, `stride` elements apart from the front of `bytes` on and already in this machine's byte order,
/// into consecutive values, float32 or float64. Scaling computes in double. NaN and Inf stay.
void load_pixels(const std::byte* bytes, std::int64_t stride, std::int64_t count, const StoredPixels& stored, float* values);
void load_pixels(const std::byte* bytes, std::int64_t stride, std::int64_t count, const StoredPixels& stored,
                 double* values);

/// What storing did to the values.
struct StoreReport {
  std::int64_t clipped = 0;     ///< values that, rounded, were outside the integer type
  std::int64_t first_nan = -1;  ///< index of the first NaN that an integer type had no nan_value for; -1: none
};

/// Writes `count` consecutive values as elements of `type` (float32, float64 or an integer type), `stride` elements apart
/// from the front of `bytes` on, in this machine's byte order. Integers are rounded half to even and clamped to the type's
/// range; NaN becomes `nan_value`, which is in that range.
StoreReport store_pixels(const float* values, std::int64_t count, DType type, std::optional<double> nan_value,
                         std::byte* bytes, std::int64_t stride = 1);
StoreReport store_pixels(const double* values, std::int64_t count, DType type, std::optional<double> nan_value,
                         std::byte* bytes, std::int64_t stride = 1);

/// Throws Error{kOutput}: voxel `index` (w fastest) of volume n, channel c is NaN, and `type` cannot hold it.
[[noreturn]] void throw_nan(std::int64_t n, std::int64_t c, std::int64_t index, const Extent3& extent, DType type);

/// Whether files can hold elements of that type: float32, float64 and the integers.
bool is_pixel_type(DType type);

/// Whether `value`, rounded, lies in the range of the integer type.
bool fits(double value, DType type);

}  // namespace convt3d
