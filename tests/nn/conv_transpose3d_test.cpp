// The module, as a user of the library meets it.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <convt3d/convt3d.hpp>
#include <cstring>
#include <limits>
#include <thread>

#include "support/goldens.hpp"
#include "support/refusal.hpp"
#include "support/run.hpp"

namespace {

// The library section of the interface, word for word.
using namespace convt3d;

TEST(Library, RunsItsOwnExample) {
  // clang-format off
  ConvTranspose3d up({.in_channels = 64, .out_channels = 32, .kernel_size = 4, .stride = 2, .padding = 1});
  std::puts(("ConvTranspose3d(" + up.extra_repr() + ")").c_str());
  up.weight();                                  // Tensor (64, 32, 4, 4, 4), mutable; Kaiming uniform, seed 0
  up.bias();                                    // std::optional<Tensor> (32)

  Tensor x = Tensor::zeros({2, 64, 4, 8, 8});   // float32 unless a DType is given; 5-D, or 4-D unbatched
  Tensor y = up.forward(x);                     // (2, 32, 8, 16, 16)
  Tensor z = up.forward(x, {.output_size = {8, 16, 16}, .threads = 2});

  up.prepare(x.shape(), {.threads = 2});        // plan and pack once ...
  up.forward_into(x, y);                        // ... then run without allocating; y is overwritten
  // clang-format on

  EXPECT_EQ(up.extra_repr(), "64, 32, kernel_size=(4, 4, 4), stride=(2, 2, 2), padding=(1, 1, 1)");
  EXPECT_EQ(up.weight().shape(), (Shape{64, 32, 4, 4, 4}));
  ASSERT_TRUE(up.bias());
  EXPECT_EQ(up.bias()->shape(), Shape{32});
  EXPECT_EQ(y.shape(), (Shape{2, 32, 8, 16, 16}));
  EXPECT_EQ(z.shape(), y.shape());
  EXPECT_EQ(up.parameter_count(), 64 * 32 * 64 + 32);
  // Zeros in, the bias out.
  for (std::int64_t i = 0; i < y.size(); ++i) {
    ASSERT_EQ(y.data<float>()[i], up.bias()->data<float>()[i / (8 * 16 * 16) % 32]) << i;
    ASSERT_EQ(z.data<float>()[i], y.data<float>()[i]) << i;
  }
}

}  // namespace

namespace testing_support {
namespace {

using convt3d::ConvTranspose3d;
using convt3d::ConvTranspose3dOptions;
using convt3d::DType;
using convt3d::Shape;
using convt3d::Tensor;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

std::vector<float> values_of(const Tensor& tensor) { return {tensor.values<float>().begin(), tensor.values<float>().end()}; }

Tensor normal_tensor(Shape shape, std::uint64_t seed) {
  return Tensor::from(standard_normal<float>(convt3d::element_count(shape), seed), shape);
}

// ---- against PyTorch ----

class ModuleGolden : public testing::TestWithParam<GoldenLine> {
 protected:
  template <typename T>
  void check() {
    const GoldenLine& line = GetParam();
    const Arrays<T> arrays = golden_arrays<T>(line);
    ConvTranspose3dOptions options = layer_of(line);
    options.dtype = convt3d::dtype_of<T>();
    const Tensor x = Tensor::from(arrays.input, line.integers("x"));
    const Tensor weight = Tensor::from(arrays.weight, line.integers("w"));
    std::optional<Tensor> bias;
    if (options.bias) bias = Tensor::from(arrays.bias, {options.out_channels});
    const ConvTranspose3d module(options, weight, bias);
    expect_golden<T>(module.forward(x, {.output_size = line.integers("output_size")}));
    if (!line.text("output_size").empty()) return;  // the functional form has output_padding alone
    expect_golden<T>(convt3d::functional::conv_transpose3d(x, weight, bias,
                                                           {.stride = options.stride,
                                                            .padding = options.padding,
                                                            .output_padding = options.output_padding,
                                                            .groups = options.groups,
                                                            .dilation = options.dilation}));
  }

 private:
  template <typename T>
  void expect_golden(const Tensor& y) {
    const GoldenLine& line = GetParam();
    ASSERT_EQ(y.shape(), line.integers("y"));
    std::vector<T> kept;
    for (std::int64_t i = 0; i < y.size(); i += line.integer("step")) kept.push_back(y.data<T>()[i]);
    const Deviation found = deviation(kept, widened(read_golden_values<T>("conv_transpose3d.bin", line.integers("values"))));
    EXPECT_LE(found.relative_l2, kAllowed<T>.relative_l2);
    EXPECT_LE(found.relative_most, kAllowed<T>.relative_most);
  }
};

TEST_P(ModuleGolden, IsReproduced) {
  if (GetParam().text("dtype") == "float32") {
    check<float>();
  } else {
    check<double>();
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, ModuleGolden, testing::ValuesIn(read_golden_lines("conv_transpose3d.txt")),
                         [](const auto& line) { return line.param.text("name"); });

TEST(Module, TakesTheOutputSizesThatPyTorchTakes) {
  for (const GoldenLine& line : read_golden_lines("output_padding.txt")) {
    const ConvTranspose3d module(layer_of(line));
    const convt3d::Extent3 input = line.extent("input");
    const Tensor x = Tensor::zeros({1, 2, input.d, input.h, input.w});
    const std::vector<std::int64_t> size = line.integers("output_size");
    SCOPED_TRACE(line.text("input") + " to " + line.text("output_size") + ", " + module.extra_repr());
    if (line.expected() == "refused") {
      expect_refused([&] { module.forward(x, {.output_size = size}); }, {"output_size"});
    } else {
      const Shape shape = module.forward(x, {.output_size = size}).shape();
      EXPECT_EQ(Shape(shape.end() - 3, shape.end()), Shape(size.end() - 3, size.end()));
    }
  }
}

TEST(Module, TakesAnOutputSizeOfTheRankOfAnUnbatchedInput) {
  const ConvTranspose3d module({.in_channels = 2, .out_channels = 3, .kernel_size = 3, .stride = 2, .padding = 1});
  const Tensor x = Tensor::zeros({2, 3, 4, 5});
  EXPECT_EQ(module.forward(x, {.output_size = {3, 6, 8, 10}}).shape(), (Shape{3, 6, 8, 10}));
  EXPECT_EQ(module.forward(x, {.output_size = {6, 8, 10}}).shape(), (Shape{3, 6, 8, 10}));
  expect_refused([&] { module.forward(x, {.output_size = {1, 3, 6, 8, 10}}); }, {"output_size"});
}

// ---- weights ----

ConvTranspose3dOptions small() {
  return {.in_channels = 4, .out_channels = 6, .kernel_size = {2, 3, 4}, .stride = 2, .padding = 1, .groups = 2};
}

TEST(Initialisation, IsUniformWithinTheKaimingBound) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    ConvTranspose3dOptions options = {
        .in_channels = 32, .out_channels = 24, .kernel_size = {3, 4, 5}, .groups = 4, .dtype = dtype};
    const ConvTranspose3d module(options);
    const double bound = 1 / std::sqrt(24 / 4 * 3 * 4 * 5);
    const Tensor weight = convert(module.weight(), DType::kFloat64);
    double sum = 0;
    double squares = 0;
    double most = 0;
    for (const double value : weight.values<double>()) {
      sum += value;
      squares += value * value;
      most = std::max(most, std::abs(value));
    }
    const auto count = static_cast<double>(weight.size());
    EXPECT_LE(most, bound);
    EXPECT_GT(most, 0.999 * bound);
    // Of 11,520 draws of U(-b, b), whose standard deviation is b/sqrt(3): 5 deviations of the mean and of the mean square.
    EXPECT_NEAR(sum / count, 0, 5 * bound / std::sqrt(3 * count));
    EXPECT_NEAR(squares / count, bound * bound / 3, 5 * bound * bound * std::sqrt(4.0 / 45 / count));
    const Tensor bias = convert(*module.bias(), DType::kFloat64);
    EXPECT_NE(bias.data<double>()[0], bias.data<double>()[1]);
    for (const double value : bias.values<double>()) EXPECT_LE(std::abs(value), bound);
  }
}

TEST(Initialisation, DependsOnTheSeedAlone) {
  const ConvTranspose3d module(small());
  const ConvTranspose3d same(small(), 0);
  const ConvTranspose3d other(small(), 1);
  EXPECT_EQ(values_of(module.weight()), values_of(same.weight()));
  EXPECT_EQ(values_of(*module.bias()), values_of(*same.bias()));
  EXPECT_NE(values_of(module.weight()), values_of(other.weight()));
  EXPECT_NE(values_of(*module.bias()), values_of(*other.bias()));
}

/// Seeds are part of configs: their values may not change from release to release, nor from machine to machine.
TEST(Initialisation, GivesTheValuesItAlwaysGave) {
  ConvTranspose3dOptions options = small();
  const ConvTranspose3d module(options);
  EXPECT_EQ(module.weight().data<float>()[0], 0x1.720feep-4F);
  EXPECT_EQ(module.weight().data<float>()[287], -0x1.c55f8cp-4F);
  EXPECT_EQ(module.bias()->data<float>()[5], -0x1.fdfdd6p-5F);
  const ConvTranspose3d seventh(options, 7);
  EXPECT_EQ(seventh.weight().data<float>()[0], -0x1.a9732p-6F);
  EXPECT_EQ(seventh.bias()->data<float>()[0], 0x1.45bed8p-4F);
  options.dtype = DType::kFloat64;
  EXPECT_DOUBLE_EQ(ConvTranspose3d(options).weight().data<double>()[0], 0x1.720fed683ead4p-4);
}

TEST(Module, HasNoBiasWhereItIsToldSo) {
  ConvTranspose3dOptions options = small();
  options.bias = false;
  ConvTranspose3d module(options);
  EXPECT_FALSE(module.bias());
  EXPECT_EQ(module.parameter_count(), 4 * 3 * 24);
  const Tensor y = module.forward(Tensor::zeros({1, 4, 3, 3, 3}));
  for (const float value : y.values<float>()) EXPECT_EQ(value, 0);
}

/// Output of a fresh module with these parameters.
std::vector<float> fresh_output(const ConvTranspose3d& like, const Tensor& x) {
  return values_of(ConvTranspose3d(like.options(), like.weight(), like.bias()).forward(x));
}

TEST(Module, RunsWithChangedWeightsAtOnce) {
  ConvTranspose3d module(small());
  const Tensor x = normal_tensor({2, 4, 3, 4, 5}, 1);
  Tensor y = module.forward(x);
  module.prepare(x.shape());
  const auto expect_fresh = [&](const char* what) {
    module.forward_into(x, y);
    EXPECT_EQ(values_of(y), fresh_output(module, x)) << what;
    EXPECT_EQ(values_of(module.forward(x)), values_of(y)) << what;
  };
  const std::vector<float> before = values_of(y);
  expect_fresh("unchanged");
  EXPECT_EQ(values_of(y), before);
  float* weight = module.weight().data<float>();
  weight[5] += 1;
  expect_fresh("an element of the weight");
  EXPECT_NE(values_of(y), before);
  weight[module.weight().size() - 1] -= 1;
  expect_fresh("through a pointer from before the last run");
  module.bias()->data<float>()[5] = 7;
  expect_fresh("an element of the bias");
  module.weight() = normal_tensor(module.weight().shape(), 2);
  expect_fresh("another tensor");
  std::swap(module.weight().data<float>()[0], module.weight().data<float>()[1]);
  expect_fresh("two elements swapped");
}

TEST(Module, RefusesWeightsOfAnotherShapeOrDtype) {
  const ConvTranspose3dOptions options = small();
  const Shape shape = {4, 3, 2, 3, 4};
  const Tensor weight = Tensor::zeros(shape);
  const Tensor bias = Tensor::zeros({6});
  const auto refuses = [&](Tensor w, std::optional<Tensor> b, const std::vector<std::string>& words) {
    expect_refused([&] { ConvTranspose3d(options, std::move(w), std::move(b)); }, words);
  };
  refuses(Tensor::zeros({4, 6, 2, 3, 4}), bias, {"weight", "(4, 6, 2, 3, 4)", "(4, 3, 2, 3, 4)"});
  refuses(Tensor::zeros({4, 3, 24}), bias, {"weight", "(4, 3, 24)", "(4, 3, 2, 3, 4)"});
  refuses(Tensor::zeros(shape, DType::kFloat64), bias, {"weight", "float64", "float32"});
  refuses(weight, Tensor::zeros({5}), {"bias", "5", "6"});
  refuses(weight, Tensor::zeros({6, 1}), {"bias", "(6, 1)"});
  refuses(weight, Tensor::zeros({6}, DType::kFloat64), {"bias", "float64", "float32"});
  refuses(weight, std::nullopt, {"bias"});
  ConvTranspose3dOptions without = options;
  without.bias = false;
  expect_refused([&] { ConvTranspose3d(without, weight, bias); }, {"bias"});
  ConvTranspose3d module(options);
  module.weight() = Tensor::zeros({4, 3, 2, 3, 5});
  expect_refused([&] { module.forward(Tensor::zeros({1, 4, 3, 3, 3})); }, {"weight", "(4, 3, 2, 3, 5)", "(4, 3, 2, 3, 4)"});
}

TEST(Module, RefusesInvalidOptionsWhenItIsMade) {
  ConvTranspose3dOptions options = small();
  options.stride = {2, 0, 2};
  expect_refused([&] { ConvTranspose3d module(options); }, {"stride", "height", "at least 1"});
  options = small();
  options.in_channels = std::int64_t{1} << 40;
  options.out_channels = std::int64_t{1} << 40;
  expect_refused([&] { ConvTranspose3d module(options); }, {"2^63"});
}

// ---- inputs ----

TEST(Module, RefusesInputsThatDoNotFit) {
  const ConvTranspose3d module(small());
  const auto refuses = [&](const Tensor& x, const std::vector<std::string>& words) {
    expect_refused([&] { module.forward(x); }, words);
  };
  refuses(Tensor::zeros({4, 3, 3}), {"(4, 3, 3)", "(N, C, D, H, W)", "(C, D, H, W)"});
  refuses(Tensor::zeros({1, 1, 4, 3, 3, 3}), {"(N, C, D, H, W)"});
  refuses(Tensor::zeros({1, 3, 3, 3, 3}), {"3 channels", "in_channels", "4"});
  refuses(Tensor::zeros({3, 3, 3, 3}), {"3 channels", "in_channels", "4"});
  refuses(Tensor::zeros({1, 4, 3, 0, 3}), {"height", "at least 1"});
  refuses(Tensor::zeros({1, 4, 3, 3, 3}, DType::kFloat64), {"float64", "float32"});
  refuses(Tensor::zeros({1, 4, 3, 3, 3}, DType::kUInt8), {"uint8", "float32"});
}

TEST(Module, RefusesOutputsThatWouldBeEmpty) {
  const ConvTranspose3d module({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = {1, 1, 3}});
  expect_refused([&] { module.forward(Tensor::zeros({1, 1, 2, 2, 2})); }, {"width", "-1", "at least 1"});
}

TEST(Module, RefusesOutputsToWriteIntoThatDoNotFit) {
  ConvTranspose3d module(small());
  const Tensor x = Tensor::zeros({2, 4, 3, 4, 5});
  const Shape shape = module.forward(x).shape();  // (2, 6, 4, 7, 10)
  ASSERT_EQ(shape, (Shape{2, 6, 4, 7, 10}));
  const auto refuses = [&](Tensor y, const std::vector<std::string>& words) {
    expect_refused([&] { module.forward_into(x, y); }, words);
  };
  refuses(Tensor::zeros({2, 6, 4, 7, 12}), {"12", "10 to 11"});
  refuses(Tensor::zeros({2, 5, 4, 7, 10}), {"(2, 5, 4, 7, 10)", "(2, 6, 4, 7, 10)"});
  refuses(Tensor::zeros({1, 6, 4, 7, 10}), {"(1, 6, 4, 7, 10)", "(2, 6, 4, 7, 10)"});
  refuses(Tensor::zeros({6, 4, 7, 10}), {"(6, 4, 7, 10)"});
  refuses(Tensor::zeros(shape, DType::kFloat64), {"float64", "float32"});
  Tensor y = Tensor::zeros({2, 6, 5, 7, 10});
  expect_refused([&] { module.forward_into(x, y, {.output_size = {4, 7, 10}}); }, {"(2, 6, 5, 7, 10)", "(2, 6, 4, 7, 10)"});
  EXPECT_NO_THROW(module.forward_into(x, y)) << "the output's shape tells the output_size";
  EXPECT_EQ(values_of(y), values_of(module.forward(x, {.output_size = {5, 7, 10}})));
}

TEST(Module, TakesNoVolumes) {
  const ConvTranspose3d module(small());
  EXPECT_EQ(module.forward(Tensor::zeros({0, 4, 3, 4, 5})).shape(), (Shape{0, 6, 4, 7, 10}));
}

TEST(Module, TakesAnUnbatchedVolumeAsTheBatchOfOne) {
  const ConvTranspose3d module(small());
  const Tensor x = normal_tensor({1, 4, 3, 4, 5}, 3);
  EXPECT_EQ(values_of(module.forward(Tensor(x).reshaped({4, 3, 4, 5}))), values_of(module.forward(x)));
}

TEST(Module, RunsInputsOfManyShapesInTurn) {
  ConvTranspose3d module(small());
  const Tensor x = normal_tensor({1, 4, 3, 4, 5}, 4);
  const Tensor wide = normal_tensor({2, 4, 2, 3, 21}, 5);
  module.prepare(x.shape(), {.threads = 2});
  EXPECT_EQ(values_of(module.forward(x)), fresh_output(module, x));
  EXPECT_EQ(values_of(module.forward(wide)), fresh_output(module, wide));
  EXPECT_EQ(values_of(module.forward(x)), fresh_output(module, x));
}

TEST(Module, TakesAsManyThreadsAsToldWithTheSameResult) {
  const ConvTranspose3d module(small());
  const Tensor x = normal_tensor({2, 4, 5, 6, 7}, 6);
  const std::vector<float> expected = values_of(module.forward(x, {.threads = 1}));
  for (const int threads : {2, 3, 8}) EXPECT_EQ(values_of(module.forward(x, {.threads = threads})), expected) << threads;
  EXPECT_EQ(module.plan(x.shape(), {.threads = 3}).threads, 3);
}

TEST(Module, MayBeUsedByManyThreadsAtOnce) {
  const ConvTranspose3d module(small());
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      // Two threads share a shape, the others have their own: what is packed is fought over.
      const Tensor x = normal_tensor({1, 4, 3, 4, 5 + static_cast<std::int64_t>(thread / 2)}, 10 + thread);
      const std::vector<float> expected = fresh_output(module, x);
      Tensor y = module.forward(x);
      for (int repeat = 0; repeat < 20; ++repeat) {
        module.forward_into(x, y);
        wrong += values_of(y) != expected;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Module, PlansWhatItRuns) {
  const ConvTranspose3d module(small());
  const convt3d::Plan plan = module.plan({3, 4, 3, 4, 5}, {.output_size = {5, 7, 10}, .threads = 2});
  EXPECT_EQ(plan.problem.n, 3);
  EXPECT_EQ(plan.problem.input, convt3d::Extent3(3, 4, 5));
  EXPECT_EQ(plan.problem.output, convt3d::Extent3(5, 7, 10));
  EXPECT_EQ(module.plan({4, 3, 4, 5}).problem.n, 1);
  expect_refused([&] { module.plan({3, 5, 3, 4, 5}); }, {"5 channels"});
  expect_refused([&] { module.plan({1, 4, 3, 4, kMost}); }, {"width"});
}

TEST(Module, MovesWithItsWeights) {
  ConvTranspose3d module(small());
  const Tensor x = normal_tensor({1, 4, 3, 4, 5}, 7);
  const std::vector<float> expected = values_of(module.forward(x));
  ConvTranspose3d moved = std::move(module);
  EXPECT_EQ(values_of(moved.forward(x)), expected);
  ConvTranspose3d other({.in_channels = 1, .out_channels = 1, .kernel_size = 1});
  other = std::move(moved);
  EXPECT_EQ(values_of(other.forward(x)), expected);
}

}  // namespace
}  // namespace testing_support
