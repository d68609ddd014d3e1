#pragma once

#include "convt3d/base/planes.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/upsample/upsample.hpp"

namespace convt3d {

/// Integers have no NaN: throws Error{kOutput} if the output is to have some, before these planes of it are written, saying
/// how many voxels are NaN.
void refuse_nan(const UpsamplePlan& plan, const ConstTensorView& voxels, const Planes& planes, int threads);

}  // namespace convt3d
