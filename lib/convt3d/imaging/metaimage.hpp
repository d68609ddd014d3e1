#pragma once

#include <cstdint>
#include <filesystem>

#include "convt3d/imaging/volume.hpp"

namespace convt3d {

/// MetaImage, through ITK but for the voxel data of inputs, see MetaImageHeader. See read_header, read_voxels, write_volume
/// and writing_bytes; `file` is where the output grows (an .mhd gets its data file beside it).
VolumeHeader read_metaimage_header(const std::filesystem::path& path);
Tensor read_metaimage_voxels(const VolumeHeader& header, DType dtype, Observer* observer);
WriteReport write_metaimage(const std::filesystem::path& file, const Tensor& voxels, const VoxelGrid& grid,
                            const VolumeHeader& source, const WriteOptions& options, Observer* observer);
std::int64_t metaimage_writing_bytes(const Shape& voxels, const WriteOptions& options);

}  // namespace convt3d
