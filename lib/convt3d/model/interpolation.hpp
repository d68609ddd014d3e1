#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "convt3d/base/extent.hpp"

namespace convt3d {

inline constexpr std::array<std::string_view, 5> kInterpolationKernels = {"nearest", "linear", "cubic", "lanczos3",
                                                                          "bspline3"};

/// The taps of one axis of the named interpolation kernel h, for a transposed convolution of stride s and kernel_size k:
///   tap[t] = h(x_t) / sum of h(x_u) over all u with u = t (mod s),   x_t = (t - (k-1)/2) / s input voxels from the centre
/// The division makes each phase, that is, the taps that meet in one output voxel, sum to 1. With x in input voxels
///   nearest   1 for |x| < 1/2
///   linear    1 - |x| for |x| < 1
///   cubic     Keys, a = -1/2: 1 - 5/2·x² + 3/2·|x|³ for |x| < 1;  2 - 4|x| + 5/2·x² - |x|³/2 for |x| < 2
///   lanczos3  sinc(x)·sinc(x/3) for |x| < 3, sinc(x) = sin(πx)/(πx)
///   bspline3  2/3 - x² + |x|³/2 for |x| < 1;  (2 - |x|)³/6 for |x| < 2: smooths unless a bspline_prefilter came before it
/// Stride 1 and kernel_size 1 is the identity for every kernel: an axis left as it is.
/// Throws Error{kShape}, naming the sizes that fit, when a tap outside of kernel_size would not be 0 or when (nearest) an
/// output lies as near to one input as to another. k - s even: the outputs are laid out evenly about each input, as keeping
/// the field of view needs; k - s odd: some lie on the inputs. A larger size of the same parity only adds zeros.
std::vector<double> interpolation_taps(std::string_view kernel, std::int64_t kernel_size, std::int64_t stride);

/// The product of the three axes' taps, kd·kh·kw values in C order.
std::vector<double> interpolation_weight(std::string_view kernel, const Extent3& kernel_size, const Extent3& stride);

}  // namespace convt3d
