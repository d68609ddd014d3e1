#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "convt3d/base/dtype.hpp"

namespace convt3d {

/// NIfTI's codes that the project speaks of. Source: nifti1.h.
namespace nifti {
inline constexpr int kUnitMeter = 1, kUnitMillimeter = 2, kUnitMicrometer = 3;
inline constexpr int kUnitSecond = 8, kUnitMillisecond = 16, kUnitMicrosecond = 24;
inline constexpr int kIntentNone = 0, kIntentVector = 1007;
inline constexpr std::int64_t kLargestNifti1Size = 32767;  // dim[] is int16
}  // namespace nifti

/// The fields of a NIfTI-1 or NIfTI-2 header that mean something for a volume, under NIfTI's names, as the file has them.
struct NiftiHeader {
  int version = 1;       ///< 1 or 2
  bool paired = false;   ///< .hdr with .img
  bool swapped = false;  ///< the file has the other byte order than this machine
  std::array<std::int64_t, 8> dim = {0, 1, 1, 1, 1, 1, 1, 1};
  int datatype = 0;
  int bitpix = 0;
  std::array<double, 8> pixdim = {1, 1, 1, 1, 1, 1, 1, 1};
  std::int64_t vox_offset = 0;
  double scl_slope = 1;
  double scl_inter = 0;
  int xyzt_units = 0;
  int qform_code = 0;
  int sform_code = 0;
  std::array<double, 3> quatern = {0, 0, 0};  ///< b, c, d
  std::array<double, 3> qoffset = {0, 0, 0};
  std::array<double, 12> srow = {};  ///< 3 x 4, row-major
  int intent_code = 0;
  std::array<double, 3> intent_p = {0, 0, 0};
  std::string intent_name;  ///< up to 15 characters
  double toffset = 0;
  std::string descrip;  ///< up to 79 characters

  friend bool operator==(const NiftiHeader&, const NiftiHeader&) = default;
};

/// Bytes of the longest header.
inline constexpr std::size_t kNifti2HeaderBytes = 540;

/// Length of the header that starts with these 4 bytes, in either byte order: 348 (NIfTI-1) or 540 (NIfTI-2).
/// Throws Error{kInput} for anything else.
std::size_t nifti_header_bytes(std::span<const std::byte, 4> sizeof_hdr, const std::filesystem::path& path);

/// Reads a header of nifti_header_bytes bytes. Throws Error{kInput} when its magic is none of NIfTI's (ANALYZE 7.5 has
/// none).
NiftiHeader decode_nifti(std::span<const std::byte> bytes, const std::filesystem::path& path);

/// The bytes of a single-file header in this machine's order, with the four bytes that say "no extensions": vox_offset,
/// which is set, of them.
std::vector<std::byte> encode_nifti(const NiftiHeader& header);

/// The DType of a datatype code, nullopt for complex, RGB and unknown ones; and back (float16 and bfloat16 have none).
std::optional<DType> dtype_of_nifti(int datatype);
std::optional<int> nifti_of_dtype(DType dtype);

/// "RGB24 (128)": how messages call a datatype code.
std::string nifti_datatype_name(int datatype);

}  // namespace convt3d
