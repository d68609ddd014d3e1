#include "convt3d/model/weight_source.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/model/interpolation.hpp"
#include "convt3d/model/npy.hpp"

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

WeightSource parse_file(const Node& node, WeightFiles& files) {
  constexpr std::array<std::string_view, 3> kKeys = {"file", "dtype", "layout"};
  constexpr std::array<std::string_view, 2> kLayouts = {"iodhw", "oidhw"};
  const Node name = node.at("file");
  const std::string extension = std::filesystem::path(name.string()).extension().string();
  if (extension == ".npz" || extension == ".safetensors") {
    name.fail(extension + " files cannot be read yet", {"save each array with numpy.save, as .npy"});
  }
  node.require_object(kKeys);
  WeightSource source{.node = node};
  source.holder = name.string();
  source.from_file = true;
  const std::optional<Node> layout = node.find("layout");
  source.oidhw = layout && layout->word(kLayouts) == "oidhw";
  const std::optional<Node> dtype = node.find("dtype");
  if (extension == ".npy") {
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

WeightSource parse_weight_source(const Node& node, WeightFiles& files) {
  if (node.is_array()) return parse_list(node, files);
  if (node.is_string()) {
    node.fail("a key names an entry of a .safetensors or .npz file, which cannot be read yet",
              {R"(save the array with numpy.save and give {"file": "name.npy"})"});
  }
  if (!node.is_object()) node.fail_expected("a list of numbers or an object");
  if (node.find("file")) return parse_file(node, files);
  if (node.find("init")) return parse_init(node);
  if (node.find("kernel")) return parse_kernel(node);
  node.fail("a weight source has one of the keys file, init and kernel");
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
