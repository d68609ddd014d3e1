#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "convt3d/base/dtype.hpp"
#include "convt3d/base/extent.hpp"
#include "convt3d/conv/pad_mode.hpp"

namespace convt3d {

/// Padding of a convolution: voxels before and behind each axis, or one of PyTorch's words. "valid" is none; "same" is what
/// gives an output of the input's extent at stride 1, the odd voxel behind.
struct Conv3dPadding {
  enum class Kind { kVoxels, kValid, kSame };

  Conv3dPadding() = default;
  Conv3dPadding(std::int64_t all) : voxels(all) {}      // NOLINT(google-explicit-constructor): padding = 1
  Conv3dPadding(const Extent3& each) : voxels(each) {}  // NOLINT(google-explicit-constructor)
  template <std::size_t size>
  Conv3dPadding(const char (&word)[size]) : Conv3dPadding(named(word)) {}  // NOLINT: padding = "same"
  Conv3dPadding(std::int64_t depth, std::int64_t height, std::int64_t width) : voxels(depth, height, width) {}

  /// Throws Error{kShape} for another word than "valid" and "same".
  static Conv3dPadding named(std::string_view word);

  Kind kind = Kind::kVoxels;
  Extent3 voxels = 0;  ///< of kVoxels

  friend bool operator==(const Conv3dPadding&, const Conv3dPadding&) = default;
};

/// Parameters of torch.nn.Conv3d, with its names and defaults. A size is one integer or {d, h, w}.
struct Conv3dOptions {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  Extent3 kernel_size = {};
  Extent3 stride = 1;
  Conv3dPadding padding = 0;
  Extent3 dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  PadMode padding_mode = PadMode::kZeros;
  DType dtype = DType::kFloat32;  ///< kFloat32 or kFloat64
  std::string device = {};        ///< "" or "cpu"
};

/// Throws Error{kShape} for the first parameter that is not admissible, naming it, its axis and the admissible range;
/// padding "same" wants stride 1.
void validate(const Conv3dOptions& options);

/// The padding in voxels. `options` are valid.
Margins padding_of(const Conv3dOptions& options);

/// What PyTorch prints between the parentheses of Conv3d(...): only what is not the default, in PyTorch's order.
/// Source: torch.nn.modules.conv._ConvNd.extra_repr.
std::string extra_repr(const Conv3dOptions& options);

/// ±bound of the uniform initialisation of weight and bias: 1 / sqrt(fan_in), fan_in = in_channels/groups · kd·kh·kw.
double initial_bound(const Conv3dOptions& options);

}  // namespace convt3d
