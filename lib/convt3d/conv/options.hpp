#pragma once

#include <cstdint>
#include <string>

#include "convt3d/base/dtype.hpp"
#include "convt3d/base/extent.hpp"

namespace convt3d {

/// Parameters of torch.nn.ConvTranspose3d, with its names and defaults. A size is one integer or {d, h, w}.
struct ConvTranspose3dOptions {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  Extent3 kernel_size = {};
  Extent3 stride = 1;
  Extent3 padding = 0;
  Extent3 output_padding = 0;
  std::int64_t groups = 1;
  bool bias = true;
  Extent3 dilation = 1;
  DType dtype = DType::kFloat32;  ///< kFloat32 or kFloat64
  std::string device = {};        ///< "" or "cpu"
  /// Input and weight may be rounded to bfloat16, of 8 bits, where the machine multiplies those faster; sums and output stay
  /// float32. Only for float32, kernel_size <= stride and dilation 1. Not PyTorch's.
  bool bfloat16 = false;
};

/// Throws Error{kShape} for the first parameter that is not admissible, naming it, its axis and the admissible range.
void validate(const ConvTranspose3dOptions& options);

/// What PyTorch prints between the parentheses of ConvTranspose3d(...): only what is not the default, in PyTorch's order.
/// Source: torch.nn.modules.conv._ConvNd.extra_repr.
std::string extra_repr(const ConvTranspose3dOptions& options);

/// ±bound of the uniform initialisation of weight and bias: 1 / sqrt(fan_in), fan_in = out_channels/groups · kd·kh·kw.
double initial_bound(const ConvTranspose3dOptions& options);

}  // namespace convt3d
