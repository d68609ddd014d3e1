#include "convt3d/model/weight_source.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/model/interpolation.hpp"
#include "convt3d/model/npy.hpp"

namespace convt3d {
namespace {

/// A nested list's shape, from the first element of each level.
Shape shape_of_list(const Node& list) {
  Shape shape;
  for (Node level = list; level.is_array(); level = level.at(std::size_t{0})) {
    if (level.size() == 0) level.fail("an empty list holds no weights");
    shape.push_back(static_cast<std::int64_t>(level.size()));
  }
  return shape;
}

/// Appends the numbers of a list of that shape, from `axis` on.
void append_numbers(const Node& list, const Shape& shape, std::size_t axis, std::vector<double>& numbers) {
  if (!list.is_array() || static_cast<std::int64_t>(list.size()) != shape[axis]) {
    list.fail_expected("a list of " + std::to_string(shape[axis]) + ", as its neighbours are");
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (axis + 1 < shape.size()) {
      append_numbers(list.at(i), shape, axis + 1, numbers);
    } else if (const nlohmann::json& value = list.value()[i]; value.is_number()) {
      numbers.push_back(value.get<double>());
    } else {
      list.at(i).fail_expected("a number");
    }
  }
}

WeightSource parse_list(const Node& node, WeightFiles& files) {
  WeightSource source{.node = node};
  const Shape shape = shape_of_list(node);
  std::vector<double> numbers;
  append_numbers(node, shape, 0, numbers);
  files.count_stored(node, static_cast<std::int64_t>(numbers.size() * sizeof(double)));
  source.values = std::make_shared<const Tensor>(Tensor::from(numbers, shape));
  source.shaped = shape.size() > 1;
  source.holder = "the list";
  return source;
}

constexpr std::array<std::string_view, 2> kLayouts = {"iodhw", "oidhw"};

std::optional<bool> says_oidhw(const Node& node) {
  const std::optional<Node> layout = node.find("layout");
  return layout ? std::optional(layout->word(kLayouts) == "oidhw") : std::nullopt;
}

void take_keyed(const WeightFiles::Keyed& keyed, WeightSource& source) {
  source.values = keyed.values;
  source.holder = keyed.holder;
  source.shaped = true;
  source.from_file = true;
  if (source.values->size() == 0) source.node.fail(source.holder + " holds no values");
}

WeightSource parse_file(const Node& node, WeightFiles& files) {
  constexpr std::array<std::string_view, 4> kKeys = {"file", "key", "dtype", "layout"};
  node.require_object(kKeys);
  const Node name = node.at("file");
  const std::filesystem::path path = name.string();
  const std::optional<Node> dtype = node.find("dtype");
  const std::optional<Node> key = node.find("key");
  WeightSource source{.node = node};
  source.oidhw = says_oidhw(node);
  if (is_tensor_file(path)) {
    if (!key)
      node.fail_at("key", "a file of tensors needs the key of one", {"convt3d inspect " + path.string() + " lists them"});
    if (dtype) dtype->fail("a file of tensors says their dtype itself: leave this out");
    take_keyed(files.read_key(name, *key), source);
    return source;
  }
  if (key) key->fail("only .safetensors and .npz files have keys: leave this out");
  source.holder = path.string();
  source.from_file = true;
  if (path.extension() == ".npy") {
    if (dtype) dtype->fail("an .npy file says its dtype itself: leave this out");
    source.values = files.read_npy(name);
    source.shaped = true;
  } else {
    if (!dtype)
      node.fail_at("dtype", "a raw file needs its dtype", {R"(for example "dtype": "float32"; .npy files need none)"});
    source.values = files.read_raw(name, *dtype_from_name(dtype->word(kStoredDTypes)));
  }
  if (source.values->size() == 0) name.fail(source.holder + " holds no values");
  return source;
}

/// "key", or {"key": "...", "layout": "..."}: of the top-level file.
WeightSource parse_key(const Node& node, const Node& key, WeightFiles& files) {
  constexpr std::array<std::string_view, 2> kKeys = {"key", "layout"};
  WeightSource source{.node = node};
  if (node.is_object()) {
    node.require_object(kKeys);
    source.oidhw = says_oidhw(node);
  }
  take_keyed(files.read_top_key(key), source);
  return source;
}

WeightSource parse_init(const Node& node) {
  constexpr std::array<std::string_view, 2> kInits = {"kaiming_uniform", "constant"};
  constexpr std::array<std::string_view, 2> kKaimingKeys = {"init", "seed"};
  constexpr std::array<std::string_view, 2> kConstantKeys = {"init", "value"};
  WeightSource source{.node = node};
  if (node.at("init").word(kInits) == "constant") {
    node.require_object(kConstantKeys);
    source.form = WeightSource::Form::kConstant;
    source.constant = node.at("value").number();
  } else {
    node.require_object(kKaimingKeys);
    source.form = WeightSource::Form::kKaimingUniform;
    const std::optional<Node> seed = node.find("seed");
    source.seed = seed ? static_cast<std::uint64_t>(seed->integer(0, INT64_MAX)) : 0;
  }
  return source;
}

WeightSource parse_kernel(const Node& node) {
  constexpr std::array<std::string_view, 1> kKeys = {"kernel"};
  node.require_object(kKeys);
  WeightSource source{.node = node};
  source.form = WeightSource::Form::kKernel;
  source.kernel = node.at("kernel").word(kInterpolationKernels);
  return source;
}

/// A value that overflows in float32, or was NaN already, would spoil every voxel it touches.
void require_finite(const WeightSource& source, const Tensor& tensor) {
  const auto require = [&](auto values) {
    const auto bad = std::find_if(values.begin(), values.end(), [](auto value) { return !std::isfinite(value); });
    if (bad == values.end()) return;
    source.node.fail("value " + std::to_string(bad - values.begin()) + " is not finite in " +
                     std::string(name_of(tensor.dtype())));
  };
  tensor.dtype() == DType::kFloat64 ? require(tensor.values<double>()) : require(tensor.values<float>());
}

std::string count_of(std::int64_t values) { return std::to_string(values) + (values == 1 ? " value" : " values"); }

}  // namespace

WeightSource parse_weight_source(const Node& node, WeightFiles& files) {
  if (node.is_array()) return parse_list(node, files);
  if (node.is_string()) return parse_key(node, node, files);
  if (!node.is_object()) node.fail_expected("a list of numbers, a key or an object");
  if (node.find("file")) return parse_file(node, files);
  if (const auto key = node.find("key")) return parse_key(node, *key, files);
  if (node.find("init")) return parse_init(node);
  if (node.find("kernel")) return parse_kernel(node);
  node.fail("a weight source has one of the keys file, key, init and kernel");
}

void parse_weights(const Node& layer, std::span<const std::string_view> states, WeightFiles& files,
                   std::span<std::optional<WeightSource>> sources) {
  const std::optional<Node> weights = layer.find("weights");
  if (!weights) return;
  if (weights->is_string()) {
    const std::vector<WeightFiles::Keyed> module = files.read_module(*weights, states);
    for (std::size_t i = 0; i < states.size(); ++i) {
      if (module[i].values) take_keyed(module[i], sources[i].emplace(WeightSource{.node = *weights}));
    }
    return;
  }
  weights->require_object(states);
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (const auto source = weights->find(states[i])) sources[i] = parse_weight_source(*source, files);
  }
}

void refuse_layout(const WeightSource& source) {
  if (!source.from_file) return;
  if (const auto layout = source.node.find("layout")) layout->fail("a tensor with one axis has no layout: leave this out");
}

Tensor tensor_from(const WeightSource& source, const Shape& shape, DType dtype, const std::string& axes,
                   const std::string& advice) {
  Tensor tensor;
  if (source.form == WeightSource::Form::kConstant) {
    const std::vector<double> values(static_cast<std::size_t>(element_count(shape)), source.constant);
    tensor = convert(Tensor::from(values, shape), dtype);
  } else {
    const Tensor& values = *source.values;
    const bool fits = source.shaped ? values.shape() == shape : values.size() == element_count(shape);
    if (!fits) {
      source.node.fail("shape mismatch",
                       {"the layer expects " + axes + " = " + to_string(shape) + ", " + count_of(element_count(shape)),
                        source.holder + " holds " + (source.shaped ? to_string(values.shape()) : count_of(values.size())) +
                            (advice.empty() ? "" : "; " + advice)});
    }
    tensor = convert(values, dtype).reshaped(shape);
  }
  require_finite(source, tensor);
  return tensor;
}

}  // namespace convt3d
