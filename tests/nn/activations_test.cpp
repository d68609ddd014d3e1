#include "convt3d/nn/activations.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "convt3d/nn/python_repr.hpp"
#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::expect_refused;

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Case {
  std::string name;
  std::unique_ptr<Layer> layer;
  double (*exact)(double);
};

std::vector<Case> cases() {
  std::vector<Case> cases;
  const auto add = [&](const char* name, std::unique_ptr<Layer> layer, double (*exact)(double)) {
    cases.push_back({name, std::move(layer), exact});
  };
  add("relu", make_layer(ReLU{}), [](double x) { return x > 0 ? x : 0; });
  add("leaky_relu", make_layer(LeakyReLU{.negative_slope = 0.125}), [](double x) { return x > 0 ? x : 0.125 * x; });
  add("prelu", make_layer(PReLU{Tensor::from(std::vector<float>{0.125f}, {1})}),
      [](double x) { return x > 0 ? x : 0.125 * x; });
  add("elu", make_layer(ELU{.alpha = 0.5}), [](double x) { return x > 0 ? x : 0.5 * std::expm1(x); });
  add("gelu", make_layer(GELU{}), [](double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); });
  add("gelu tanh", make_layer(GELU{.approximate = GELU::Approximate::kTanh}),
      [](double x) {  // z is in an exponent: its rounding counts several times
        const long double wide = x;
        const long double z = -2 * std::sqrt(2 / 3.14159265358979323846L) * (wide + 0.044715L * wide * wide * wide);
        return static_cast<double>(wide / (1 + std::exp(z)));
      });
  add("silu", make_layer(SiLU{}), [](double x) { return x / (1 + std::exp(-x)); });
  add("sigmoid", make_layer(Sigmoid{}), [](double x) { return 1 / (1 + std::exp(-x)); });
  add("tanh", make_layer(Tanh{}), [](double x) { return std::tanh(x); });
  add("softplus", make_layer(Softplus{.beta = 2, .threshold = 10}),
      [](double x) { return 2 * x > 10 ? x : std::log1p(std::exp(2 * x)) / 2; });
  add("hardtanh", make_layer(Hardtanh{.min_val = -0.5, .max_val = 2}),
      [](double x) { return std::min(std::max(x, -0.5), 2.0); });
  return cases;
}

/// (1, 2, 5, 100, 257): more elements than one task takes, and no multiple of a vector.
Tensor mixed_input(DType dtype) {
  const std::vector<double> values = testing_support::uniform<double>(2 * 5 * 100 * 257, 8, 1);
  // To float and back, so that both dtypes start from the same numbers.
  return convert(convert(Tensor::from(values, {1, 2, 5, 100, 257}), DType::kFloat32), dtype);
}

TEST(Activations, MatchTheirFormulasInBothTypes) {
  const Tensor exact_input = mixed_input(DType::kFloat64);
  for (const auto& [name, layer, exact] : cases()) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      SCOPED_TRACE(name + " " + std::string(name_of(dtype)));
      const double tolerance = dtype == DType::kFloat32 ? 0x1p-19 : 0x1p-48;  // 16 ulp
      const Tensor output = convert(layer->forward(mixed_input(dtype), {}), DType::kFloat64);
      ASSERT_EQ(output.shape(), exact_input.shape());
      double worst = 0;
      for (std::int64_t i = 0; i < output.size(); ++i) {
        const double expected = exact(exact_input.data<double>()[i]);
        // Far out, the rounding of an exponent makes a large relative error of a small result; hence the 1e-3.
        worst = std::max(worst, std::fabs(output.data<double>()[i] - expected) / std::max(1e-3, std::fabs(expected)));
      }
      EXPECT_LE(worst, tolerance);
    }
  }
}

TEST(Activations, AreTheSameForAnyNumberOfThreads) {
  for (const auto& [name, layer, exact] : cases()) {
    const Tensor one = layer->forward(mixed_input(DType::kFloat32), {.threads = 1});
    const Tensor four = layer->forward(mixed_input(DType::kFloat32), {.threads = 4});
    EXPECT_TRUE(std::equal(one.values<float>().begin(), one.values<float>().end(), four.values<float>().begin())) << name;
  }
}

TEST(Activations, WorkInPlaceAndSaySo) {
  for (const auto& [name, layer, exact] : cases()) {
    Tensor input = mixed_input(DType::kFloat32);
    const void* const memory = std::as_const(input).raw();
    const Tensor output = layer->forward(std::move(input), {});
    EXPECT_EQ(output.raw(), memory) << name;
    const LayerPlan plan = layer->plan({1, 2, 3, 4, 5}, {});
    EXPECT_TRUE(plan.in_place) << name;
    EXPECT_EQ(plan.output, (Shape{1, 2, 3, 4, 5})) << name;
    EXPECT_EQ(plan.bytes, 0) << name;
  }
}

TEST(Activations, HandNanOn) {
  for (const auto& [name, layer, exact] : cases()) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      const std::vector<double> values(9, std::nan(""));
      const Tensor output =
          convert(layer->forward(convert(Tensor::from(values, {1, 1, 1, 1, 9}), dtype), {}), DType::kFloat64);
      for (const double value : output.values<double>()) EXPECT_TRUE(std::isnan(value)) << name;
    }
  }
}

TEST(Activations, ReachTheirLimitsAtInfinity) {
  const auto at = [](std::unique_ptr<Layer> layer, double x) {
    const Tensor input = convert(Tensor::from(std::vector<double>{x}, {1, 1, 1, 1, 1}), DType::kFloat32);
    return static_cast<double>(layer->forward(input, {}).data<float>()[0]);
  };
  EXPECT_EQ(at(make_layer(Sigmoid{}), kInf), 1);
  EXPECT_EQ(at(make_layer(Sigmoid{}), -kInf), 0);
  EXPECT_EQ(at(make_layer(Tanh{}), kInf), 1);
  EXPECT_EQ(at(make_layer(Tanh{}), -kInf), -1);
  EXPECT_EQ(at(make_layer(ELU{}), kInf), kInf);
  EXPECT_EQ(at(make_layer(ELU{}), -kInf), -1);
  EXPECT_EQ(at(make_layer(SiLU{}), kInf), kInf);
  EXPECT_EQ(at(make_layer(GELU{}), kInf), kInf);
  EXPECT_EQ(at(make_layer(Softplus{}), kInf), kInf);
  EXPECT_EQ(at(make_layer(Softplus{}), -kInf), 0);
}

TEST(Activations, TakeEmptyBatches) {
  for (const auto& [name, layer, exact] : cases()) {
    EXPECT_EQ(layer->forward(Tensor::zeros({0, 2, 3, 4, 5}), {}).shape(), (Shape{0, 2, 3, 4, 5})) << name;
  }
}

TEST(Activations, RefuseOtherRanksAndTypes) {
  for (const auto& [name, layer, exact] : cases()) {
    SCOPED_TRACE(name);
    expect_refused([&] { layer->forward(Tensor::zeros({2, 3, 4, 5}), {}); }, {"(N, C, D, H, W)", "(2, 3, 4, 5)"});
    expect_refused([&] { layer->output_shape({2, 3, 4, 5}); }, {"(N, C, D, H, W)"});
    expect_refused([&] { layer->forward(Tensor::zeros({1, 1, 1, 1, 2}, DType::kInt16), {}); }, {"float32", "int16"});
  }
}

TEST(Activations, RefuseArgumentsWithoutMeaning) {
  expect_refused([] { make_layer(Hardtanh{.min_val = 2, .max_val = 1.5}); }, {"min_val < max_val", "2.0", "1.5"});
  expect_refused([] { make_layer(Softplus{.beta = 0}); }, {"beta", "0"});
  expect_refused([] { make_layer(PReLU{Tensor::zeros({2, 2})}); }, {"(channels,)", "(2, 2)"});
}

TEST(PRelu, HasOneSlopeForAllOrOnePerChannel) {
  const std::unique_ptr<Layer> layer = make_layer(PReLU{Tensor::from(std::vector<float>{2, 3, 4}, {3})});
  EXPECT_EQ(layer->parameter_count(), 3);
  const Tensor output = layer->forward(Tensor::from(std::vector<float>(12, -1), {2, 3, 1, 1, 2}), {});
  const std::vector<float> expected = {-2, -2, -3, -3, -4, -4, -2, -2, -3, -3, -4, -4};
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), output.values<float>().begin()));
  expect_refused([&] { layer->output_shape({1, 2, 1, 1, 1}); }, {"PReLU(num_parameters=3)", "3 channels", "2 channels"});
}

TEST(PythonRepr, IsPythons) {
  EXPECT_EQ(python_repr(1), "1.0");
  EXPECT_EQ(python_repr(0), "0.0");
  EXPECT_EQ(python_repr(-0.25), "-0.25");
  EXPECT_EQ(python_repr(0.01), "0.01");
  EXPECT_EQ(python_repr(1e-4), "0.0001");
  EXPECT_EQ(python_repr(1e-5), "1e-05");
  EXPECT_EQ(python_repr(123456789012345.0), "123456789012345.0");
  EXPECT_EQ(python_repr(1e16), "1e+16");
  EXPECT_EQ(python_repr(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(python_repr(-kInf), "-inf");
}

}  // namespace
