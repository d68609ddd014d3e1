#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>
#include <string_view>

#include "convt3d/base/error.hpp"
#include "convt3d/imaging/metaimage.hpp"

namespace convt3d {
namespace {

std::string_view type_name(DType type) {
  switch (type) {
    case DType::kInt8: return "MET_CHAR";
    case DType::kUInt8: return "MET_UCHAR";
    case DType::kInt16: return "MET_SHORT";
    case DType::kUInt16: return "MET_USHORT";
    case DType::kInt32: return "MET_INT";
    case DType::kUInt32: return "MET_UINT";
    case DType::kInt64: return "MET_LONG_LONG";
    case DType::kUInt64: return "MET_ULONG_LONG";
    case DType::kFloat32: return "MET_FLOAT";
    case DType::kFloat64: return "MET_DOUBLE";
    case DType::kFloat16:
    case DType::kBFloat16: break;
  }
  throw Error(ErrorKind::kOutput, fmt::format("a MetaImage has no {} voxels; write float32", name_of(type)));
}

/// The side of the body that each axis comes from, where it goes mostly along one of the body's axes: "RAI" for the
/// directions of LPS themselves; "????" with a 4th axis, as ITK has it.
std::string orientation(const MetaImageText& image) {
  if (image.n > 1) return "????";
  constexpr std::array<std::string_view, 3> kFrom = {"RL", "AP", "IS"};
  std::string letters;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    std::size_t longest = 0;
    const auto component = [&](std::size_t row) { return image.grid.direction[3 * row + axis]; };
    for (std::size_t row = 1; row < 3; ++row) {
      if (std::abs(component(row)) > std::abs(component(longest))) longest = row;
    }
    letters += kFrom[longest][component(longest) < 0 ? 1 : 0];
  }
  return letters;
}

/// Column after column, with a 4th axis of its own direction.
std::vector<double> transform_matrix(const MetaImageText& image) {
  const std::size_t axes = image.n > 1 ? 4 : 3;
  std::vector<double> matrix(axes * axes, 0.0);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (std::size_t row = 0; row < 3; ++row) matrix[axes * axis + row] = image.grid.direction[3 * row + axis];
  }
  if (axes == 4) matrix.back() = 1;
  return matrix;
}

std::vector<double> with_frames(const std::array<double, 3>& values, const MetaImageText& image, double of_frames) {
  std::vector<double> result(values.begin(), values.end());
  if (image.n > 1) result.push_back(of_frames);
  return result;
}

/// A header's value is one line.
std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < ' '; }, ' ');
  return text;
}

/// Shortest text that reads as the same doubles.
std::string words(const std::vector<double>& values) { return fmt::format("{}", fmt::join(values, " ")); }

}  // namespace

std::vector<std::byte> metaimage_text(const MetaImageText& image) {
  std::string text;
  const auto line = [&](std::string_view key, const auto& value) { text += fmt::format("{} = {}\n", key, value); };
  const auto flag = [](bool value) { return value ? "True" : "False"; };
  const Extent3& extent = image.grid.extent;

  line("ObjectType", "Image");
  line("NDims", image.n > 1 ? 4 : 3);
  line("BinaryData", "True");
  line("BinaryDataByteOrderMSB", flag(std::endian::native == std::endian::big));
  line("CompressedData", flag(image.compressed_bytes.has_value()));
  if (image.compressed_bytes) line("CompressedDataSize", fmt::format("{:19}", *image.compressed_bytes));  // 63 bits
  line("TransformMatrix", words(transform_matrix(image)));
  line("Offset", words(with_frames(image.grid.origin_mm, image, 0)));
  line("CenterOfRotation", words(with_frames({0, 0, 0}, image, 0)));
  line("AnatomicalOrientation", orientation(image));
  line("ElementSpacing",
       words(with_frames(image.grid.spacing_mm, image, image.frame_duration_s > 0 ? image.frame_duration_s : 1)));
  if (!image.provenance.empty()) line("Provenance", one_line(image.provenance));
  const std::string frames = image.n > 1 ? fmt::format(" {}", image.n) : "";
  line("DimSize", fmt::format("{} {} {}{}", extent.w, extent.h, extent.d, frames));
  if (image.c > 1) line("ElementNumberOfChannels", image.c);
  line("ElementType", type_name(image.pixel_type));
  line("ElementDataFile", image.data_name);
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace convt3d
