#pragma once

#include <array>
#include <filesystem>

#include "convt3d/imaging/nifti_header.hpp"
#include "convt3d/imaging/voxel_grid.hpp"

namespace convt3d {

/// Where a header puts the voxels, by the form that its codes choose:
///   sform if sform_code > 0 (it can hold every affine; nibabel's, FSL's and SPM's choice),
///   else qform if qform_code > 0,
///   else pixdim alone, voxel 0 at the origin and axes along LPS, as ITK has it.
/// Lengths become millimetres by xyzt_units. Throws Error{kInput} with the field for affines that are not finite or flat.
VoxelGrid grid_of(const NiftiHeader& header, const std::filesystem::path& path);

/// Where the qform puts the voxels, whatever its code.
VoxelGrid qform_grid(const NiftiHeader& header, const std::filesystem::path& path);

/// Sets srow to the grid.
void set_sform(NiftiHeader& header, const VoxelGrid& grid);

/// Sets pixdim[0..3], quatern and qoffset to the grid, or where it is sheared to the rotation nearest to its direction.
void set_qform(NiftiHeader& header, const VoxelGrid& grid);

/// Largest difference of two grids' affines over a volume of `extent` voxels: how far apart a voxel's places are, in voxels.
double distance_in_voxels(const VoxelGrid& a, const VoxelGrid& b);

}  // namespace convt3d
