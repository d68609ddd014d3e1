#pragma once

#include <cstdint>

#include "convt3d/base/observer.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/imaging/byte_reader.hpp"
#include "convt3d/imaging/pixels.hpp"
#include "convt3d/imaging/volume.hpp"

namespace convt3d {

/// Which of a voxel's components and of its volume's voxels come first in a file.
enum class ComponentOrder {
  kInterleaved,  ///< all components of a voxel, then the next voxel (MetaImage)
  kPlanar,       ///< all frames of a component, then the next component (NIfTI's 5th axis)
};

/// Bytes that read_planes holds besides its result.
inline constexpr std::int64_t kReadScratchBytes = 2 << 20;

/// Reads all of a volume's voxels, which the file holds next, and nothing behind them, as (frames, components, D, H, W) in
/// `dtype` (float32 or float64).
Tensor read_planes(ByteReader& file, const VolumeHeader& header, const StoredPixels& stored, ComponentOrder order,
                   DType dtype, Observer* observer);

}  // namespace convt3d
