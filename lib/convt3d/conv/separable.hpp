#pragma once

#include "convt3d/conv/problem.hpp"

namespace convt3d {

/// Whether every channel's kernel is the outer product of three one-axis kernels, up to rounding, so that
/// PlanOptions::separable may be set: interpolation kernels are. Only problems with one channel per group are looked at; for
/// others false. weight: (ci, 1, kd, kh, kw) in the problem's dtype.
bool is_separable(const Problem& problem, const void* weight);

}  // namespace convt3d
