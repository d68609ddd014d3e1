#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/imaging/volume.hpp"

namespace convt3d {

/// MetaImage. Geometry is read through ITK, the voxel data here, see MetaImageHeader. See read_header.
VolumeHeader read_metaimage_header(const std::filesystem::path& path);

/// ElementDataFile of an image whose voxels follow the header.
inline constexpr const char* kLocalData = "LOCAL";

/// What a MetaImage's header says.
struct MetaImageText {
  std::int64_t n = 1;
  std::int64_t c = 1;
  VoxelGrid grid;
  double frame_duration_s = 1;
  DType pixel_type = DType::kFloat32;
  std::optional<std::int64_t> compressed_bytes;  ///< nullopt: not compressed
  std::string provenance;                        ///< may be empty
  std::string data_name = kLocalData;            ///< of the file with the voxels
};

/// The header's lines, with the fields that ITK writes in its order; as long whatever the number of compressed bytes.
std::vector<std::byte> metaimage_text(const MetaImageText& image);

}  // namespace convt3d
