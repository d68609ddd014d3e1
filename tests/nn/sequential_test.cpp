#include "convt3d/nn/sequential.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/conv/shape.hpp"
#include "convt3d/nn/activations.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"
#include "convt3d/nn/pad.hpp"
#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::expect_refused;

std::unique_ptr<Layer> up(const ConvTranspose3dOptions& options) {
  return std::make_unique<ConvTranspose3dLayer>(ConvTranspose3d(options, 7));
}

Sequential padded_up() {
  Sequential stack;
  stack.append(make_layer(Pad{PadMode::kReplicate, {.begin = {1, 1, 1}, .end = {1, 1, 1}}}));
  stack.append(up({.in_channels = 2, .out_channels = 3, .kernel_size = 4, .stride = 2, .padding = 3}), "up1");
  stack.append(make_layer(LeakyReLU{}));
  return stack;
}

Tensor normal(const Shape& shape) {
  return Tensor::from(testing_support::standard_normal<float>(element_count(shape), 11), shape);
}

TEST(Sequential, RunsItsLayersInOrder) {
  const Sequential stack = padded_up();
  const Tensor input = normal({1, 2, 3, 4, 5});
  Tensor expected = input;
  for (std::size_t i = 0; i < stack.size(); ++i) expected = stack[i].forward(std::move(expected), {});
  const Tensor output = stack.forward(input);
  ASSERT_EQ(output.shape(), (Shape{1, 3, 6, 8, 10}));
  EXPECT_EQ(output.shape(), stack.output_shape(input.shape()));
  EXPECT_TRUE(std::equal(expected.values<float>().begin(), expected.values<float>().end(), output.values<float>().begin()));
  EXPECT_EQ(stack.parameter_count(), 2 * 3 * 64 + 3);
  EXPECT_EQ(stack.name(1), "up1");
}

TEST(Sequential, ComposesWhereTheLayersSample) {
  // -1 + (o + 3 - 3/2)/2 = o/2 - 1/4: twice the voxels over the same field of view.
  EXPECT_EQ(padded_up().sampling({1, 2, 3, 4, 5}), (Sampling{{0.5, 0.5, 0.5}, {-0.25, -0.25, -0.25}}));
  EXPECT_EQ(Sequential().sampling({1, 2, 3, 4, 5}), Sampling{});
}

TEST(Sequential, PlansEachLayerOnWhatTheOneBeforeItGives) {
  const std::vector<LayerPlan> plans = padded_up().plan({1, 2, 3, 4, 5});
  ASSERT_EQ(plans.size(), 3u);
  EXPECT_EQ(plans[0].output, (Shape{1, 2, 5, 6, 7}));
  EXPECT_EQ(plans[1].input, plans[0].output);
  EXPECT_EQ(plans[1].output, (Shape{1, 3, 6, 8, 10}));
  EXPECT_FALSE(plans[1].algorithm.empty());
  EXPECT_GT(plans[1].flops, 0);
  EXPECT_EQ(plans[2].output, plans[1].output);
}

TEST(Sequential, PutsTheLayerInFrontOfItsError) {
  const Sequential stack = padded_up();
  const std::vector<std::string> words = {"layer 1 \"up1\" (conv_transpose3d): ", "5"};
  expect_refused([&] { stack.output_shape({1, 5, 3, 4, 5}); }, words);
  expect_refused([&] { stack.plan({1, 5, 3, 4, 5}); }, words);
  expect_refused([&] { stack.forward(normal({1, 5, 3, 4, 5})); }, words);
  expect_refused([&] { stack.forward(normal({2, 3, 4, 5})); }, {"layer 0 (pad): ", "(N, C, D, H, W)"});
}

TEST(ConvTranspose3dLayer, IsTheModule) {
  const ConvTranspose3dOptions options{.in_channels = 2, .out_channels = 3, .kernel_size = {2, 3, 4}, .stride = 2};
  const ConvTranspose3dLayer layer{ConvTranspose3d(options, 7)};
  EXPECT_EQ(layer.repr(), "ConvTranspose3d(2, 3, kernel_size=(2, 3, 4), stride=(2, 2, 2))");
  EXPECT_EQ(layer.parameter_count(), 2 * 3 * 24 + 3);
  EXPECT_EQ(layer.sampling({2, 2, 3, 4, 5}), sampling_of(options));
  const Tensor input = normal({2, 2, 3, 4, 5});
  const Tensor expected = layer.module().forward(input);
  const Tensor output = layer.forward(input, {});
  ASSERT_EQ(output.shape(), expected.shape());
  EXPECT_TRUE(std::equal(expected.values<float>().begin(), expected.values<float>().end(), output.values<float>().begin()));
}

TEST(ConvTranspose3dLayer, AsksForItsOutputSize) {
  const ConvTranspose3dOptions options{.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = 1};
  const ConvTranspose3dLayer layer(ConvTranspose3d(options), {6, 8, 9});
  EXPECT_EQ(layer.output_shape({1, 1, 3, 4, 5}), (Shape{1, 1, 6, 8, 9}));
  EXPECT_EQ(layer.plan({1, 1, 3, 4, 5}, {}).output, (Shape{1, 1, 6, 8, 9}));
  EXPECT_EQ(layer.forward(normal({1, 1, 3, 4, 5}), {}).shape(), (Shape{1, 1, 6, 8, 9}));
  expect_refused([&] { layer.output_shape({1, 1, 4, 4, 5}); }, {"output_size", "6"});
  expect_refused([&] { layer.forward(normal({1, 1, 4, 4, 5}), {}); }, {"output_size", "6"});
}

TEST(ConvTranspose3dLayer, SaysWhatWouldReachTheStrideTimesTheInput) {
  ConvTranspose3dOptions options{.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = 1};
  const Shape input = {1, 1, 4, 5, 6};
  const std::string note = ConvTranspose3dLayer(ConvTranspose3d(options)).plan(input, {}).note;
  EXPECT_NE(note.find("output_padding=(1, 1, 1) or output_size=(8, 10, 12)"), std::string::npos) << note;
  options.output_padding = 1;
  EXPECT_EQ(ConvTranspose3dLayer(ConvTranspose3d(options)).plan(input, {}).note, "");
}

TEST(ConvTranspose3dLayer, RunsOneKernelOnEveryChannelAlone) {
  const ConvTranspose3dOptions options{.in_channels = 1, .out_channels = 1, .kernel_size = 4, .stride = 2, .padding = 1};
  const ConvTranspose3dLayer layer(ConvTranspose3d(options, 7), {}, ChannelUse::kEachAlone);
  const Tensor input = normal({2, 3, 3, 4, 5});
  const Tensor output = layer.forward(input, {});
  ASSERT_EQ(output.shape(), (Shape{2, 3, 6, 8, 10}));
  EXPECT_EQ(layer.output_shape(input.shape()), output.shape());
  EXPECT_EQ(layer.plan(input.shape(), {}).output, output.shape());
  const std::int64_t in_volume = 3 * 4 * 5;
  const std::int64_t out_volume = 6 * 8 * 10;
  for (std::int64_t volume = 0; volume < 6; ++volume) {
    const Tensor alone = layer.module().forward(Tensor::from(
        input.values<float>().subspan(static_cast<std::size_t>(volume * in_volume), in_volume), {1, 1, 3, 4, 5}));
    EXPECT_TRUE(
        std::equal(alone.values<float>().begin(), alone.values<float>().end(), output.data<float>() + volume * out_volume));
  }
  EXPECT_EQ(layer.forward(normal({0, 3, 3, 4, 5}), {}).shape(), (Shape{0, 3, 6, 8, 10}));
}

TEST(ConvTranspose3dLayer, RefusesAMixingModuleForEachChannelAlone) {
  const ConvTranspose3dOptions options{.in_channels = 2, .out_channels = 2, .kernel_size = 4};
  expect_refused([&] { ConvTranspose3dLayer(ConvTranspose3d(options), {}, ChannelUse::kEachAlone); },
                 {"1 in and 1 out", "2"});
}

/// Remembers how far it was told the work is, and ends it after that many reports.
class Watcher final : public Observer {
 public:
  explicit Watcher(std::size_t patience = SIZE_MAX) : patience_(patience) {}

  void progress(double fraction) override {
    const std::lock_guard lock(mutex_);
    seen_.push_back(fraction);
  }
  bool stop_requested() const override {
    const std::lock_guard lock(mutex_);
    return seen_.size() >= patience_;
  }
  const std::vector<double>& seen() const { return seen_; }

 private:
  std::size_t patience_;
  mutable std::mutex mutex_;
  std::vector<double> seen_;
};

TEST(Sequential, GivesEveryLayerItsShareOfTheProgress) {
  Sequential stack;
  for (int i = 0; i < 2; ++i) stack.append(up({.in_channels = 2, .out_channels = 2, .kernel_size = 2, .stride = 2}));
  Watcher watcher;
  stack.forward(normal({1, 2, 3, 4, 5}), {.threads = 1, .observer = &watcher});
  ASSERT_GE(watcher.seen().size(), 2u);
  EXPECT_TRUE(std::is_sorted(watcher.seen().begin(), watcher.seen().end()));
  EXPECT_LE(watcher.seen().front(), 0.5);
  EXPECT_EQ(watcher.seen().back(), 1);
}

TEST(Sequential, StopsWhereTheObserverAsks) {
  Watcher at_once(0);
  try {
    padded_up().forward(normal({1, 2, 3, 4, 5}), {.threads = 1, .observer = &at_once});
    FAIL() << "not stopped";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kStopped);
  }
  EXPECT_TRUE(at_once.seen().empty());
}

}  // namespace
