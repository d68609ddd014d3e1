#include "convt3d/base/tensor.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/base/half.hpp"

namespace convt3d {
namespace {

/// A stored element as the arithmetic type it stands for.
template <DType D, typename T>
auto load(T value) {
  if constexpr (D == DType::kFloat16)
    return float_from_half(value);
  else if constexpr (D == DType::kBFloat16)
    return float_from_bfloat16(value);
  else
    return value;
}

template <typename To, typename From>
To cast(From value) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(value)) return 0;
    const auto truncated = std::trunc(static_cast<double>(value));
    // 2^63 and 2^64 are exact as double, the types' largest values are not: hence >=.
    if (truncated >= std::ldexp(1.0, std::numeric_limits<To>::digits)) return std::numeric_limits<To>::max();
    if (truncated <= static_cast<double>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    return static_cast<To>(truncated);
  } else if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
    if (std::cmp_greater(value, std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    if (std::cmp_less(value, std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    return static_cast<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

template <typename To, DType D, typename From>
void convert_elements(const void* from, std::int64_t count, void* to) {
  const auto* source = static_cast<const From*>(from);
  auto* target = static_cast<To*>(to);
  for (std::int64_t i = 0; i < count; ++i) target[i] = cast<To>(load<D>(source[i]));
}

template <typename To>
void convert_to(const Tensor& tensor, void* to) {
  const void* from = tensor.raw();
  const std::int64_t count = tensor.size();
  switch (tensor.dtype()) {
    case DType::kFloat32: return convert_elements<To, DType::kFloat32, float>(from, count, to);
    case DType::kFloat64: return convert_elements<To, DType::kFloat64, double>(from, count, to);
    case DType::kFloat16: return convert_elements<To, DType::kFloat16, std::uint16_t>(from, count, to);
    case DType::kBFloat16: return convert_elements<To, DType::kBFloat16, std::uint16_t>(from, count, to);
    case DType::kInt8: return convert_elements<To, DType::kInt8, std::int8_t>(from, count, to);
    case DType::kUInt8: return convert_elements<To, DType::kUInt8, std::uint8_t>(from, count, to);
    case DType::kInt16: return convert_elements<To, DType::kInt16, std::int16_t>(from, count, to);
    case DType::kUInt16: return convert_elements<To, DType::kUInt16, std::uint16_t>(from, count, to);
    case DType::kInt32: return convert_elements<To, DType::kInt32, std::int32_t>(from, count, to);
    case DType::kUInt32: return convert_elements<To, DType::kUInt32, std::uint32_t>(from, count, to);
    case DType::kInt64: return convert_elements<To, DType::kInt64, std::int64_t>(from, count, to);
    case DType::kUInt64: return convert_elements<To, DType::kUInt64, std::uint64_t>(from, count, to);
  }
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::int64_t element_count(const Shape& shape) {
  std::optional<std::int64_t> count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0) throw Error(ErrorKind::kShape, "shape " + to_string(shape) + " has a negative extent");
    count = checked_mul(count, extent);
  }
  if (!count) throw Error(ErrorKind::kShape, "shape " + to_string(shape) + " has more than 2^63 - 1 elements");
  return *count;
}

std::int64_t byte_count(const Shape& shape, DType dtype) {
  const auto bytes = checked_mul(element_count(shape), static_cast<std::int64_t>(size_of(dtype)));
  if (!bytes) throw Error(ErrorKind::kShape, "shape " + to_string(shape) + " takes more than 2^63 - 1 bytes");
  return *bytes;
}

Tensor Tensor::empty(Shape shape, DType dtype) {
  Tensor tensor;
  tensor.buffer_ = Buffer(static_cast<std::size_t>(byte_count(shape, dtype)));
  tensor.size_ = element_count(shape);
  tensor.shape_ = std::move(shape);
  tensor.dtype_ = dtype;
  return tensor;
}

Tensor Tensor::zeros(Shape shape, DType dtype) {
  Tensor tensor = empty(std::move(shape), dtype);
  if (tensor.size_ > 0) std::memset(tensor.buffer_.data(), 0, static_cast<std::size_t>(tensor.size_bytes()));
  return tensor;
}

template <typename T>
Tensor Tensor::from(std::span<const T> values, Shape shape) {
  if (element_count(shape) != static_cast<std::int64_t>(values.size())) {
    throw Error(ErrorKind::kShape, "shape " + to_string(shape) + " has " + std::to_string(element_count(shape)) +
                                       " elements, but " + std::to_string(values.size()) + " values are given");
  }
  Tensor tensor = empty(std::move(shape), dtype_of<T>());
  if (!values.empty()) std::memcpy(tensor.buffer_.data(), values.data(), values.size_bytes());
  return tensor;
}

template Tensor Tensor::from(std::span<const float>, Shape);
template Tensor Tensor::from(std::span<const double>, Shape);
template Tensor Tensor::from(std::span<const std::int8_t>, Shape);
template Tensor Tensor::from(std::span<const std::uint8_t>, Shape);
template Tensor Tensor::from(std::span<const std::int16_t>, Shape);
template Tensor Tensor::from(std::span<const std::uint16_t>, Shape);
template Tensor Tensor::from(std::span<const std::int32_t>, Shape);
template Tensor Tensor::from(std::span<const std::uint32_t>, Shape);
template Tensor Tensor::from(std::span<const std::int64_t>, Shape);
template Tensor Tensor::from(std::span<const std::uint64_t>, Shape);

TensorView Tensor::view() {
  const ConstTensorView same = static_cast<const Tensor&>(*this).view();
  return {raw(), same.dtype, same.n, same.c, same.extent};
}

ConstTensorView Tensor::view() const {
  const std::size_t rank = shape_.size();
  if (rank != 4 && rank != 5) {
    throw Error(ErrorKind::kShape,
                "expected a 5-D (N, C, D, H, W) or 4-D (C, D, H, W) tensor, found shape " + to_string(shape_));
  }
  const std::size_t c = rank - 4;
  return {raw(), dtype_, rank == 5 ? shape_[0] : 1, shape_[c], Extent3(shape_[c + 1], shape_[c + 2], shape_[c + 3])};
}

Tensor Tensor::reshaped(Shape shape) && {
  if (element_count(shape) != size_) {
    throw Error(ErrorKind::kShape, "shape " + to_string(shape_) + " cannot be seen as " + to_string(shape));
  }
  shape_ = std::move(shape);
  return std::move(*this);
}

Tensor Tensor::borrowed() const {
  Tensor tensor;
  tensor.shape_ = shape_;
  tensor.dtype_ = dtype_;
  tensor.size_ = size_;
  // Whoever borrows promises to read only: a tensor of const elements would be another type in every layer's interface.
  tensor.buffer_ = Buffer::borrowed(const_cast<void*>(buffer_.data()), buffer_.size());  // NOLINT
  return tensor;
}

Tensor Tensor::borrowing(const TensorView& volumes) {
  Tensor tensor;
  tensor.shape_ = {volumes.n, volumes.c, volumes.extent.d, volumes.extent.h, volumes.extent.w};
  tensor.dtype_ = volumes.dtype;
  tensor.size_ = element_count(tensor.shape_);
  tensor.buffer_ = Buffer::borrowed(volumes.data, static_cast<std::size_t>(tensor.size_bytes()));
  return tensor;
}

Tensor Tensor::borrowing(const ConstTensorView& v) {
  return borrowing(TensorView{const_cast<void*>(v.data), v.dtype, v.n, v.c, v.extent});  // NOLINT: a promise, as above
}

void Tensor::require_dtype(DType wanted) const {
  if (wanted == dtype_) return;
  throw Error(ErrorKind::kShape,
              "the tensor holds " + std::string(name_of(dtype_)) + ", not " + std::string(name_of(wanted)));
}

Tensor convert(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return tensor;
  Tensor result = Tensor::empty(tensor.shape(), dtype);
  switch (dtype) {
    case DType::kFloat32: convert_to<float>(tensor, result.raw()); break;
    case DType::kFloat64: convert_to<double>(tensor, result.raw()); break;
    case DType::kInt8: convert_to<std::int8_t>(tensor, result.raw()); break;
    case DType::kUInt8: convert_to<std::uint8_t>(tensor, result.raw()); break;
    case DType::kInt16: convert_to<std::int16_t>(tensor, result.raw()); break;
    case DType::kUInt16: convert_to<std::uint16_t>(tensor, result.raw()); break;
    case DType::kInt32: convert_to<std::int32_t>(tensor, result.raw()); break;
    case DType::kUInt32: convert_to<std::uint32_t>(tensor, result.raw()); break;
    case DType::kInt64: convert_to<std::int64_t>(tensor, result.raw()); break;
    case DType::kUInt64: convert_to<std::uint64_t>(tensor, result.raw()); break;
    case DType::kFloat16:
    case DType::kBFloat16: throw Error(ErrorKind::kShape, "nothing is narrowed to " + std::string(name_of(dtype)));
  }
  return result;
}

}  // namespace convt3d
