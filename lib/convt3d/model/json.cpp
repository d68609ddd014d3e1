#include "convt3d/model/json.hpp"

#include <array>
#include <cstdint>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

using nlohmann::json;

/// Builds the value from the parser's events, and refuses what nlohmann's own builder lets pass: duplicates and depth.
class StrictBuilder final : public nlohmann::json_sax<json> {
 public:
  explicit StrictBuilder(std::string file) : file_(std::move(file)) {}

  json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(std::int64_t value) override { return add(value); }
  bool number_unsigned(std::uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(json::binary_t&) override { return false; }  // an event of binary formats only
  bool start_object(std::size_t) override { return open(json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_array() override { return close(); }

  bool key(std::string& value) override {
    Container& object = open_.back();
    if (object.value->contains(value)) {
      throw Error(ErrorKind::kConfig, file_ + ": " + pointer_to(pointer(), value) + ": this key stands here twice");
    }
    object.key = std::move(value);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 3, column 5: syntax error while parsing ..."
    const std::string text = error.what();
    const std::size_t line = text.find("line ");
    const std::size_t colon = text.find(": ", line == std::string::npos ? 0 : line);
    const std::string place = line < colon && colon != std::string::npos ? text.substr(line, colon - line) + ": " : "";
    const std::string what = text.substr(place.empty() ? text.find("] ") + 2 : colon + 2);
    throw Error(ErrorKind::kConfig, file_ + ": " + place + "not valid JSON\n  " + what);
  }

 private:
  struct Container {
    json* value;
    std::string key;  ///< of the member to come
  };

  json* place(json value) {
    if (open_.empty()) return &(root_ = std::move(value));
    const auto& [parent, key] = open_.back();
    if (parent->is_object()) return &((*parent)[key] = std::move(value));
    parent->push_back(std::move(value));
    return &parent->back();
  }

  bool add(json value) {
    place(std::move(value));
    return true;
  }

  bool open(json container) {
    if (open_.size() == kMaxJsonDepth) {
      throw Error(ErrorKind::kConfig,
                  file_ + ": " + pointer() + ": nested more than " + std::to_string(kMaxJsonDepth) + " deep");
    }
    open_.push_back({place(std::move(container)), ""});
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  /// Of the innermost open container.
  std::string pointer() const {
    std::string text;
    for (std::size_t i = 0; i + 1 < open_.size(); ++i) {
      const auto& [container, key] = open_[i];
      text = pointer_to(text, container->is_object() ? key : std::to_string(container->size() - 1));
    }
    return text;
  }

  std::string file_;
  json root_;
  std::vector<Container> open_;
};

}  // namespace

std::string read_config_text(const std::filesystem::path& path) {
  const auto fail = [&](const std::string& what) { throw Error(ErrorKind::kConfig, path.string() + ": " + what); };
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) fail("a folder, not a config file");
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("cannot be opened");
  std::string text;
  std::array<char, 1 << 16> part;
  while (text.size() <= kMaxConfigBytes && (file.read(part.data(), part.size()), file.gcount() > 0)) {
    text.append(part.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) fail("cannot be read");
  if (text.size() > kMaxConfigBytes) {
    fail("longer than " + std::to_string(kMaxConfigBytes >> 20) + " MiB\n  large weights belong into an .npy file");
  }
  return text;
}

json parse_strict_json(std::string_view text, const std::string& file) {
  StrictBuilder builder(file);
  json::sax_parse(text, &builder);
  return builder.take();
}

std::string pointer_to(const std::string& parent, std::string_view key) {
  std::string pointer = parent + "/";
  for (const char letter : key) {
    if (letter == '~') {
      pointer += "~0";
    } else if (letter == '/') {
      pointer += "~1";
    } else {
      pointer += letter;
    }
  }
  return pointer;
}

}  // namespace convt3d
