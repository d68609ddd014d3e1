#include "convt3d/imaging/pixels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

/// Calls f with a value of the C++ type of `type`.
template <typename F>
auto with_type(DType type, F&& f) {
  switch (type) {
    case DType::kFloat32: return f(float{});
    case DType::kFloat64: return f(double{});
    case DType::kInt8: return f(std::int8_t{});
    case DType::kUInt8: return f(std::uint8_t{});
    case DType::kInt16: return f(std::int16_t{});
    case DType::kUInt16: return f(std::uint16_t{});
    case DType::kInt32: return f(std::int32_t{});
    case DType::kUInt32: return f(std::uint32_t{});
    case DType::kInt64: return f(std::int64_t{});
    case DType::kUInt64: return f(std::uint64_t{});
    case DType::kFloat16:
    case DType::kBFloat16: break;
  }
  throw Error(ErrorKind::kShape, fmt::format("volumes have no pixels of type {}", name_of(type)));
}

template <typename Stored, typename Value>
void load(const std::byte* bytes, std::int64_t stride, std::int64_t count, const StoredPixels& stored, Value* values) {
  const auto element = [&](std::int64_t i) {
    Stored value;
    std::memcpy(&value, bytes + static_cast<std::size_t>(i * stride) * sizeof(Stored), sizeof(Stored));
    return value;
  };
  if (stored.scaled()) {
    for (std::int64_t i = 0; i < count; ++i) {
      values[i] = static_cast<Value>(static_cast<double>(element(i)) * stored.slope + stored.intercept);
    }
  } else {
    for (std::int64_t i = 0; i < count; ++i) values[i] = static_cast<Value>(element(i));
  }
}

template <typename Value>
void load_any(const std::byte* bytes, std::int64_t stride, std::int64_t count, const StoredPixels& stored, Value* values) {
  with_type(stored.type, [&](auto element) { load<decltype(element)>(bytes, stride, count, stored, values); });
}

/// Half to even, under the default rounding mode.
double round_half_even(double value) { return std::nearbyint(value); }

/// One past the largest value of an integer type, 2^digits: exact in double, which the largest of 64 bits is not.
template <std::integral T>
constexpr double range_end() {
  return std::numeric_limits<T>::digits == 64 ? 0x1p64
                                              : static_cast<double>(std::uint64_t{1} << std::numeric_limits<T>::digits);
}

template <std::integral T>
constexpr double range_begin() {
  return static_cast<double>(std::numeric_limits<T>::min());
}

template <std::integral T>
T to_integer(double value, std::int64_t& clipped) {
  const double rounded = round_half_even(value);
  if (rounded < range_begin<T>()) return ++clipped, std::numeric_limits<T>::min();
  if (rounded >= range_end<T>()) return ++clipped, std::numeric_limits<T>::max();
  return static_cast<T>(rounded);
}

template <typename Stored, typename Value>
StoreReport store(const Value* values, std::int64_t count, std::optional<double> nan_value, std::byte* bytes,
                  std::int64_t stride) {
  StoreReport report;
  for (std::int64_t i = 0; i < count; ++i) {
    const Value value = values[i];
    Stored element;
    if constexpr (std::floating_point<Stored>) {
      element = static_cast<Stored>(value);
    } else {
      const bool is_nan = std::isnan(value);
      if (is_nan && !nan_value && report.first_nan < 0) report.first_nan = i;
      element = to_integer<Stored>(is_nan ? nan_value.value_or(0) : static_cast<double>(value), report.clipped);
    }
    std::memcpy(bytes + static_cast<std::size_t>(i * stride) * sizeof(Stored), &element, sizeof(Stored));
  }
  return report;
}

template <typename Value>
StoreReport store_any(const Value* values, std::int64_t count, DType type, std::optional<double> nan_value, std::byte* bytes,
                      std::int64_t stride) {
  return with_type(type, [&](auto element) { return store<decltype(element)>(values, count, nan_value, bytes, stride); });
}

}  // namespace

DType pixel_type_of(const StoredPixels& stored) {
  if (!stored.scaled() || !is_integer(stored.type)) return stored.type;
  return size_of(stored.type) <= 2 ? DType::kFloat32 : DType::kFloat64;
}

void swap_byte_order(std::span<std::byte> bytes, DType type) {
  const std::size_t element_bytes = size_of(type);
  for (std::size_t at = 0; at < bytes.size(); at += element_bytes) {
    std::reverse(bytes.data() + at, bytes.data() + at + element_bytes);
  }
}

void load_pixels(const std::byte* bytes, std::int64_t stride, std::int64_t count, const StoredPixels& stored,
                 float* values) {
  load_any(bytes, stride, count, stored, values);
}

void load_pixels(const std::byte* bytes, std::int64_t stride, std::int64_t count, const StoredPixels& stored,
                 double* values) {
  load_any(bytes, stride, count, stored, values);
}

StoreReport store_pixels(const float* values, std::int64_t count, DType type, std::optional<double> nan_value,
                         std::byte* bytes, std::int64_t stride) {
  return store_any(values, count, type, nan_value, bytes, stride);
}

StoreReport store_pixels(const double* values, std::int64_t count, DType type, std::optional<double> nan_value,
                         std::byte* bytes, std::int64_t stride) {
  return store_any(values, count, type, nan_value, bytes, stride);
}

void throw_nan(std::int64_t n, std::int64_t c, std::int64_t index, const Extent3& extent, DType type) {
  throw Error(
      ErrorKind::kOutput,
      fmt::format("voxel (n, c, z, y, x) = ({}, {}, {}, {}, {}) is NaN, which {} cannot hold; give a value to write for "
                  "NaN, or write float32",
                  n, c, index / (extent.h * extent.w), index / extent.w % extent.h, index % extent.w, name_of(type)));
}

bool is_pixel_type(DType type) { return type != DType::kFloat16 && type != DType::kBFloat16; }

bool fits(double value, DType type) {
  return with_type(type, [&](auto element) {
    if constexpr (std::integral<decltype(element)>) {
      const double rounded = round_half_even(value);
      return rounded >= range_begin<decltype(element)>() && rounded < range_end<decltype(element)>();
    } else {
      return true;
    }
  });
}

}  // namespace convt3d
