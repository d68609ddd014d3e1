#pragma once

#include <cstdint>
#include <filesystem>

#include "convt3d/imaging/byte_reader.hpp"
#include "convt3d/imaging/pixels.hpp"
#include "convt3d/imaging/volume.hpp"

namespace convt3d {

/// Which of a voxel's components and of its volume's voxels come first in a file.
enum class ComponentOrder {
  kInterleaved,  ///< all components of a voxel, then the next voxel (MetaImage)
  kPlanar,       ///< all frames of a component, then the next component (NIfTI's 5th axis)
};

/// Where a volume's voxels are, and how they are stored.
struct VoxelSource {
  std::filesystem::path path;
  Encoding encoding = Encoding::kPlain;
  std::int64_t file_offset = 0;     ///< of the content's first byte
  std::int64_t content_offset = 0;  ///< of the voxels' first byte, in the content
  StoredPixels stored;
  ComponentOrder order = ComponentOrder::kPlanar;
};

/// Throws Error{kInput} where the header has changed for another volume, or the voxels cannot be where it says.
VoxelSource nifti_source(const VolumeHeader& header);
VoxelSource metaimage_source(const VolumeHeader& header);

}  // namespace convt3d
