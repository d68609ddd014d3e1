#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "convt3d/nn/activations.hpp"
#include "convt3d/nn/batch_norm.hpp"
#include "convt3d/nn/instance_norm.hpp"
#include "convt3d/nn/pad.hpp"
#include "convt3d/nn/pixel_shuffle.hpp"
#include "convt3d/nn/softmax.hpp"
#include "convt3d/nn/upsample.hpp"

namespace {

using namespace convt3d;

struct Golden {
  std::string name;
  std::string repr;
  DType dtype = DType::kFloat32;
  Shape shape;
  std::vector<double> outputs;
};

template <typename T>
std::vector<T> numbers_in(const std::string& text) {
  std::istringstream words(text);
  std::vector<T> numbers;
  for (T number; words >> number;) numbers.push_back(number);
  return numbers;
}

/// tests/nn/goldens/layers.txt, which make_layers.py describes.
std::vector<Golden> read_goldens() {
  std::ifstream file(CONVT3D_NN_GOLDENS "/layers.txt");
  std::vector<Golden> goldens;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    std::istringstream fields(line);
    Golden golden;
    std::string dtype, shape, outputs;
    std::getline(fields, golden.name, '\t');
    std::getline(fields, golden.repr, '\t');
    std::getline(fields, dtype, '\t');
    std::getline(fields, shape, '\t');
    std::getline(fields, outputs, '\t');
    golden.dtype = dtype_from_name(dtype).value();
    golden.shape = numbers_in<std::int64_t>(shape);
    golden.outputs = numbers_in<double>(outputs);
    goldens.push_back(golden);
  }
  return goldens;
}

std::unique_ptr<Layer> upsample_named(const std::string& name) {
  using Factors = std::array<double, 3>;
  constexpr auto kTrilinear = Upsample::Mode::kTrilinear;
  if (name == "up_nearest") return make_layer(Upsample{.scale_factor = Factors{2, 2, 2}});
  if (name == "up_nearest_uneven") return make_layer(Upsample{.scale_factor = Factors{1.5, 2.5, 0.6}});
  if (name == "up_nearest_size") return make_layer(Upsample{.size = {{3, 7, 3}}});
  if (name == "up_trilinear") return make_layer(Upsample{.scale_factor = Factors{2, 2, 2}, .mode = kTrilinear});
  if (name == "up_trilinear_uneven") {
    return make_layer(Upsample{.scale_factor = Factors{1.5, 2.3, 0.75}, .mode = kTrilinear});
  }
  if (name == "up_trilinear_size") return make_layer(Upsample{.size = {{3, 7, 3}}, .mode = kTrilinear});
  Upsample corners{.mode = kTrilinear, .align_corners = true};
  if (name == "up_trilinear_corners") corners.size = {5, 7, 3};
  if (name == "up_trilinear_corners_by_factor") corners.scale_factor = {3, 3, 3};
  if (name == "up_trilinear_corners_of_one") corners.size = {1, 1, 9};
  return make_layer(corners);
}

std::unique_ptr<Layer> layer_named(const std::string& name) {
  const auto slopes = [](std::vector<float> values) {
    const auto count = static_cast<std::int64_t>(values.size());
    return PReLU{Tensor::from(values, {count})};
  };
  const auto vector = [](std::vector<float> values) { return Tensor::from(values, {3}); };
  BatchNorm3d norm{.running_mean = vector({0.5f, -2.0f, 1.25f}), .running_var = vector({0.25f, 3.0f, 1.5f})};
  if (name == "batch_norm_plain") {
    norm.eps = 0.01;
    norm.momentum = std::nullopt;
    return make_layer(norm);
  }
  norm.weight = vector({0.5f, -1.0f, 0.125f});
  norm.bias = vector({-0.75f, 0.5f, 2.0f});
  if (name == "batch_norm") return make_layer(norm);
  if (name == "instance_norm") return make_layer(InstanceNorm3d{.num_features = 3});
  if (name == "instance_norm_affine") {
    return make_layer(
        InstanceNorm3d{.num_features = 3, .eps = 0.01, .momentum = 0.2, .weight = norm.weight, .bias = norm.bias});
  }
  if (name == "instance_norm_running") {
    return make_layer(InstanceNorm3d{.num_features = 3,
                                     .weight = norm.weight,
                                     .bias = norm.bias,
                                     .running_mean = norm.running_mean,
                                     .running_var = norm.running_var});
  }
  if (name == "group_norm") {
    return make_layer(GroupNorm{.num_groups = 1, .num_channels = 3, .weight = norm.weight, .bias = norm.bias});
  }
  if (name == "group_norm_plain") return make_layer(GroupNorm{.num_groups = 3, .num_channels = 3, .eps = 0.5});
  // PyTorch's pads run (left, right, top, bottom, front, back).
  const Margins replicated{.begin = {0, 2, 1}, .end = {3, 1, 0}};
  const Margins reflected{.begin = {1, 0, 3}, .end = {1, 2, 1}};
  if (name == "relu") return make_layer(ReLU{});
  if (name == "relu_inplace") return make_layer(ReLU{.inplace = true});
  if (name == "leaky_relu") return make_layer(LeakyReLU{});
  if (name == "leaky_relu_steep") return make_layer(LeakyReLU{.negative_slope = 0.2, .inplace = true});
  if (name == "prelu") return make_layer(slopes({0.25f}));
  if (name == "prelu_channels") return make_layer(slopes({0.5f, -1.0f, 0.125f}));
  if (name == "elu") return make_layer(ELU{});
  if (name == "elu_half") return make_layer(ELU{.alpha = 0.5});
  if (name == "gelu") return make_layer(GELU{});
  if (name == "gelu_tanh") return make_layer(GELU{.approximate = GELU::Approximate::kTanh});
  if (name == "silu") return make_layer(SiLU{});
  if (name == "sigmoid") return make_layer(Sigmoid{});
  if (name == "tanh") return make_layer(Tanh{});
  if (name == "softplus") return make_layer(Softplus{});
  if (name == "softplus_sharp") return make_layer(Softplus{.beta = 2.5, .threshold = 3.5});
  if (name == "hardtanh") return make_layer(Hardtanh{});
  if (name == "hardtanh_relu6") return make_layer(Hardtanh{.min_val = 0, .max_val = 6});
  if (name == "clamp") return make_layer(Clamp{.min = -1.5, .max = 2});
  if (name == "clamp_below") return make_layer(Clamp{.min = 0});
  if (name == "softmax") return make_layer(Softmax{});
  if (name == "pixel_shuffle") return make_layer(PixelShuffle3d{2});
  if (name.starts_with("up_")) return upsample_named(name);
  if (name == "pad_replicate") return make_layer(Pad{.mode = PadMode::kReplicate, .padding = replicated});
  if (name == "pad_reflect") return make_layer(Pad{.mode = PadMode::kReflect, .padding = reflected});
  throw std::runtime_error("no layer for the golden " + name);
}

TEST(LayerGoldens, PrintAndComputeAsPyTorch) {
  const std::vector<Golden> goldens = read_goldens();
  ASSERT_EQ(goldens.size(), 78u);
  for (const Golden& golden : goldens) {
    SCOPED_TRACE(golden.name + " " + std::string(name_of(golden.dtype)));
    const std::unique_ptr<Layer> layer = layer_named(golden.name);
    EXPECT_EQ(layer->repr(), golden.repr);

    Tensor input = Tensor::empty(golden.shape, DType::kFloat64);
    for (std::int64_t i = 0; i < input.size(); ++i) input.data<double>()[i] = static_cast<double>(i) / 8 - 6;
    const Tensor output = convert(layer->forward(convert(input, golden.dtype), {}), DType::kFloat64);
    ASSERT_EQ(output.size(), static_cast<std::int64_t>(golden.outputs.size()));
    const double epsilon = golden.dtype == DType::kFloat32 ? 0x1p-23 : 0x1p-52;
    for (std::int64_t i = 0; i < output.size(); ++i) {
      const double expected = golden.outputs[static_cast<std::size_t>(i)];
      // 4 ulp of the result, or of 1 where PyTorch's own formula cancels (1 + erf(x) and exp(x) - 1).
      EXPECT_NEAR(output.data<double>()[i], expected, 4 * epsilon * std::max(1.0, std::fabs(expected))) << "element " << i;
    }
  }
}

}  // namespace
