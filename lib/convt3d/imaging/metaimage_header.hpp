#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "convt3d/imaging/pixels.hpp"

namespace convt3d {

/// What a MetaImage header says about its voxel data. Geometry is ITK's to read; these fields are read here because MetaIO
/// (ITK 5.2) takes any numbers for sizes, and returns short or corrupt data as if it were whole.
struct MetaImageHeader {
  std::vector<std::int64_t> sizes;  ///< DimSize, x first; 2 to 4
  std::int64_t channels = 1;        ///< ElementNumberOfChannels
  StoredPixels pixels;
  bool compressed = false;
  std::filesystem::path data_path;     ///< this file, or the one that ElementDataFile names
  std::int64_t data_offset = 0;        ///< where the voxel data starts in it; -1: as many bytes before its end as it is long
  std::int64_t compressed_bytes = -1;  ///< CompressedDataSize; -1: not said
};

/// Reads the text before the voxel data. Throws Error{kInput} with the field and its value for what is no binary image of
/// real numbers in one data file.
MetaImageHeader read_metaimage_fields(const std::filesystem::path& path);

/// Bytes of the voxels, uncompressed.
std::int64_t voxel_bytes(const MetaImageHeader& header);

}  // namespace convt3d
