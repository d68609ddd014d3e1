#include "convt3d/model/tensor_file.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/model/natural_order.hpp"

namespace convt3d {

bool TensorFile::has(const std::string& key) const {
  return std::binary_search(keys_.begin(), keys_.end(), key, natural_less);
}

void TensorFile::set_keys(std::vector<std::string> keys) {
  keys_ = std::move(keys);
  std::sort(keys_.begin(), keys_.end(), natural_less);
}

bool is_tensor_file(const std::filesystem::path& path) {
  return path.extension() == ".safetensors" || path.extension() == ".npz";
}

std::unique_ptr<TensorFile> open_tensor_file(const std::filesystem::path& path) {
  if (path.extension() == ".safetensors") return open_safetensors(path);
  if (path.extension() == ".npz") return open_npz(path);
  throw Error(ErrorKind::kConfig, path.string() + ": a file of tensors by key is named .safetensors or .npz");
}

std::string fault_of_key(const std::string& key) {
  const auto is_control = [](unsigned char letter) { return letter < 0x20 || letter == 0x7f; };
  if (std::any_of(key.begin(), key.end(), is_control)) return "a key with control characters";
  try {
    static_cast<void>(nlohmann::json(key).dump());
  } catch (const nlohmann::json::exception&) {
    return "a key that is no UTF-8";
  }
  return "";
}

std::string in_quotes(const std::string& key) {
  constexpr std::size_t kLongest = 200;
  return "\"" + (key.size() <= kLongest ? key : key.substr(0, kLongest) + "...") + "\"";
}

}  // namespace convt3d
