#pragma once

#include <optional>

#include "convt3d/base/extent.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/conv3d_options.hpp"

namespace convt3d::functional {

struct ConvTranspose3dArguments {
  Extent3 stride = 1;
  Extent3 padding = 0;
  Extent3 output_padding = 0;
  std::int64_t groups = 1;
  Extent3 dilation = 1;
  int threads = 0;  ///< 0: the CPUs this process may use
};

/// torch.nn.functional.conv_transpose3d: input (N, C, D, H, W) or (C, D, H, W), weight (C, C'/groups, kd, kh, kw), bias
/// (C'). Throws Error{kShape} for everything that does not fit.
Tensor conv_transpose3d(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias = std::nullopt,
                        const ConvTranspose3dArguments& arguments = {});

struct Conv3dArguments {
  Extent3 stride = 1;
  Conv3dPadding padding = 0;
  Extent3 dilation = 1;
  std::int64_t groups = 1;
  int threads = 0;  ///< 0: the CPUs this process may use
};

/// torch.nn.functional.conv3d: input (N, C, D, H, W) or (C, D, H, W), weight (C', C/groups, kd, kh, kw), bias (C'). Throws
/// Error{kShape} for everything that does not fit.
Tensor conv3d(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias = std::nullopt,
              const Conv3dArguments& arguments = {});

}  // namespace convt3d::functional
