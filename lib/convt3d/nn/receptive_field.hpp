#pragma once

#include <optional>
#include <vector>

#include "convt3d/base/extent.hpp"
#include "convt3d/nn/sequential.hpp"

namespace convt3d {

/// The most voxels, per axis, of a layer's input that `outputs` neighbouring voxels of its output depend on, away from the
/// borders: with stride s, dilation d and kernel k
///   transposed convolution  floor((outputs-1 + d(k-1))/s) + 1        convolution  (outputs-1)·s + d(k-1) + 1
/// and the outputs themselves where it works on each voxel alone. nullopt: the whole volume, or layers of which this is not
/// known, or past 63 bits.
std::optional<Extent3> receptive_field(const Layer& layer, const Extent3& outputs);

/// For each layer, the most voxels of its output that one voxel of the stack's output depends on, and in front of them those
/// of the stack's input: one entry more than layers.
std::vector<std::optional<Extent3>> receptive_fields(const Sequential& layers);

}  // namespace convt3d
