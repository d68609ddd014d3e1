#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace convt3d {

/// Element types of tensors, weights and voxels. The engine computes in kFloat32 and kFloat64; the others are stored.
enum class DType {
  kFloat32,
  kFloat64,
  kFloat16,
  kBFloat16,
  kInt8,
  kUInt8,
  kInt16,
  kUInt16,
  kInt32,
  kUInt32,
  kInt64,
  kUInt64
};

/// Bytes of one element.
std::size_t size_of(DType dtype);

/// PyTorch's and NumPy's name: "float32", "bfloat16", "uint8".
std::string_view name_of(DType dtype);

/// The dtype of that name, or nullopt.
std::optional<DType> dtype_from_name(std::string_view name);

constexpr bool is_integer(DType dtype) { return dtype >= DType::kInt8; }

/// The DType that C++'s T stores.
template <typename T>
constexpr DType dtype_of();
// clang-format off
template <> constexpr DType dtype_of<float>() { return DType::kFloat32; }
template <> constexpr DType dtype_of<double>() { return DType::kFloat64; }
template <> constexpr DType dtype_of<std::int8_t>() { return DType::kInt8; }
template <> constexpr DType dtype_of<std::uint8_t>() { return DType::kUInt8; }
template <> constexpr DType dtype_of<std::int16_t>() { return DType::kInt16; }
template <> constexpr DType dtype_of<std::uint16_t>() { return DType::kUInt16; }
template <> constexpr DType dtype_of<std::int32_t>() { return DType::kInt32; }
template <> constexpr DType dtype_of<std::uint32_t>() { return DType::kUInt32; }
template <> constexpr DType dtype_of<std::int64_t>() { return DType::kInt64; }
template <> constexpr DType dtype_of<std::uint64_t>() { return DType::kUInt64; }
// clang-format on

}  // namespace convt3d
