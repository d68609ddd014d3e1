#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "convt3d/model/model.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"
#include "support/arrays.hpp"

namespace {

using namespace convt3d;

const std::vector<std::string> kInterpolating = {"bspline3_x2", "cubic_x2",     "lanczos3_x2",
                                                 "nearest_x2",  "trilinear_x2", "trilinear_z4"};

Model load_shipped(const std::string& name) { return load_model(find_config(name)); }

Tensor volume(const Shape& shape, const auto& value_at) {
  Tensor tensor = Tensor::empty(shape);
  const ConstTensorView view = std::as_const(tensor).view();
  const auto& [d, h, w] = std::array{view.extent.d, view.extent.h, view.extent.w};
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    tensor.data<float>()[i] = static_cast<float>(value_at(i / w / h % d, i / w % h, i % w));
  }
  return tensor;
}

TEST(ShippedConfigs, AreAllThereWithADescriptionAndLoadWithoutWarnings) {
  std::vector<std::string> names;
  for (const ShippedConfig& config : shipped_configs()) {
    names.push_back(config.name);
    EXPECT_FALSE(config.description.empty()) << config.name;
    const Model model = load_model(config.path);
    EXPECT_EQ(model.name, config.name);
    EXPECT_EQ(model.description, config.description);
    EXPECT_TRUE(model.warnings.empty()) << model.warnings.front();
    EXPECT_EQ(model.sha256.size(), 64u);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"autoencoder", "bspline3_x2", "cubic_x2", "decoder_64_32", "espcn3d_x2",
                                             "fsrcnn3d_x2", "gan3d", "lanczos3_x2", "monai_unet", "nearest_x2",
                                             "nnunet_decoder", "residual_sr_x2", "trilinear_x2", "trilinear_z4", "vnet"}));
}

TEST(ShippedConfigs, GiveTheShapesThatTheirDescriptionsSay) {
  const std::vector<std::tuple<std::string, Shape, Shape>> networks = {
      {"autoencoder", {1, 4, 3, 4, 5}, {1, 1, 12, 16, 20}},  {"espcn3d_x2", {2, 1, 3, 4, 5}, {2, 1, 6, 8, 10}},
      {"fsrcnn3d_x2", {2, 1, 3, 4, 5}, {2, 1, 6, 8, 10}},    {"gan3d", {1, 200, 1, 1, 1}, {1, 1, 32, 32, 32}},
      {"monai_unet", {1, 1, 4, 6, 8}, {1, 2, 4, 6, 8}},      {"nnunet_decoder", {1, 320, 1, 1, 2}, {1, 32, 16, 16, 32}},
      {"residual_sr_x2", {2, 1, 3, 4, 5}, {2, 1, 6, 8, 10}}, {"vnet", {1, 16, 4, 6, 8}, {1, 32, 4, 6, 8}},
  };
  for (const auto& [name, input, expected] : networks) {
    SCOPED_TRACE(name);
    const Model model = load_shipped(name);
    EXPECT_EQ(model.in_channels, input[1]);
    EXPECT_NE(model.description.find("Seeded random weights"), std::string::npos);
    const Tensor volumes = Tensor::from(testing_support::standard_normal<float>(element_count(input), 1), input);
    const Tensor output = model.layers.forward(volumes, {.threads = 2});
    EXPECT_EQ(output.shape(), expected);
    EXPECT_TRUE(std::ranges::all_of(output.values<float>(), [](float value) { return std::isfinite(value); }));
  }
}

class Interpolating : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Shipped, Interpolating, testing::ValuesIn(kInterpolating),
                         [](const auto& test) { return test.param; });

/// Voxels per input voxel on each axis.
Extent3 factor_of(const std::string& name) { return name == "trilinear_z4" ? Extent3(4, 1, 1) : Extent3(2); }

TEST_P(Interpolating, KeepsTheFieldOfViewThePixelTypeAndAnyNumberOfChannels) {
  const Model model = load_shipped(GetParam());
  const Extent3 factor = factor_of(GetParam());
  const Sampling sampling = model.layers.sampling({1, 1, 5, 6, 7});
  for (int axis = 0; axis < 3; ++axis) {
    const auto at = static_cast<std::size_t>(axis);
    const double step = 1.0 / static_cast<double>(factor[axis]);
    EXPECT_EQ(sampling.step[at], step);
    EXPECT_EQ(sampling.offset[at], 0.5 * (step - 1));  // the outer face, index -1/2, stays where it is
  }
  EXPECT_TRUE(model.output_same);
  EXPECT_FALSE(model.output_type);
  EXPECT_FALSE(model.in_channels);
  EXPECT_EQ(model.layers.output_shape({2, 3, 5, 6, 7}), (Shape{2, 3, 5 * factor.d, 6 * factor.h, 7 * factor.w}));
}

TEST_P(Interpolating, EachPhaseSumsToOne) {
  const Model model = load_shipped(GetParam());
  const auto* layer = dynamic_cast<const ConvTranspose3dLayer*>(&model.layers[model.layers.size() - 1]);
  ASSERT_NE(layer, nullptr);
  const ConvTranspose3dOptions& options = layer->module().options();
  const auto& [k, s] = std::array{options.kernel_size, options.stride};
  EXPECT_FALSE(options.bias);
  const Tensor& weight = layer->module().weight();
  ASSERT_EQ(weight.shape(), (Shape{1, 1, k.d, k.h, k.w}));
  std::vector<double> sums(static_cast<std::size_t>(s.d * s.h * s.w), 0.0);
  for (std::int64_t i = 0; i < weight.size(); ++i) {
    const std::int64_t phase = (i / k.w / k.h % s.d * s.h + i / k.w % k.h % s.h) * s.w + i % k.w % s.w;
    sums[static_cast<std::size_t>(phase)] += static_cast<double>(weight.data<float>()[i]);
  }
  for (const double sum : sums) EXPECT_NEAR(sum, 1, 1e-7);
}

TEST_P(Interpolating, KeepsAConstantUpToTheEdges) {
  const Model model = load_shipped(GetParam());
  const Tensor output = model.layers.forward(volume({1, 2, 4, 5, 6}, [](auto...) { return 1000; }));
  for (const float value : output.values<float>()) ASSERT_NEAR(value, 1000, 1e-3);
}

/// Positions of the outputs of one axis among the inputs.
double position(const std::string& name, int axis, std::int64_t o) {
  const auto factor = static_cast<double>(factor_of(name)[axis]);
  return static_cast<double>(o) / factor + 0.5 * (1 / factor - 1);
}

/// What the ramp's value would be where outputs outside of the outermost inputs' centres take the nearest one.
double clamped(double position, std::int64_t extent) { return std::clamp(position, 0.0, static_cast<double>(extent - 1)); }

TEST(TrilinearConfigs, KeepARampAndTakeTheNearestBeyondTheOutermostCentres) {
  for (const std::string name : {"trilinear_x2", "trilinear_z4"}) {
    SCOPED_TRACE(name);
    const Extent3 in(5, 6, 7);
    const Model model = load_shipped(name);
    const Tensor output = model.layers.forward(
        volume({1, 1, in.d, in.h, in.w}, [](auto d, auto h, auto w) { return 100 * d + 10 * h - 3 * w + 7; }));
    const ConstTensorView view = output.view();
    for (std::int64_t i = 0; i < output.size(); ++i) {
      const double d = clamped(position(name, 0, i / view.extent.w / view.extent.h), in.d);
      const double h = clamped(position(name, 1, i / view.extent.w % view.extent.h), in.h);
      const double w = clamped(position(name, 2, i % view.extent.w), in.w);
      ASSERT_NEAR(output.data<float>()[i], 100 * d + 10 * h - 3 * w + 7, 1e-4) << "voxel " << i;
    }
  }
}

TEST(SmoothConfigs, KeepARampInside) {
  for (const std::string name : {"cubic_x2", "bspline3_x2"}) {
    SCOPED_TRACE(name);
    const Tensor output =
        load_shipped(name).layers.forward(volume({1, 1, 24, 6, 6}, [](auto d, auto, auto) { return 100 * d + 7; }));
    // A cubic reaches 2 voxels; the mirror at a B-spline's edge fades by 0.268 for each voxel.
    const std::int64_t margin = name == "cubic_x2" ? 2 : 10;
    for (std::int64_t od = 2 * margin; od < 48 - 2 * margin; ++od) {
      ASSERT_NEAR(output.data<float>()[od * 12 * 12 + 70], 100 * position(name, 0, od) + 7, 5e-3) << "slice " << od;
    }
  }
}

TEST(NearestConfig, RepeatsEachVoxel) {
  const Tensor input = Tensor::from(testing_support::standard_normal<float>(2 * 3 * 4 * 5, 1), {1, 2, 3, 4, 5});
  const Tensor output = load_shipped("nearest_x2").layers.forward(input);
  ASSERT_EQ(output.shape(), (Shape{1, 2, 6, 8, 10}));
  for (std::int64_t i = 0; i < output.size(); ++i) {
    const std::int64_t w = i % 10 / 2, h = i / 10 % 8 / 2, d = i / 80 % 6 / 2, c = i / 480;
    ASSERT_EQ(output.data<float>()[i], input.data<float>()[((c * 3 + d) * 4 + h) * 5 + w]);
  }
}

TEST(BSplineConfig, InterpolatesASmoothFunctionFarBetterThanTrilinear) {
  const auto wave = [](double d, double h, double w) {
    return std::cos(0.6 * d) * std::cos(0.5 * h + 1) * std::cos(0.7 * w);
  };
  const Tensor input = volume({1, 1, 30, 30, 30}, [&](auto d, auto h, auto w) {
    return wave(static_cast<double>(d), static_cast<double>(h), static_cast<double>(w));
  });
  const auto worst = [&](const std::string& name) {
    const Tensor output = load_shipped(name).layers.forward(input);
    double error = 0;
    for (std::int64_t i = 0; i < output.size(); ++i) {
      const std::array<std::int64_t, 3> o = {i / 3600, i / 60 % 60, i % 60};
      if (std::any_of(o.begin(), o.end(), [](std::int64_t at) { return at < 20 || at >= 40; })) continue;
      const double exact = wave(position(name, 0, o[0]), position(name, 1, o[1]), position(name, 2, o[2]));
      error = std::max(error, std::fabs(static_cast<double>(output.data<float>()[i]) - exact));
    }
    return error;
  };
  EXPECT_LT(worst("bspline3_x2"), 0.002);
  EXPECT_LT(worst("lanczos3_x2"), 0.03);
  EXPECT_GT(worst("trilinear_x2"), 0.05);
}

TEST(DecoderConfig, IsTheModuleOfSeed0) {
  const Model model = load_shipped("decoder_64_32");
  EXPECT_EQ(model.in_channels, 64);
  EXPECT_EQ(model.output_type, DType::kFloat32);
  EXPECT_FALSE(model.output_same);
  const ConvTranspose3d module({.in_channels = 64, .out_channels = 32, .kernel_size = 4, .stride = 2, .padding = 1});
  const auto* layer = dynamic_cast<const ConvTranspose3dLayer*>(&model.layers[0]);
  ASSERT_NE(layer, nullptr);
  const auto same = [](const Tensor& a, const Tensor& b) {
    return a.shape() == b.shape() &&
           std::equal(a.values<float>().begin(), a.values<float>().end(), b.values<float>().begin());
  };
  EXPECT_TRUE(same(layer->module().weight(), module.weight()));
  EXPECT_TRUE(same(*layer->module().bias(), *module.bias()));
  EXPECT_EQ(model.layers[0].repr(), "ConvTranspose3d(64, 32, kernel_size=(4, 4, 4), stride=(2, 2, 2), padding=(1, 1, 1))");
}

}  // namespace
