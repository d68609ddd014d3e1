#include "convt3d/imaging/metaimage_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/imaging/byte_reader.hpp"

namespace convt3d {
namespace {

namespace fs = std::filesystem;

std::string trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// The "Key = value" lines of a header, to ElementDataFile, which is the last.
class Fields {
 public:
  explicit Fields(const fs::path& path) : path_(path) {
    file_length(path);  // says why, if there is no such file
    std::ifstream file(path, std::ios::binary);
    std::string line;
    while (!values_.contains("ElementDataFile")) {
      if (!std::getline(file, line) || end_ > kLongestHeader) fail("ElementDataFile", "is missing; this is no MetaImage");
      end_ += static_cast<std::int64_t>(line.size()) + 1;
      const std::size_t separator = line.find_first_of("=:");
      if (separator == std::string::npos) continue;
      values_[trim(std::string_view(line).substr(0, separator))] = trim(std::string_view(line).substr(separator + 1));
    }
  }

  /// First byte behind the header.
  std::int64_t end() const { return end_; }

  std::optional<std::string> find(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }

  std::string required(const std::string& key) const {
    const auto value = find(key);
    if (!value) fail(key, "is missing");
    return *value;
  }

  std::int64_t integer(const std::string& key, std::optional<std::int64_t> fallback) const {
    if (fallback && !find(key)) return *fallback;
    const auto values = integers(key);
    if (values.size() != 1) fail(key, fmt::format("is \"{}\"; expected one integer", required(key)));
    return values.front();
  }

  std::vector<std::int64_t> integers(const std::string& key) const {
    std::vector<std::int64_t> values;
    std::istringstream words(required(key));
    for (std::string word; words >> word;) {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
      if (error != std::errc() || end != word.data() + word.size()) {
        fail(key, fmt::format("has \"{}\"; expected an integer of up to 63 bits", word));
      }
      values.push_back(value);
    }
    return values;
  }

  double number(const std::string& key, double fallback) const {
    check_numbers(key, 1);
    return find(key) ? to_number(key, *find(key)) : fallback;
  }

  /// If the field is there it has `count` finite numbers.
  void check_numbers(const std::string& key, std::size_t count) const {
    const auto text = find(key);
    if (!text) return;
    std::istringstream words(*text);
    std::size_t found = 0;
    for (std::string word; words >> word; ++found) {
      if (!std::isfinite(to_number(key, word))) fail(key, fmt::format("has \"{}\"; expected finite numbers", word));
    }
    if (found != count) fail(key, fmt::format("is \"{}\"; expected {} numbers", *text, count));
  }

  bool flag(const std::string& key, bool fallback) const {
    const auto text = find(key);
    if (!text) return fallback;
    const char first = text->empty() ? '?' : (*text)[0];  // as MetaIO has it: True, true, 1
    return first == 'T' || first == 't' || first == '1';
  }

  [[noreturn]] void fail(const std::string& key, const std::string& problem) const {
    throw Error(ErrorKind::kInput, fmt::format("{}: {} {}", path_.string(), key, problem));
  }

 private:
  static constexpr std::int64_t kLongestHeader = 1 << 20;

  double to_number(const std::string& key, const std::string& word) const {
    double value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error == std::errc() && end == word.data() + word.size()) return value;
    fail(key, fmt::format("has \"{}\"; expected a number", word));
  }

  fs::path path_;
  std::map<std::string, std::string> values_;
  std::int64_t end_ = 0;
};

DType element_type(const Fields& fields) {
  static const std::map<std::string, DType> kTypes = {
      {"MET_CHAR", DType::kInt8},         {"MET_UCHAR", DType::kUInt8},   {"MET_SHORT", DType::kInt16},
      {"MET_USHORT", DType::kUInt16},     {"MET_INT", DType::kInt32},     {"MET_UINT", DType::kUInt32},
      {"MET_LONG", DType::kInt32},        {"MET_ULONG", DType::kUInt32},  {"MET_LONG_LONG", DType::kInt64},
      {"MET_ULONG_LONG", DType::kUInt64}, {"MET_FLOAT", DType::kFloat32}, {"MET_DOUBLE", DType::kFloat64},
  };
  const std::string name = fields.required("ElementType");
  const auto found = kTypes.find(name);
  if (found == kTypes.end())
    fields.fail("ElementType", fmt::format("is \"{}\"; expected an integer type, MET_FLOAT or MET_DOUBLE", name));
  return found->second;
}

std::vector<std::int64_t> image_sizes(const Fields& fields) {
  const std::int64_t axes = fields.integer("NDims", std::nullopt);
  if (axes < 2 || axes > 4) fields.fail("NDims", fmt::format("is {}; expected 2 or 3 axes, or 4 with frames", axes));
  const auto sizes = fields.integers("DimSize");
  if (static_cast<std::int64_t>(sizes.size()) != axes) {
    fields.fail("DimSize", fmt::format("is \"{}\"; expected {} sizes, as many as NDims", fields.required("DimSize"), axes));
  }
  std::optional<std::int64_t> bytes = 8;  // of the widest element
  for (const std::int64_t size : sizes) {
    if (size < 1) fields.fail("DimSize", fmt::format("is \"{}\"; expected sizes of at least 1", fields.required("DimSize")));
    bytes = checked_mul(bytes, size);
  }
  if (!checked_mul(bytes, fields.integer("ElementNumberOfChannels", 1))) {
    fields.fail("DimSize", fmt::format("is \"{}\": that is more bytes than 63 bits count", fields.required("DimSize")));
  }
  return sizes;
}

/// ITK reads the geometry, but takes what is no number for the end of the header.
void check_geometry(const Fields& fields, std::size_t axes) {
  for (const char* key : {"ElementSpacing", "ElementSize", "Offset", "Position", "Origin"}) fields.check_numbers(key, axes);
  for (const char* key : {"TransformMatrix", "Rotation", "Orientation"}) fields.check_numbers(key, axes * axes);
}

/// Sets data_path and data_offset.
void locate_data(const Fields& fields, const fs::path& path, MetaImageHeader& header) {
  const std::string name = fields.required("ElementDataFile");
  if (lower(name) == "local") {
    header.data_path = path;
    header.data_offset = fields.end();
    return;
  }
  if (lower(name).starts_with("list") || name.find('%') != std::string::npos || name.empty()) {
    fields.fail("ElementDataFile",
                fmt::format("is \"{}\"; expected LOCAL or the name of one file: merge the slices first", name));
  }
  header.data_path = path.parent_path() / name;
  header.data_offset = fields.integer("HeaderSize", 0);
  if (header.data_offset < -1) fields.fail("HeaderSize", fmt::format("is {}; expected -1 or more", header.data_offset));
  if (header.data_offset == -1 && header.compressed) fields.fail("HeaderSize", "is -1, which compressed data cannot have");
}

}  // namespace

MetaImageHeader read_metaimage_fields(const fs::path& path) {
  const Fields fields(path);
  if (const auto type = fields.find("ObjectType"); type && *type != "Image") {
    fields.fail("ObjectType", fmt::format("is \"{}\"; expected Image", *type));
  }
  if (!fields.flag("BinaryData", true))
    fields.fail("BinaryData", "is False; text voxels are not read: write the image as binary");
  MetaImageHeader header;
  header.sizes = image_sizes(fields);
  check_geometry(fields, header.sizes.size());
  header.channels = fields.integer("ElementNumberOfChannels", 1);
  if (header.channels < 1)
    fields.fail("ElementNumberOfChannels", fmt::format("is {}; expected at least 1", header.channels));
  header.pixels.type = element_type(fields);
  header.pixels.swapped = fields.flag("BinaryDataByteOrderMSB", fields.flag("ElementByteOrderMSB", false)) !=
                          (std::endian::native == std::endian::big);
  header.pixels.slope = fields.number("ElementToIntensityFunctionSlope", 1);
  header.pixels.intercept = fields.number("ElementToIntensityFunctionOffset", 0);
  header.compressed = fields.flag("CompressedData", false);
  header.compressed_bytes = fields.integer("CompressedDataSize", -1);
  locate_data(fields, path, header);
  return header;
}

std::int64_t voxel_bytes(const MetaImageHeader& header) {
  std::int64_t bytes = header.channels * static_cast<std::int64_t>(size_of(header.pixels.type));
  for (const std::int64_t size : header.sizes) bytes *= size;
  return bytes;
}

}  // namespace convt3d
