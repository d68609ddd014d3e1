#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/imaging/nifti.hpp"
#include "convt3d/imaging/nifti_geometry.hpp"
#include "convt3d/imaging/nifti_header.hpp"

namespace convt3d {
namespace {

namespace fs = std::filesystem;

/// Cuts text to `bytes`, not within a UTF-8 character.
std::string cut(std::string text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
  text.resize(bytes);
  return text;
}

void set_dimensions(NiftiHeader& header, std::int64_t n, std::int64_t c, const VoxelGrid& grid, const VolumeHeader& source) {
  header.dim = {3, grid.extent.w, grid.extent.h, grid.extent.d, 1, 1, 1, 1};
  if (n > 1 && c > 1) {
    header.dim[0] = 5;
    header.dim[4] = n;
    header.dim[5] = c;
  } else if (n > 1 || c > 1) {
    header.dim[0] = 4;
    header.dim[4] = std::max(n, c);
  }
  if (n > 1) header.pixdim[4] = source.frame_duration_s;
  const std::int64_t longest = *std::max_element(header.dim.begin(), header.dim.end());
  header.version = longest <= nifti::kLargestNifti1Size ? 1 : 2;
}

/// Intents whose voxels are points, vectors, matrices or colours along dim[5]: GENMATRIX (1004) to QUATERNION (1010), RGB
/// and RGBA (2003, 2004). Source: nifti1.h.
bool describes_components(int intent) { return (intent >= 1004 && intent <= 1010) || intent == 2003 || intent == 2004; }

void set_intent(NiftiHeader& header, const VolumeHeader& source) {
  const bool has_components = header.dim[0] == 5;
  if (has_components) header.intent_code = nifti::kIntentVector;
  if (!source.nifti || source.nifti->intent_code == nifti::kIntentNone) return;
  const bool axes_remain = has_components && header.dim[5] == source.components;
  if (has_components ? !axes_remain : describes_components(source.nifti->intent_code)) return;
  header.intent_code = source.nifti->intent_code;
  header.intent_p = source.nifti->intent_parameters;
  header.intent_name = cut(source.nifti->intent_name, 15);
}

bool is_sheared(const VoxelGrid& grid) {
  double largest = 0;
  for (std::size_t a = 0; a < 3; ++a) {
    const std::size_t b = (a + 1) % 3;
    double cosine = 0;
    for (std::size_t i = 0; i < 3; ++i) cosine += grid.direction[3 * i + a] * grid.direction[3 * i + b];
    largest = std::max(largest, std::abs(cosine));
  }
  return largest > 1e-5;  // rounding to float32 makes 1e-7
}

/// The source's own qform on the output's voxels. `grid` was made from source.grid by propagate: both have one direction,
/// and steps and offset can be told from their difference.
VoxelGrid follow(const VoxelGrid& qform, const VoxelGrid& source, const VoxelGrid& grid) {
  Sampling sampling;
  const std::array<double, 3> offset = continuous_index(source, grid.origin_mm);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    sampling.step[2 - axis] = grid.spacing_mm[axis] / source.spacing_mm[axis];
    sampling.offset[2 - axis] = offset[axis];
  }
  return propagate(qform, sampling, grid.extent, OriginMode::kKernel);
}

/// Whether the header's qform, as the file's floats hold it, is the grid, to a thousandth of a voxel.
bool qform_holds(const NiftiHeader& header, const VoxelGrid& grid) {
  const auto bytes = encode_nifti(header);
  return distance_in_voxels(qform_grid(decode_nifti(std::span(bytes).first(bytes.size() - 4), ""), ""), grid) < 1e-3;
}

void set_orientation(NiftiHeader& header, const VoxelGrid& grid, const VolumeHeader& source) {
  const NiftiFields fields = source.nifti.value_or(NiftiFields{});
  const bool has_codes = fields.qform_code > 0 || fields.sform_code > 0;
  header.qform_code = has_codes ? fields.qform_code : 1;
  header.sform_code = has_codes ? fields.sform_code : 1;
  set_sform(header, grid);
  if (fields.qform && source.grid.direction == grid.direction) {
    set_qform(header, follow(*fields.qform, source.grid, grid));
    return;
  }
  set_qform(header, grid);
  if (header.sform_code <= 0 && !qform_holds(header, grid)) header.sform_code = header.qform_code;
  if (is_sheared(grid)) header.qform_code = 0;
}

NiftiHeader header_for(std::int64_t n, std::int64_t c, const VoxelGrid& grid, const VolumeHeader& source,
                       const WriteOptions& options) {
  NiftiHeader header;
  set_dimensions(header, n, c, grid, source);
  set_intent(header, source);
  set_orientation(header, grid, source);
  header.datatype = nifti_of_dtype(options.pixel_type).value();
  header.bitpix = static_cast<int>(8 * size_of(options.pixel_type));
  header.xyzt_units = nifti::kUnitMillimeter | nifti::kUnitSecond;
  if (source.nifti) header.toffset = source.nifti->first_frame_s;
  header.descrip = cut(options.provenance, 79);
  return header;
}

}  // namespace

std::vector<std::byte> nifti_front(std::int64_t n, std::int64_t c, const VoxelGrid& grid, const VolumeHeader& source,
                                   const WriteOptions& options) {
  return encode_nifti(header_for(n, c, grid, source, options));
}

}  // namespace convt3d
