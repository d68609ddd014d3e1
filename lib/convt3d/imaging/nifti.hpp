#pragma once

#include <cstdint>
#include <filesystem>

#include "convt3d/imaging/volume.hpp"

namespace convt3d {

/// NIfTI-1 and NIfTI-2, both byte orders, single files (plain or gzip) and pairs. Read and written here and not through ITK
/// because ITK 5.2 writes every code as 1, reads NaN and Inf as 0, and throws at shear. See read_header, read_voxels,
/// reading_bytes, write_volume and writing_bytes; `file` is where the output grows.
VolumeHeader read_nifti_header(const std::filesystem::path& path);
Tensor read_nifti_voxels(const VolumeHeader& header, DType dtype, Observer* observer);
WriteReport write_nifti(const std::filesystem::path& file, const Tensor& voxels, const VoxelGrid& grid,
                        const VolumeHeader& source, const WriteOptions& options, Observer* observer);
std::int64_t nifti_writing_bytes(const std::filesystem::path& path, const Shape& voxels, const WriteOptions& options);

}  // namespace convt3d
