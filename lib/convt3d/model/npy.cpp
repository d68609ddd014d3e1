#include "convt3d/model/npy.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::uint32_t kMaxHeaderBytes = 1 << 16;  // numpy's own limit is 10,000
constexpr std::size_t kMaxRank = 32;                // numpy's own

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorKind::kConfig, "not a valid .npy file: " + what); }

void read_bytes(const ReadBytes& read, void* to, std::int64_t bytes, const char* what) {
  if (read(to, bytes) != bytes) fail("it ends within " + std::string(what));
}

/// The header's text: a Python dict literal such as {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. Takes what
/// it reads off `bytes_left`.
std::string read_header_text(const ReadBytes& read, std::int64_t& bytes_left) {
  std::array<char, 8> start{};
  read_bytes(read, start.data(), start.size(), "its first bytes");
  if (std::string_view(start.data(), kMagic.size()) != kMagic) fail("it does not start with \\x93NUMPY");
  const int major = start[6];
  if (major < 1 || major > 3) fail("format version " + std::to_string(major) + "; 1, 2 and 3 are known");
  std::array<unsigned char, 4> length_bytes{};
  const int length_size = major == 1 ? 2 : 4;
  read_bytes(read, length_bytes.data(), length_size, "its header");
  std::uint32_t length = 0;
  for (std::size_t i = 4; i-- > 0;) length = length << 8 | length_bytes[i];
  if (length > kMaxHeaderBytes) fail("a header of " + std::to_string(length) + " bytes");
  std::string text(length, '\0');
  read_bytes(read, text.data(), length, "its header");
  bytes_left -= static_cast<std::int64_t>(start.size()) + length_size + length;
  return text;
}

struct HeaderItems {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<Shape> shape;
};

/// Reads the part of Python's literals that a header is made of.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  HeaderItems parse() {
    HeaderItems header;
    expect('{');
    while (!take('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !header.descr) {
        header.descr = string();
      } else if (key == "fortran_order" && !header.fortran_order) {
        header.fortran_order = boolean();
      } else if (key == "shape" && !header.shape) {
        header.shape = tuple();
      } else {
        fail("its header says '" + key + "', or says it twice");
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) fail("its header goes on after the dict");
    return header;
  }

 private:
  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n\r"), rest_.size())); }

  bool take(char wanted) {
    skip_space();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void expect(char wanted) {
    if (!take(wanted)) fail(std::string("its header lacks a '") + wanted + "'");
  }

  std::string string() {
    skip_space();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    // A structured dtype's descr is a list.
    if (quote != '\'' && quote != '"') fail("its header has something else where a string belongs");
    const std::size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) fail("its header has an open string");
    const std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool boolean() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return value;
    }
    fail("its fortran_order is neither True nor False");
  }

  Shape tuple() {
    Shape shape;
    expect('(');
    while (!take(')')) {
      shape.push_back(extent());
      if (shape.size() > kMaxRank) fail("more than " + std::to_string(kMaxRank) + " axes");
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::int64_t extent() {
    skip_space();
    const std::size_t digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    if (digits == 0 || digits > 18) fail("its shape has an entry that is no size");  // 10^18 - 1 is the most that fits
    const std::int64_t value = std::stoll(std::string(rest_.substr(0, digits)));
    rest_.remove_prefix(digits);
    return value;
  }

  std::string_view rest_;
};

struct StoredType {
  DType dtype;
  bool swapped;  ///< of the other byte order than this machine's
};

StoredType stored_type(const std::string& descr) {
  constexpr std::array<std::pair<std::string_view, DType>, 12> kCodes = {{{"b1", DType::kUInt8},
                                                                          {"f2", DType::kFloat16},
                                                                          {"f4", DType::kFloat32},
                                                                          {"f8", DType::kFloat64},
                                                                          {"i1", DType::kInt8},
                                                                          {"u1", DType::kUInt8},
                                                                          {"i2", DType::kInt16},
                                                                          {"u2", DType::kUInt16},
                                                                          {"i4", DType::kInt32},
                                                                          {"u4", DType::kUInt32},
                                                                          {"i8", DType::kInt64},
                                                                          {"u8", DType::kUInt64}}};
  const char order = descr.empty() ? '\0' : descr.front();
  const bool big_endian_machine = std::endian::native == std::endian::big;
  for (const auto& [code, dtype] : kCodes) {
    if (descr.size() != 3 || descr.substr(1) != code) continue;
    if (order == '<') return {dtype, big_endian_machine && size_of(dtype) > 1};
    if (order == '>') return {dtype, !big_endian_machine && size_of(dtype) > 1};
    if (order == '|' && size_of(dtype) == 1) return {dtype, false};
  }
  throw Error(ErrorKind::kConfig,
              "it holds dtype '" + descr + "'; weights are float16, float32, float64, bool or integers (save with .astype)");
}

std::int64_t data_bytes(const Shape& shape, DType dtype) {
  try {
    return byte_count(shape, dtype);
  } catch (const Error& error) {  // past 63 bits
    fail(error.what());
  }
}

void swap_bytes(Tensor& tensor) {
  const std::size_t size = size_of(tensor.dtype());
  auto* const bytes = static_cast<char*>(tensor.raw());
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    char* const element = bytes + static_cast<std::size_t>(i) * size;
    std::reverse(element, element + size);
  }
}

/// Elements stored with the first axis fastest, put with the last axis fastest.
Tensor from_fortran_order(const Tensor& stored) {
  const Shape& shape = stored.shape();
  Tensor ordered = Tensor::empty(shape, stored.dtype());
  std::vector<std::int64_t> strides(shape.size(), 1);  // of an axis in `stored`
  for (std::size_t axis = 1; axis < shape.size(); ++axis) strides[axis] = strides[axis - 1] * shape[axis - 1];

  const std::size_t size = size_of(stored.dtype());
  const auto* const from = static_cast<const char*>(stored.raw());
  auto* to = static_cast<char*>(ordered.raw());
  std::vector<std::int64_t> index(shape.size(), 0);
  std::int64_t offset = 0;
  for (std::int64_t i = 0; i < stored.size(); ++i, to += size) {
    std::memcpy(to, from + static_cast<std::size_t>(offset) * size, size);
    for (std::size_t axis = shape.size(); axis-- > 0;) {  // the next index, as an odometer counts
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return ordered;
}

}  // namespace

NpyHeader read_npy_header(const ReadBytes& read, std::int64_t file_bytes) {
  std::int64_t present = file_bytes;
  const std::string text = read_header_text(read, present);
  HeaderItems items = HeaderParser(text).parse();
  if (!items.descr || !items.fortran_order || !items.shape) fail("its header lacks descr, fortran_order or shape");
  const StoredType stored = stored_type(*items.descr);
  const std::int64_t wanted = data_bytes(*items.shape, stored.dtype);
  if (wanted != present) {
    fail("shape " + to_string(*items.shape) + " of '" + *items.descr + "' takes " + std::to_string(wanted) + " bytes, " +
         std::to_string(present) + " are there");
  }
  return {stored.dtype, std::move(*items.shape), stored.swapped, *items.fortran_order};
}

Tensor read_npy_data(const ReadBytes& read, const NpyHeader& header) {
  Tensor tensor = Tensor::empty(header.shape, header.dtype);
  if (tensor.size_bytes() > 0) read_bytes(read, tensor.raw(), tensor.size_bytes(), "its data");
  if (header.swapped) swap_bytes(tensor);
  if (header.fortran_order && header.shape.size() > 1) return from_fortran_order(tensor);
  return tensor;
}

Tensor read_npy(std::istream& file, std::int64_t file_bytes) {
  const ReadBytes read = [&](void* to, std::int64_t bytes) {
    file.read(static_cast<char*>(to), bytes);
    return static_cast<std::int64_t>(file.gcount());
  };
  return read_npy_data(read, read_npy_header(read, file_bytes));
}

}  // namespace convt3d
