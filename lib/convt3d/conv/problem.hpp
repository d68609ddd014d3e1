#pragma once

#include <cstdint>
#include <string>

#include "convt3d/base/dtype.hpp"
#include "convt3d/base/extent.hpp"
#include "convt3d/conv/conv3d_options.hpp"
#include "convt3d/conv/options.hpp"

namespace convt3d {

/// One transposed convolution with all sizes known: input (n, ci, input), weight (ci, co/groups, kernel), output (n, co,
/// output). output_padding is in the output's extent already. A convolution is one as well (docs/math.md, "Convolution"): of
/// stride 1, with the kernels reversed.
struct Problem {
  std::int64_t n = 1;
  std::int64_t ci = 1;
  std::int64_t co = 1;
  std::int64_t groups = 1;
  Extent3 input;
  Extent3 output;
  Extent3 kernel;
  Extent3 stride = 1;
  Extent3 padding = 0;  ///< negative: so many more outputs, which no input reaches but through dilated taps
  Extent3 dilation = 1;
  /// Output o stands where o*input_stride would among the outputs of the whole transposed convolution: a strided
  /// convolution computes only these. 1 on an axis of another stride than 1.
  Extent3 input_stride = 1;
  bool bias = true;
  DType dtype = DType::kFloat32;
  bool bfloat16 = false;  ///< ConvTranspose3dOptions::bfloat16

  friend bool operator==(const Problem&, const Problem&) = default;
};

/// Throws Error{kShape} as output_extent does, if a byte count passes 63 bits, and for strides past 65,536 that make as many
/// phases.
Problem make_problem(const ConvTranspose3dOptions& options, std::int64_t n, const Extent3& input);

/// What lies outside of the input counts as zero, whatever the padding_mode.
Problem make_problem(const Conv3dOptions& options, std::int64_t n, const Extent3& input);

/// Whether some axis has an input_stride above 1.
bool is_strided(const Problem& problem);

/// The same layer where h and w have one tap per output and nothing else: its rows of a plane joined into one, (d, 1, h*w),
/// which is the same memory. Other problems as they are.
Problem with_joined_rows(const Problem& problem);

/// "1x64x64x64x64 -> 32, k4 s2 p1", for plans and test names.
std::string to_string(const Problem& problem);

/// Floating-point operations of the direct method, a multiply and an add as two, outputs inside the volume only.
double flops(const Problem& problem);

/// Element counts.
std::int64_t input_size(const Problem& problem);
std::int64_t weight_size(const Problem& problem);
std::int64_t output_size(const Problem& problem);

}  // namespace convt3d
