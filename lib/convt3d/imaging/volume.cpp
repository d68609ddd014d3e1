#include "convt3d/imaging/volume.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "convt3d/base/error.hpp"
#include "convt3d/imaging/metaimage.hpp"
#include "convt3d/imaging/nifti.hpp"

namespace convt3d {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 6> kExtensions = {".nii.gz", ".nii", ".mha", ".mhd", ".hdr", ".img"};

bool is_metaimage(std::string_view extension) { return extension == ".mha" || extension == ".mhd"; }

}  // namespace

std::string volume_extension(const fs::path& path) {
  std::string name = path.filename().string();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const std::string_view extension : kExtensions) {
    if (name.size() > extension.size() && name.ends_with(extension)) return std::string(extension);
  }
  return "";
}

VolumeFormat format_of(const fs::path& path) {
  const std::string extension = volume_extension(path);
  if (is_metaimage(extension)) return VolumeFormat::kMetaImage;
  if (extension == ".nii" || extension == ".nii.gz") return VolumeFormat::kNifti;
  throw Error(ErrorKind::kOutput,
              fmt::format("{}: cannot be written; expected the extension .nii, .nii.gz, .mha or .mhd", path.string()));
}

VolumeHeader read_header(const fs::path& path) {
  const std::string extension = volume_extension(path);
  if (extension.empty()) {
    throw Error(ErrorKind::kInput,
                fmt::format("{}: is no volume that can be read; expected the extension .nii, .nii.gz, .mha, "
                            ".mhd, .hdr or .img",
                            path.string()));
  }
  return is_metaimage(extension) ? read_metaimage_header(path) : read_nifti_header(path);
}

}  // namespace convt3d
