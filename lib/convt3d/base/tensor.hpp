#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "convt3d/base/buffer.hpp"
#include "convt3d/base/dtype.hpp"
#include "convt3d/base/extent.hpp"

namespace convt3d {

using Shape = std::vector<std::int64_t>;

/// "(1, 64, 4, 8, 8)"
std::string to_string(const Shape& shape);

/// Elements of a shape; throws Error{kShape} when an entry is negative or the count passes 63 bits.
std::int64_t element_count(const Shape& shape);

/// Bytes of a shape; throws Error{kShape} likewise.
std::int64_t byte_count(const Shape& shape, DType dtype);

/// N volumes of C channels, dense, C order (w fastest): a view, owned by nobody.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kFloat32;
  std::int64_t n = 0;
  std::int64_t c = 0;
  Extent3 extent;
};

struct ConstTensorView {
  const void* data = nullptr;
  DType dtype = DType::kFloat32;
  std::int64_t n = 0;
  std::int64_t c = 0;
  Extent3 extent;
};

/// A dense array of any rank in C order that owns its memory; copying copies the elements.
class Tensor {
 public:
  Tensor() = default;

  static Tensor zeros(Shape shape, DType dtype = DType::kFloat32);
  /// Elements are not initialised.
  static Tensor empty(Shape shape, DType dtype = DType::kFloat32);
  /// Copies `values`, as many as the shape has elements; throws Error{kShape} otherwise.
  template <typename T>
  static Tensor from(std::span<const T> values, Shape shape);
  template <typename T>
  static Tensor from(const std::vector<T>& values, Shape shape) {
    return from(std::span<const T>(values), std::move(shape));
  }

  /// Volumes (n, c, d, h, w) in memory that someone else owns and keeps meanwhile, for writing or, of a const view, for
  /// reading only. A copy is an ordinary tensor.
  static Tensor borrowing(const TensorView& volumes);
  static Tensor borrowing(const ConstTensorView& volumes);

  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  std::int64_t size() const { return size_; }
  std::int64_t size_bytes() const { return size_ * static_cast<std::int64_t>(size_of(dtype_)); }

  /// The elements; throws Error{kShape} when T is not what the tensor holds.
  template <typename T>
  T* data() {
    require_dtype(dtype_of<T>());
    return static_cast<T*>(raw());
  }
  template <typename T>
  const T* data() const {
    require_dtype(dtype_of<T>());
    return static_cast<const T*>(raw());
  }
  template <typename T>
  std::span<T> values() {
    return {data<T>(), static_cast<std::size_t>(size_)};
  }
  template <typename T>
  std::span<const T> values() const {
    return {data<T>(), static_cast<std::size_t>(size_)};
  }

  void* raw() {
    written_ = true;
    return buffer_.data();
  }
  const void* raw() const { return buffer_.data(); }

  /// Of a 5-D tensor, or of a 4-D one as n = 1; throws Error{kShape} for another rank.
  TensorView view();
  ConstTensorView view() const;

  /// The same elements under another shape with as many of them; throws Error{kShape} otherwise.
  Tensor reshaped(Shape shape) &&;

  /// The same elements, not owned: for reading, while this tensor lives and nobody writes to it. A copy of it is an ordinary
  /// tensor.
  Tensor borrowed() const;

  /// Whether a writable pointer to the elements has been handed out: whoever caches what it derived from them must look
  /// again, since such a pointer may be written through at any time.
  bool may_change() const { return written_; }
  /// Declares that no writable pointer is left in use.
  void settle() { written_ = false; }

 private:
  void require_dtype(DType wanted) const;

  Shape shape_;
  DType dtype_ = DType::kFloat32;
  std::int64_t size_ = 0;
  Buffer buffer_;
  bool written_ = false;
};

/// A copy in another dtype: floats round to nearest even; float to integer truncates towards zero, saturating, NaN to 0.
Tensor convert(const Tensor& tensor, DType dtype);

}  // namespace convt3d
