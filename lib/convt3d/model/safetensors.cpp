#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/model/regular_file.hpp"
#include "convt3d/model/tensor_file.hpp"

namespace convt3d {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::size_t kMaxRank = 32;                    // as of an .npy file
constexpr std::int64_t kLengthBytes = 8;

struct StoredTensor {
  TensorInfo info;
  std::int64_t begin = 0;  ///< [begin, end) in bytes after the header
  std::int64_t end = 0;
};

struct Header {
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
};

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorKind::kConfig, "not a valid .safetensors file: " + what);
}

DType stored_dtype(const std::string& key, const std::string& name) {
  constexpr std::array<std::pair<std::string_view, DType>, 13> kNames = {{{"F64", DType::kFloat64},
                                                                          {"F32", DType::kFloat32},
                                                                          {"F16", DType::kFloat16},
                                                                          {"BF16", DType::kBFloat16},
                                                                          {"I8", DType::kInt8},
                                                                          {"U8", DType::kUInt8},
                                                                          {"I16", DType::kInt16},
                                                                          {"U16", DType::kUInt16},
                                                                          {"I32", DType::kInt32},
                                                                          {"U32", DType::kUInt32},
                                                                          {"I64", DType::kInt64},
                                                                          {"U64", DType::kUInt64},
                                                                          {"BOOL", DType::kUInt8}}};
  for (const auto& [known, dtype] : kNames) {
    if (known == name) return dtype;
  }
  throw Error(ErrorKind::kConfig, in_quotes(key) + " has dtype " + in_quotes(name) +
                                      "; read are F64, F32, F16, BF16, the integers and BOOL (save it as one of them)");
}

/// Takes the header's JSON event by event, and anything but what the format has ends it at once: so a header costs the
/// memory of its tensors, whatever else it holds.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Header take() { return std::move(header_); }

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a truth value"); }
  bool number_float(double, const std::string&) override { unexpected("a number that is no size"); }
  bool number_integer(std::int64_t) override { unexpected("a negative number"); }
  bool binary(nlohmann::json::binary_t&) override { unexpected("binary data"); }

  bool number_unsigned(std::uint64_t value) override {
    if (at_ != At::kNumbers) unexpected("a number");
    if (value > std::uint64_t{INT64_MAX}) fail(place() + ": " + std::to_string(value) + " passes 63 bits");
    std::vector<std::int64_t>& numbers = member_ == "shape" ? *shape_ : *offsets_;
    numbers.push_back(static_cast<std::int64_t>(value));
    if (numbers.size() > kMaxRank) fail(place() + ": more than " + std::to_string(kMaxRank) + " entries");
    return true;
  }

  bool string(std::string& value) override {
    if (at_ == At::kMetadata) {
      header_.metadata[member_] = std::move(value);
    } else if (at_ == At::kTensor && member_ == "dtype") {
      dtype_ = std::move(value);
    } else {
      unexpected("a string");
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (at_ == At::kStart) {
      at_ = At::kTop;
    } else if (at_ == At::kTop) {
      at_ = key_ == "__metadata__" ? At::kMetadata : At::kTensor;
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool end_object() override {
    if (at_ == At::kTensor) finish_tensor();
    at_ = at_ == At::kTop ? At::kEnd : At::kTop;
    return true;
  }

  bool start_array(std::size_t) override {
    if (at_ != At::kTensor || member_ == "dtype") unexpected("a list");
    (member_ == "shape" ? shape_ : offsets_).emplace();
    at_ = At::kNumbers;
    return true;
  }

  bool end_array() override {
    at_ = At::kTensor;
    return true;
  }

  bool key(std::string& value) override {
    if (at_ == At::kTop) {
      key_ = std::move(value);
      if (const std::string fault = fault_of_key(key_); !fault.empty()) fail(fault);
      const bool is_metadata = key_ == "__metadata__";
      if (header_.tensors.contains(key_) || (is_metadata && std::exchange(has_metadata_, true))) {
        fail("the key " + in_quotes(key_) + " stands there twice");
      }
      return true;
    }
    member_ = std::move(value);
    if (at_ == At::kMetadata) {
      if (header_.metadata.contains(member_)) fail("the key " + place() + " stands there twice");
      return true;
    }
    const bool known = member_ == "dtype" || member_ == "shape" || member_ == "data_offsets";
    if (!known) fail(place() + ": a tensor has dtype, shape and data_offsets, nothing else");
    if (member_ == "dtype" ? dtype_.has_value() : (member_ == "shape" ? shape_ : offsets_).has_value()) {
      fail("the key " + place() + " stands there twice");
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fail("its header is not valid JSON at byte " + std::to_string(position) + " of it");
  }

 private:
  enum class At { kStart, kTop, kMetadata, kTensor, kNumbers, kEnd };

  std::string place() const {
    const bool in_member = at_ == At::kMetadata || at_ == At::kTensor || at_ == At::kNumbers;
    return in_quotes(key_) + (in_member ? ", " + in_quotes(member_) : "");
  }

  [[noreturn]] void unexpected(const std::string& what) const {
    if (at_ == At::kStart) fail("its header is no JSON object");
    const std::string_view expected = at_ == At::kTop        ? "a tensor's description"
                                      : at_ == At::kMetadata ? "a string"
                                      : at_ == At::kNumbers  ? "a size"
                                      : member_ == "dtype"   ? "a string"
                                                             : "a list of sizes";
    fail(place() + ": expected " + std::string(expected) + ", found " + what);
  }

  void finish_tensor() {
    if (!dtype_ || !shape_ || !offsets_) fail(in_quotes(key_) + " lacks dtype, shape or data_offsets");
    if (offsets_->size() != 2) fail(in_quotes(key_) + ": data_offsets are [begin, end]");
    StoredTensor tensor{
        .info = {stored_dtype(key_, *dtype_), std::move(*shape_)}, .begin = offsets_->front(), .end = offsets_->back()};
    header_.tensors.emplace(key_, std::move(tensor));
    dtype_.reset();
    shape_.reset();
    offsets_.reset();
  }

  Header header_;
  At at_ = At::kStart;
  bool has_metadata_ = false;
  std::string key_;     ///< of the tensor, or "__metadata__"
  std::string member_;  ///< within it
  std::optional<std::string> dtype_;
  std::optional<Shape> shape_;
  std::optional<std::vector<std::int64_t>> offsets_;
};

void require_size(const std::string& key, const StoredTensor& tensor) {
  if (tensor.end < tensor.begin) fail(in_quotes(key) + " ends before it begins");
  std::int64_t wanted = 0;
  try {
    wanted = byte_count(tensor.info.shape, tensor.info.dtype);
  } catch (const Error& error) {  // past 63 bits
    fail(in_quotes(key) + ": " + error.what());
  }
  if (wanted == tensor.end - tensor.begin) return;
  fail(in_quotes(key) + ": shape " + to_string(tensor.info.shape) + " of " + std::string(name_of(tensor.info.dtype)) +
       " takes " + std::to_string(wanted) + " bytes, its data_offsets hold " + std::to_string(tensor.end - tensor.begin));
}

/// Sorted by offset the tensors start at 0, touch, and end at the file's end, so that no byte has two meanings or none.
void require_cover(const Header& header, std::int64_t data_bytes) {
  using Named = std::pair<const std::string, StoredTensor>;
  std::vector<const Named*> sorted;
  for (const Named& named : header.tensors) sorted.push_back(&named);
  std::sort(sorted.begin(), sorted.end(), [](const Named* a, const Named* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  std::int64_t covered = 0;
  const std::string* before = nullptr;
  for (const Named* named : sorted) {
    const auto& [key, tensor] = *named;
    if (tensor.begin < covered) fail("the data of " + in_quotes(*before) + " and " + in_quotes(key) + " overlap");
    if (tensor.begin > covered) {
      fail(std::to_string(tensor.begin - covered) + " bytes before " + in_quotes(key) + " belong to no tensor");
    }
    if (tensor.end > data_bytes) {
      fail("it is cut off: " + in_quotes(key) + " ends at byte " + std::to_string(tensor.end) +
           " of the data, the file holds " + std::to_string(data_bytes));
    }
    covered = tensor.end;
    before = &key;
  }
  if (covered < data_bytes) fail(std::to_string(data_bytes - covered) + " bytes follow after the last tensor");
}

std::string read_header_text(const RegularFile& file) {
  if (file.size_bytes() < kLengthBytes) fail("it ends within the 8 bytes of its header's length");
  std::array<unsigned char, kLengthBytes> bytes{};
  file.read(0, bytes.data(), kLengthBytes);
  std::uint64_t length = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) length = length << 8 | bytes[i];
  if (length > kMaxHeaderBytes) {
    fail("a header of " + std::to_string(length) + " bytes; at most " + std::to_string(kMaxHeaderBytes) + " are allowed");
  }
  const auto present = static_cast<std::uint64_t>(file.size_bytes() - kLengthBytes);
  if (length > present) {
    fail("its header takes " + std::to_string(length) + " bytes, " + std::to_string(present) + " are there");
  }
  std::string text(length, '\0');
  file.read(kLengthBytes, text.data(), static_cast<std::int64_t>(length));
  if (!text.starts_with('{')) fail("its header does not start with {");
  return text;
}

class SafetensorsFile final : public TensorFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path) : file_(path) {
    with_prefix(path.string() + ": ", [&] {
      const std::string text = read_header_text(file_);
      HeaderReader reader;
      nlohmann::json::sax_parse(text, &reader);
      header_ = reader.take();
      data_begin_ = kLengthBytes + static_cast<std::int64_t>(text.size());
      for (const auto& [key, tensor] : header_.tensors) require_size(key, tensor);
      require_cover(header_, file_.size_bytes() - data_begin_);
    });
    std::vector<std::string> keys;
    for (const auto& [key, tensor] : header_.tensors) keys.push_back(key);
    set_keys(std::move(keys));
  }

  TensorInfo info(const std::string& key) const override { return header_.tensors.at(key).info; }

  Tensor read(const std::string& key) const override {
    static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");
    const StoredTensor& stored = header_.tensors.at(key);
    Tensor tensor = Tensor::empty(stored.info.shape, stored.info.dtype);
    const auto read = [&] { file_.read(data_begin_ + stored.begin, tensor.raw(), stored.end - stored.begin); };
    with_prefix(file_.path().string() + ": " + in_quotes(key) + ": ", read);
    return tensor;
  }

  const std::map<std::string, std::string>& metadata() const override { return header_.metadata; }

 private:
  RegularFile file_;
  Header header_;
  std::int64_t data_begin_ = 0;
};

}  // namespace

std::unique_ptr<TensorFile> open_safetensors(const std::filesystem::path& path) {
  return std::make_unique<SafetensorsFile>(path);
}

}  // namespace convt3d
