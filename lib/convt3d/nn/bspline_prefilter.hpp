#pragma once

#include <memory>

#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// The coefficients c of the cubic B-spline through the voxels f: on every axis the c with
///   (c[i-1] + 4·c[i] + c[i+1]) / 6 = f[i],  c mirrored about its first and last voxel (c[-1] = c[1]),
/// exact to rounding, so that a bspline3 kernel after a reflect pad interpolates f. An axis of one voxel is left as it is.
/// The boundary is that of ITK's BSplineDecompositionImageFilter and of scipy's mode "mirror". In place; float32 and
/// float64.
struct BSplinePrefilter {};

std::unique_ptr<Layer> make_layer(const BSplinePrefilter& prefilter);

}  // namespace convt3d
