// The module Conv3d, its functional form and its layer, as a user of the library meets them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <convt3d/convt3d.hpp>

#include "support/goldens.hpp"
#include "support/refusal.hpp"
#include "support/run.hpp"

namespace testing_support {
namespace {

using convt3d::Conv3d;
using convt3d::Conv3dLayer;
using convt3d::Conv3dOptions;
using convt3d::Conv3dPadding;
using convt3d::ConvTranspose3d;
using convt3d::DType;
using convt3d::Shape;
using convt3d::Tensor;

Conv3dOptions conv3d_of(const GoldenLine& line) {
  const std::vector<std::int64_t> weight = line.integers("w");
  Conv3dOptions options = {.in_channels = weight.at(1) * line.integer("groups"),
                           .out_channels = weight.at(0),
                           .kernel_size = {weight.at(2), weight.at(3), weight.at(4)},
                           .stride = line.extent("stride"),
                           .dilation = line.extent("dilation"),
                           .groups = line.integer("groups"),
                           .bias = line.integer("bias") != 0,
                           .padding_mode = convt3d::pad_mode_from_name(line.text("padding_mode")).value()};
  const bool word = std::isalpha(line.text("padding").front()) != 0;
  options.padding = word ? Conv3dPadding::named(line.text("padding")) : line.extent("padding");
  return options;
}

template <typename T>
Tensor normal_tensor(Shape shape, std::uint64_t seed) {
  return Tensor::from(standard_normal<T>(convt3d::element_count(shape), seed), shape);
}

std::vector<float> values_of(const Tensor& tensor) { return {tensor.values<float>().begin(), tensor.values<float>().end()}; }

// ---- against PyTorch ----

class Conv3dGolden : public testing::TestWithParam<GoldenLine> {
 protected:
  template <typename T>
  void check() {
    const GoldenLine& line = GetParam();
    Lcg lcg(static_cast<std::uint64_t>(line.integer("seed")));
    const auto draw = [&](const Shape& shape) {
      Tensor tensor = Tensor::empty(shape, convt3d::dtype_of<T>());
      for (T& value : tensor.values<T>()) value = static_cast<T>(lcg.symmetric());
      return tensor;
    };
    Conv3dOptions options = conv3d_of(line);
    options.dtype = convt3d::dtype_of<T>();
    const Tensor weight = draw(line.integers("w"));
    std::optional<Tensor> bias;
    if (options.bias) bias = draw({options.out_channels});
    const Tensor x = draw(line.integers("x"));
    const Conv3d module(options, weight, bias);
    EXPECT_EQ(module.output_shape(x.shape()), line.integers("y"));
    expect_golden<T>(module.forward(x));
    if (x.shape().size() == 5) expect_golden<T>(Conv3dLayer(Conv3d(options, weight, bias)).forward(x, {}));
    if (options.padding_mode != convt3d::PadMode::kZeros) return;  // which the functional form has not
    expect_golden<T>(convt3d::functional::conv3d(
        x, weight, bias,
        {.stride = options.stride, .padding = options.padding, .dilation = options.dilation, .groups = options.groups}));
  }

 private:
  template <typename T>
  void expect_golden(const Tensor& y) {
    const GoldenLine& line = GetParam();
    ASSERT_EQ(y.shape(), line.integers("y"));
    std::vector<T> kept;
    for (std::int64_t i = 0; i < y.size(); i += line.integer("step")) kept.push_back(y.data<T>()[i]);
    const Deviation found = deviation(kept, widened(read_golden_values<T>("conv3d.bin", line.integers("values"))));
    EXPECT_LE(found.relative_l2, kAllowed<T>.relative_l2);
    EXPECT_LE(found.relative_most, kAllowed<T>.relative_most);
  }
};

TEST_P(Conv3dGolden, IsReproduced) {
  if (GetParam().text("dtype") == "float32") {
    check<float>();
  } else {
    check<double>();
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Conv3dGolden, testing::ValuesIn(read_golden_lines("conv3d.txt")),
                         [](const auto& line) { return line.param.text("name"); });

TEST(Conv3dModule, PrintsAsPyTorch) {
  for (const GoldenLine& line : read_golden_lines("conv3d_extra_repr.txt")) {
    EXPECT_EQ(Conv3d(conv3d_of(line)).extra_repr(), line.expected());
  }
}

// ---- with ConvTranspose3d ----

/// <conv(x), y> = <x, convT(y)> with the same weight: (out, in/groups, ...) of the one is (in, out/groups, ...) of the
/// other.
TEST(Conv3dModule, IsAdjointToTheTransposedConvolution) {
  Lcg lcg(11);
  for (int i = 0; i < 60; ++i) {
    const std::int64_t groups = lcg.between(1, 3);
    Conv3dOptions options = {.in_channels = groups * lcg.between(1, 20),
                             .out_channels = groups * lcg.between(1, 20),
                             .groups = groups,
                             .bias = false,
                             .dtype = DType::kFloat64};
    Shape input = {2, options.in_channels};
    for (int a = 0; a < 3; ++a) {
      options.kernel_size[a] = lcg.between(1, 5);
      options.stride[a] = lcg.between(1, 4);
      options.dilation[a] = lcg.between(1, 3);
      const std::int64_t reach = options.dilation[a] * (options.kernel_size[a] - 1);
      options.padding.voxels[a] = lcg.between(0, reach + 1);
      input.push_back(std::max<std::int64_t>(1, reach + 1 - 2 * options.padding.voxels[a]) + lcg.between(0, 6));
    }
    const Conv3d forth(options, static_cast<std::uint64_t>(i));
    const Shape out = convt3d::output_shape(options, input);
    convt3d::Extent3 left;  // input voxels behind the last kernel
    for (int a = 0; a < 3; ++a) {
      const auto at = static_cast<std::size_t>(a) + 2;
      left[a] = input[at] + 2 * options.padding.voxels[a] - options.dilation[a] * (options.kernel_size[a] - 1) - 1 -
                (out[at] - 1) * options.stride[a];
    }
    const ConvTranspose3d back({.in_channels = options.out_channels,
                                .out_channels = options.in_channels,
                                .kernel_size = options.kernel_size,
                                .stride = options.stride,
                                .padding = options.padding.voxels,
                                .output_padding = left,
                                .groups = groups,
                                .bias = false,
                                .dilation = options.dilation,
                                .dtype = DType::kFloat64},
                               forth.weight(), std::nullopt);
    const Tensor x = normal_tensor<double>(input, 2 * static_cast<std::uint64_t>(i));
    const Tensor convolved = forth.forward(x);
    const Tensor y = normal_tensor<double>(convolved.shape(), 2 * static_cast<std::uint64_t>(i) + 1);
    const Tensor returned = back.forward(y);
    const auto dot = [](const Tensor& a, const Tensor& b) {
      double sum = 0;
      for (std::int64_t e = 0; e < a.size(); ++e) sum += a.data<double>()[e] * b.data<double>()[e];
      return sum;
    };
    const double scale = std::sqrt(dot(convolved, convolved) * dot(y, y));
    EXPECT_NEAR(dot(convolved, y), dot(x, returned), 1e-13 * scale)
        << forth.extra_repr() << " of " << convt3d::to_string(input);
  }
}

// ---- weights ----

Conv3dOptions small() {
  return {.in_channels = 4, .out_channels = 6, .kernel_size = {2, 3, 4}, .stride = 2, .padding = 1, .groups = 2};
}

TEST(Conv3dModule, DrawsItsWeightsWithinTheKaimingBound) {
  const Conv3d module({.in_channels = 32, .out_channels = 24, .kernel_size = {3, 4, 5}, .groups = 4});
  EXPECT_EQ(module.weight().shape(), (Shape{24, 8, 3, 4, 5}));
  ASSERT_TRUE(module.bias());
  EXPECT_EQ(module.bias()->shape(), Shape{24});
  EXPECT_EQ(module.parameter_count(), 24 * 8 * 60 + 24);
  const double bound = 1 / std::sqrt(32 / 4 * 3 * 4 * 5);
  double most = 0;
  for (const float value : module.weight().values<float>()) most = std::max(most, std::abs(static_cast<double>(value)));
  for (const float value : module.bias()->values<float>()) EXPECT_LE(std::abs(value), bound);
  EXPECT_LE(most, bound);
  EXPECT_GT(most, 0.999 * bound);
  EXPECT_NE(values_of(Conv3d(small(), 1).weight()), values_of(Conv3d(small(), 2).weight()));
}

TEST(Conv3dModule, RunsWithChangedWeightsAtOnce) {
  for (const convt3d::PadMode mode : {convt3d::PadMode::kZeros, convt3d::PadMode::kReplicate}) {
    Conv3dOptions options = small();
    options.padding_mode = mode;
    Conv3d module(options);
    const Tensor x = normal_tensor<float>({2, 4, 5, 6, 7}, 1);
    module.prepare(x.shape());
    Tensor y = module.forward(x);
    const std::vector<float> before = values_of(y);
    module.weight().data<float>()[7] += 1;
    module.bias()->data<float>()[5] = 3;
    module.forward_into(x, y);
    EXPECT_NE(values_of(y), before);
    EXPECT_EQ(values_of(y), values_of(Conv3d(options, module.weight(), module.bias()).forward(x)));
  }
}

TEST(Conv3dModule, ListsThePaddedInputInItsLedger) {
  Conv3dOptions options = small();
  const std::int64_t zeros = ledger_bytes(Conv3d(options).plan({1, 4, 5, 6, 7}));
  options.padding_mode = convt3d::PadMode::kReflect;
  const convt3d::Plan plan = Conv3d(options).plan({1, 4, 5, 6, 7});
  EXPECT_EQ(plan.ledger.back().what, "padded input");
  EXPECT_EQ(plan.ledger.back().bytes, 4 * 4 * 7 * 8 * 9);
  EXPECT_GT(ledger_bytes(plan), zeros);
}

// ---- refusals ----

TEST(Conv3dModule, RefusesWhatDoesNotFit) {
  const Conv3d module(small());
  expect_refused([&] { module.forward(Tensor::zeros({1, 5, 4, 4, 4})); }, {"Conv3d: ", "5 channels", "in_channels = 4"});
  expect_refused([&] { module.forward(Tensor::zeros({4, 4, 4})); }, {"rank 3"});
  expect_refused([&] { module.forward(Tensor::zeros({1, 4, 4, 4, 1})); }, {"width", "3 + 1", "padded input 3"});
  expect_refused([&] { module.forward(Tensor::zeros({1, 4, 4, 4, 4}, DType::kFloat64)); }, {"float64", "float32"});
  Tensor wrong = Tensor::zeros({1, 6, 3, 2, 3});
  expect_refused(
      [&] {
        module.forward_into(Tensor::zeros({1, 4, 4, 4, 4}), wrong);
      },
      {"(1, 6, 3, 2, 3)", "expected float32 (1, 6, 3, 2, 2)"});
  const Shape transposed = {4, 3, 2, 3, 4};
  expect_refused([&] { Conv3d(small(), Tensor::zeros(transposed), Tensor::zeros({6})); },
                 {"weight", "(4, 3, 2, 3, 4)", "(6, 2, 2, 3, 4)"});
  expect_refused([&] { Conv3d(small(), module.weight(), Tensor::zeros({5})); }, {"bias", "(5,)", "(6,)"});
  expect_refused([&] { Conv3d(small(), module.weight(), std::nullopt); }, {"bias is missing"});
  Conv3dOptions reflecting = small();
  reflecting.padding = {1, 4, 1};
  reflecting.padding_mode = convt3d::PadMode::kReflect;
  expect_refused([&] { Conv3d(reflecting).forward(Tensor::zeros({1, 4, 4, 4, 4})); }, {"reflect", "4", "height"});
}

}  // namespace
}  // namespace testing_support
