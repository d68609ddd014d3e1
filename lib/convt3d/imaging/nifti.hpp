#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "convt3d/imaging/volume.hpp"

namespace convt3d {

/// NIfTI-1 and NIfTI-2, both byte orders, single files (plain or gzip) and pairs. Read and written here and not through ITK
/// because ITK 5.2 writes every code as 1, reads NaN and Inf as 0, and throws at shear. See read_header.
VolumeHeader read_nifti_header(const std::filesystem::path& path);

/// What stands before the voxels of n volumes of c channels in a single file; see write_volume.
std::vector<std::byte> nifti_front(std::int64_t n, std::int64_t c, const VoxelGrid& grid, const VolumeHeader& source,
                                   const WriteOptions& options);

}  // namespace convt3d
