#include "convt3d/model/weight_files.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <fstream>
#include <system_error>

#include "convt3d/base/error.hpp"
#include "convt3d/model/npy.hpp"
#include "convt3d/model/suggest.hpp"

namespace convt3d {
namespace {

/// Opened, and its size in bytes; only a regular file has one.
std::ifstream open_file(const Node& node, const std::filesystem::path& path, std::int64_t& bytes) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) node.fail("there is no file " + path.string());
  bytes = static_cast<std::int64_t>(std::filesystem::file_size(path, error));
  std::ifstream file(path, std::ios::binary);
  if (error || !file) node.fail("cannot read " + path.string());
  return file;
}

std::vector<std::string_view> views_of(const std::vector<std::string>& words) { return {words.begin(), words.end()}; }

/// "its keys: a, b and c", or the nearest few of many.
std::string keys_near(const std::string& key, const std::vector<std::string>& keys) {
  constexpr std::size_t kFew = 5;
  const std::vector<std::string_view> known = views_of(keys);
  if (keys.empty()) return "it holds no tensor at all";
  if (keys.size() <= kFew) return "its keys: " + list_of(known);
  return "nearest of its " + std::to_string(keys.size()) + " keys: " + list_of(nearest_words(key, known, kFew));
}

/// The modules that hold the keys' last names: "up1" for "up1.weight".
std::vector<std::string> modules_of(const std::vector<std::string>& keys) {
  std::vector<std::string> modules;
  for (const std::string& key : keys) {
    const std::size_t dot = key.rfind('.');
    const std::string module = key.substr(0, dot == std::string::npos ? 0 : dot);
    if (modules.empty() || modules.back() != module) modules.push_back(module);
  }
  return modules;
}

}  // namespace

void WeightFiles::open_top(const Node& node) {
  constexpr std::array<std::string_view, 3> kKeys = {"file", "prefix", "unused"};
  constexpr std::array<std::string_view, 2> kUnused = {"error", "ignore"};
  node.require_object(kKeys);
  Top top{.node = node};
  if (const auto prefix = node.find("prefix")) top.prefix = prefix->string();
  if (const auto unused = node.find("unused")) top.may_have_unused = unused->word(kUnused) == "ignore";
  top.file = open(node.at("file"));
  const std::vector<std::string>& keys = top.file->tensors->keys();
  const auto under_prefix = [&](const std::string& key) { return key.starts_with(top.prefix); };
  if (std::none_of(keys.begin(), keys.end(), under_prefix)) {
    const std::string what =
        top.prefix.empty() ? " holds no tensor" : " has no key that starts with " + in_quotes(top.prefix);
    node.fail(top.file->name + what, {keys_near(top.prefix, keys)});
  }
  top_ = std::move(top);
}

std::shared_ptr<WeightFiles::Open> WeightFiles::open(const Node& file) {
  const std::filesystem::path path = folder_ / file.string();
  std::shared_ptr<Open>& opened = open_[path.lexically_normal().string()];
  if (opened) return opened;
  try {
    opened = std::make_shared<Open>(Open{.name = file.string(), .tensors = open_tensor_file(path), .read = {}, .used = {}});
  } catch (const Error& error) {
    file.fail(error.what());
  }
  return opened;
}

WeightFiles::Keyed WeightFiles::read(const Node& node, Open& file, const std::string& key) {
  const TensorFile& tensors = *file.tensors;
  if (!tensors.has(key)) {
    node.fail(file.name + " has no " + in_quotes(key) + did_you_mean(key, views_of(tensors.keys())),
              {keys_near(key, tensors.keys())});
  }
  file.used.insert(key);
  std::weak_ptr<const Tensor>& held = file.read[key];
  std::shared_ptr<const Tensor> values = held.lock();
  if (!values) {
    const auto from_file = [&](const auto& work) {
      try {
        return work();
      } catch (const Error& error) {
        node.fail(error.what());
      }
    };
    const TensorInfo info = from_file([&] { return tensors.info(key); });
    count_stored(node, byte_count(info.shape, info.dtype));
    values = std::make_shared<const Tensor>(from_file([&] { return tensors.read(key); }));
    held = values;
  }
  return {std::move(values), in_quotes(key) + " of " + file.name};
}

WeightFiles::Keyed WeightFiles::read_key(const Node& file, const Node& key) {
  const std::shared_ptr<Open> opened = open(file);
  return read(key, *opened, key.string());
}

const WeightFiles::Top& WeightFiles::top(const Node& node) const {
  if (!top_) {
    node.fail("a key refers to the weights file of the config, and none is named",
              {R"(add "weights": {"file": "model.safetensors"} beside "layers")"});
  }
  return *top_;
}

WeightFiles::Keyed WeightFiles::read_top_key(const Node& key) {
  const Top& its = top(key);
  return read(key, *its.file, its.prefix + key.string());
}

std::vector<WeightFiles::Keyed> WeightFiles::read_module(const Node& module, std::span<const std::string_view> states) {
  const Top& its = top(module);
  const std::string name = its.prefix + module.string();
  std::vector<Keyed> found;
  bool any = false;
  for (const std::string_view state : states) {
    const std::string key = name + "." + std::string(state);
    any = any || its.file->tensors->has(key);
    found.push_back(its.file->tensors->has(key) ? read(module, *its.file, key) : Keyed{});
  }
  if (!any) {
    const std::vector<std::string> modules = modules_of(its.file->tensors->keys());
    std::vector<std::string> wanted;
    for (const std::string_view state : states) wanted.push_back(in_quotes(name + "." + std::string(state)));
    module.fail(its.file->name + " has no module " + in_quotes(name) + did_you_mean(name, views_of(modules)),
                {"looked for " + list_of(views_of(wanted)), keys_near(name, its.file->tensors->keys())});
  }
  return found;
}

void WeightFiles::require_all_used() const {
  if (!top_ || top_->may_have_unused) return;
  const Open& file = *top_->file;
  std::vector<std::string> unused;
  for (const std::string& key : file.tensors->keys()) {
    // BatchNorm's count of training steps, which every exported network carries and no inference reads.
    const bool counts_steps = key.ends_with("num_batches_tracked");
    if (key.starts_with(top_->prefix) && !counts_steps && !file.used.contains(key)) unused.push_back(in_quotes(key));
  }
  if (unused.empty()) return;
  constexpr std::size_t kFew = 5;
  const std::size_t count = unused.size();
  unused.resize(std::min(count, kFew));
  if (count > kFew) unused.push_back(std::to_string(count - kFew) + " more");
  top_->node.fail("no layer uses " + std::to_string(count) + (count == 1 ? " tensor of " : " tensors of ") + file.name,
                  {list_of(views_of(unused)),
                   R"(add the layers; or "prefix": "..." to take a part of the file, or "unused": "ignore")"});
}

std::shared_ptr<const Tensor> WeightFiles::read_npy(const Node& node) {
  const std::filesystem::path path = folder_ / node.string();
  std::shared_ptr<const Tensor>& tensor = read_[path.lexically_normal().string()];
  if (tensor) return tensor;
  std::int64_t bytes = 0;
  std::ifstream file = open_file(node, path, bytes);
  count_stored(node, bytes);
  try {
    tensor = std::make_shared<const Tensor>(convt3d::read_npy(file, bytes));
  } catch (const Error& error) {
    node.fail(path.string() + ": " + error.what());
  }
  return tensor;
}

std::shared_ptr<const Tensor> WeightFiles::read_raw(const Node& node, DType dtype) {
  static_assert(std::endian::native == std::endian::little, "raw files are little-endian");
  const std::filesystem::path path = folder_ / node.string();
  std::shared_ptr<const Tensor>& tensor = read_[path.lexically_normal().string() + ":" + std::string(name_of(dtype))];
  if (tensor) return tensor;
  std::int64_t bytes = 0;
  std::ifstream file = open_file(node, path, bytes);
  count_stored(node, bytes);
  const auto size = static_cast<std::int64_t>(size_of(dtype));
  if (bytes % size != 0) {
    node.fail(path.string() + " has " + std::to_string(bytes) + " bytes, no multiple of the " + std::to_string(size) +
              " of a " + std::string(name_of(dtype)));
  }
  Tensor values = Tensor::empty({bytes / size}, dtype);
  if (bytes > 0 && !file.read(static_cast<char*>(values.raw()), bytes)) node.fail("cannot read " + path.string());
  tensor = std::make_shared<const Tensor>(std::move(values));
  return tensor;
}

void WeightFiles::count_stored(const Node& node, std::int64_t bytes) {
  if (bytes > kMaxStoredBytes - stored_bytes_) {
    node.fail("the weights of this config take more than " + std::to_string(kMaxStoredBytes >> 30) + " GiB");
  }
  stored_bytes_ += bytes;
}

void WeightFiles::count_generated(const Node& node, std::int64_t bytes) {
  if (bytes > kMaxGeneratedBytes - generated_bytes_) {
    node.fail("weights that no file holds would take more than " + std::to_string(kMaxGeneratedBytes >> 20) + " MiB",
              {"check in_channels, out_channels and kernel_size, or give the weights as .npy"});
  }
  generated_bytes_ += bytes;
}

}  // namespace convt3d
