#pragma once

#include <string>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/base/tensor.hpp"

namespace convt3d {

/// Throws Error{kShape} unless the shape is (N, C, D, H, W).
inline void require_volumes(const Shape& shape) {
  if (shape.size() == 5) return;
  throw Error(ErrorKind::kShape, "expected an input (N, C, D, H, W), found shape " + to_string(shape));
}

/// Calls body(T{}) with T the type that the tensor's elements are computed in; throws Error{kShape} for a dtype that is
/// stored only.
template <typename Body>
void with_element_type(DType dtype, Body&& body) {
  if (dtype == DType::kFloat32) return std::forward<Body>(body)(float{});
  if (dtype == DType::kFloat64) return std::forward<Body>(body)(double{});
  throw Error(ErrorKind::kShape, "layers compute in float32 and float64; the input is " + std::string(name_of(dtype)));
}

}  // namespace convt3d
