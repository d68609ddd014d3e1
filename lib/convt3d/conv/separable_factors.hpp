#pragma once

#include <array>
#include <optional>
#include <vector>

#include "convt3d/base/extent.hpp"
#include "convt3d/conv/problem.hpp"

namespace convt3d {

/// Of a kernel w[td, th, tw] = u[td] · v[th] · z[tw]: u, v and z.
using SeparableFactors = std::array<std::vector<double>, 3>;

/// The factors of one channel's kernel (extent.d, extent.h, extent.w); none where no three give it, up to rounding, or an
/// element is not finite. The magnitudes of u sum up to at most one, v's too, so that sums along d and h do not overflow
/// where the result does not.
template <typename T>
std::optional<SeparableFactors> separable_factors(const T* kernel, const Extent3& extent);

/// Whether every channel's kernel is the outer product of three one-axis kernels, up to rounding, so that
/// PlanOptions::separable may be set: interpolation kernels are. Only problems with one channel per group are looked at; for
/// others false. weight: (ci, 1, kd, kh, kw) in the problem's dtype.
bool is_separable(const Problem& problem, const void* weight);

}  // namespace convt3d
