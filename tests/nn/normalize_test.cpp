// Intensities to what networks want and back, against the definitions; percentiles are numpy.percentile's.
#include "convt3d/nn/normalize.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/nn/activations.hpp"
#include "convt3d/nn/conv3d_layer.hpp"
#include "convt3d/nn/fuse.hpp"
#include "convt3d/nn/range_statistics.hpp"
#include "convt3d/nn/sequential.hpp"
#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::expect_refused;
using testing_support::standard_normal;
using Mode = Normalize::Mode;

/// Like a scan: far from 0, with a few values far out, negative ones among them.
template <typename T>
Tensor scan(const Shape& shape) {
  std::vector<T> values = standard_normal<T>(element_count(shape), 12);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = values[i] * T(30) + T(i % 97 == 0 ? -900 : 1000);
  return Tensor::from(values, shape);
}

/// Percentile p of the values as NumPy has it: between the neighbouring ranks of p/100·(n - 1).
double percentile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  const double rank = p / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const double above = values[std::min(below + 1, values.size() - 1)];
  return values[below] + (rank - std::floor(rank)) * (above - values[below]);
}

ValueRange definition(const std::vector<double>& values, const Normalize& normalize) {
  if (normalize.mode == Mode::kPercentiles) {
    const double low = percentile(values, normalize.low);
    return {low, percentile(values, normalize.high) - low};
  }
  if (normalize.mode == Mode::kMinMax) {
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    return {*least, *most - *least};
  }
  long double mean = 0, variance = 0;
  for (const double value : values) mean += value / static_cast<long double>(values.size());
  for (const double value : values) variance += (value - mean) * (value - mean) / static_cast<long double>(values.size());
  return {static_cast<double>(mean), static_cast<double>(std::sqrt(variance))};
}

template <typename T>
void expect_normalized(const Normalize& normalize, const Shape& shape, double bound) {
  const Tensor input = scan<T>(shape);
  const auto layer = make_layer(normalize);
  SCOPED_TRACE(layer->repr());
  const Tensor output = layer->forward(input, {.threads = 3});
  const std::int64_t voxels = shape[2] * shape[3] * shape[4];
  for (std::int64_t channel = 0; channel < shape[0] * shape[1]; ++channel) {
    const std::span<const T> its =
        input.values<T>().subspan(static_cast<std::size_t>(channel * voxels), static_cast<std::size_t>(voxels));
    const ValueRange range = definition({its.begin(), its.end()}, normalize);
    for (std::int64_t i = 0; i < voxels; ++i) {
      double expected = (static_cast<double>(its[static_cast<std::size_t>(i)]) - range.centre) / range.scale;
      if (normalize.mode != Mode::kZScore) expected = std::clamp(expected, 0.0, 1.0);
      ASSERT_NEAR(static_cast<double>(output.data<T>()[channel * voxels + i]), expected,
                  bound * std::max(1.0, std::abs(expected)))
          << "channel " << channel << ", voxel " << i;
    }
  }
}

TEST(Normalize, IsTheDefinition) {
  for (const Mode mode : {Mode::kZScore, Mode::kMinMax, Mode::kPercentiles}) {
    expect_normalized<float>({.mode = mode}, {2, 3, 7, 9, 11}, 3e-7);
    expect_normalized<double>({.mode = mode}, {2, 3, 7, 9, 11}, 1e-12);
  }
}

TEST(Normalize, TakesPercentilesAsNumPy) {
  for (const auto& [low, high] :
       {std::pair(0.0, 100.0), std::pair(25.0, 50.0), std::pair(33.3, 33.4), std::pair(2.0, 98.0)}) {
    expect_normalized<float>({.mode = Mode::kPercentiles, .low = low, .high = high}, {1, 2, 5, 4, 3}, 1e-6);
  }
  expect_normalized<float>({.mode = Mode::kPercentiles}, {1, 1, 90, 100, 80}, 3e-7);  // in several parts
  expect_normalized<double>({.mode = Mode::kPercentiles, .low = 10, .high = 60}, {1, 2, 1, 2, 2}, 1e-12);
}

TEST(Normalize, OfAConstantIsZero) {
  for (const Mode mode : {Mode::kZScore, Mode::kMinMax, Mode::kPercentiles}) {
    const Tensor output =
        make_layer(Normalize{.mode = mode})->forward(Tensor::from(std::vector<float>(24, 7.3F), {1, 1, 2, 3, 4}), {});
    for (const float value : output.values<float>()) EXPECT_EQ(value, 0);
  }
}

TEST(Normalize, HandsNanToItsChannel) {
  for (const Mode mode : {Mode::kZScore, Mode::kMinMax, Mode::kPercentiles}) {
    Tensor input = scan<float>({1, 2, 3, 4, 5});
    input.data<float>()[7] = std::numeric_limits<float>::quiet_NaN();
    const Tensor output = make_layer(Normalize{.mode = mode})->forward(std::move(input), {});
    for (std::int64_t i = 0; i < 120; ++i) EXPECT_EQ(std::isnan(output.data<float>()[i]), i < 60) << i;
  }
}

TEST(Normalize, TakesMeanAndStdAsGiven) {
  const auto layer = make_layer(Normalize{.mode = Mode::kGiven, .mean = {2, 4}, .std = {8}});
  EXPECT_EQ(layer->repr(), "Normalize(mean=[2.0, 4.0], std=8.0)");
  const Tensor output = layer->forward(Tensor::from(std::vector<float>{10, 12}, {1, 2, 1, 1, 1}), {});
  EXPECT_EQ(output.data<float>()[0], 1);
  EXPECT_EQ(output.data<float>()[1], 1);
  expect_refused([&] { layer->output_shape({1, 3, 1, 1, 1}); }, {"2 channels", "3 channels"});
}

Sequential there_and_back(const Normalize& normalize) {
  Sequential stack;
  stack.append(make_layer(normalize), "n");
  stack.append(make_layer(Hardtanh{.min_val = -1e9, .max_val = 1e9}));  // done by the layer before it
  stack.append(make_layer(Denormalize{}), "", 0);
  return stack;
}

TEST(Denormalize, UndoesWhatNormalizeDid) {
  for (const Mode mode : {Mode::kZScore, Mode::kMinMax}) {
    for (const bool fused : {false, true}) {
      const Tensor input = scan<float>({2, 3, 4, 5, 6});
      Sequential stack = there_and_back({.mode = mode});
      if (fused) stack = fuse(std::move(stack));
      const Tensor output = stack.forward(input);
      for (std::int64_t i = 0; i < input.size(); ++i)
        ASSERT_NEAR(output.data<float>()[i], input.data<float>()[i], 2e-3) << i;
    }
  }
}

TEST(Denormalize, CutsOffAtPercentiles) {
  const Tensor input = scan<double>({1, 1, 4, 5, 6});
  const Tensor output = there_and_back({.mode = Mode::kPercentiles, .low = 10, .high = 90}).forward(input);
  const std::vector<double> values(input.values<double>().begin(), input.values<double>().end());
  const double low = percentile(values, 10), high = percentile(values, 90);
  for (std::int64_t i = 0; i < input.size(); ++i) {
    ASSERT_NEAR(output.data<double>()[i], std::clamp(values[static_cast<std::size_t>(i)], low, high), 1e-9) << i;
  }
}

TEST(Denormalize, TakesTheRangeOfOneChannelForAll) {
  Sequential stack;
  stack.append(make_layer(Normalize{.mode = Mode::kMinMax}), "n");
  Tensor weight = Tensor::from(std::vector<float>{1, 0.5F}, {2, 1, 1, 1, 1});
  stack.append(std::make_unique<Conv3dLayer>(
      Conv3d({.in_channels = 1, .out_channels = 2, .kernel_size = 1, .bias = false}, std::move(weight), std::nullopt)));
  stack.append(make_layer(Denormalize{}), "", 0);
  const Tensor output = stack.forward(Tensor::from(std::vector<float>{100, 150, 200}, {1, 1, 1, 1, 3}));
  const std::vector<float> expected = {100, 150, 200, 100, 125, 150};
  EXPECT_TRUE(std::ranges::equal(output.values<float>(), expected));
}

TEST(Denormalize, UndoesWhatWasGiven) {
  const Normalize given{.mode = Mode::kGiven, .mean = {2, 4}, .std = {8, 16}};
  const Tensor input = scan<double>({2, 2, 2, 3, 4});
  const Tensor output = make_inverse(given)->forward(make_layer(given)->forward(input, {}), {});
  for (std::int64_t i = 0; i < input.size(); ++i) EXPECT_NEAR(output.data<double>()[i], input.data<double>()[i], 1e-9);
}

TEST(Denormalize, IsOfARunAlone) {
  const Sequential stack = there_and_back({.mode = Mode::kZScore});
  const Tensor first = stack.forward(Tensor::from(std::vector<float>{1, 3}, {1, 1, 1, 1, 2}));
  const Tensor second = stack.forward(Tensor::from(std::vector<float>{100, 500}, {1, 1, 1, 1, 2}));
  EXPECT_EQ(first.data<float>()[1], 3);
  EXPECT_EQ(second.data<float>()[1], 500);
}

TEST(Denormalize, RefusesOtherChannelsAndOtherLayers) {
  Sequential stack;
  stack.append(make_layer(Normalize{}), "n");
  stack.append(std::make_unique<Conv3dLayer>(Conv3d({.in_channels = 2, .out_channels = 3, .kernel_size = 1}, 1)));
  stack.append(make_layer(Denormalize{}), "back", 0);
  const std::vector<std::string> words = {"layer 2 \"back\" (denormalize): ", "2 normalised channels", "3 channels arrive"};
  expect_refused([&] { stack.output_shape({1, 2, 3, 4, 5}); }, words);
  expect_refused([&] { stack.plan({1, 2, 3, 4, 5}); }, words);
  expect_refused([&] { stack.append(make_layer(Denormalize{}), "", 1); }, {"normalize", "layer 1"});
  expect_refused([&] { stack.append(make_layer(Denormalize{}), "", Sequential::kInput); }, {"the input"});
  expect_refused([&] { stack.append(make_layer(Denormalize{})); }, {"needs its index"});
  expect_refused([] { make_layer(Denormalize{})->forward(Tensor::zeros({1, 1, 1, 1, 1}), {}); }, {"normalize layer"});
}

TEST(Normalize, Refuses) {
  expect_refused([] { make_layer(Normalize{.mode = Mode::kPercentiles, .low = 50, .high = 50}); }, {"low < high"});
  expect_refused([] { make_layer(Normalize{.mode = Mode::kGiven, .mean = {1}}); }, {"both mean and std"});
  expect_refused([] { make_layer(Normalize{.mode = Mode::kGiven, .mean = {1}, .std = {-1}}); }, {"-1.0", "above 0"});
  expect_refused([] { make_layer(Normalize{})->output_shape({1, 1, 0, 2, 2}); }, {"no voxels"});
  EXPECT_EQ(make_layer(Normalize{})->forward(Tensor::zeros({0, 2, 3, 4, 5}), {}).size(), 0);
}

}  // namespace
