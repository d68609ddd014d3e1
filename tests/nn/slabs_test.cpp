// Layers and stacks taken some planes at a time, from no more planes than they say they need: the bits of the whole.

#include "convt3d/nn/slabs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/nn/activations.hpp"
#include "convt3d/nn/bspline_prefilter.hpp"
#include "convt3d/nn/conv3d_layer.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"
#include "convt3d/nn/fuse.hpp"
#include "convt3d/nn/instance_norm.hpp"
#include "convt3d/nn/normalize.hpp"
#include "convt3d/nn/pad.hpp"
#include "convt3d/nn/pixel_shuffle.hpp"
#include "convt3d/nn/softmax.hpp"
#include "convt3d/nn/upsample.hpp"
#include "support/arrays.hpp"

namespace {

using namespace convt3d;

Tensor normal(const Shape& shape, std::uint64_t seed = 3) {
  return Tensor::from(testing_support::standard_normal<float>(element_count(shape), seed), shape);
}

std::unique_ptr<Layer> up(const ConvTranspose3dOptions& options, ChannelUse channels = ChannelUse::kMixed) {
  return std::make_unique<ConvTranspose3dLayer>(ConvTranspose3d(options, 7), std::vector<std::int64_t>{}, channels);
}

std::unique_ptr<Layer> conv(const Conv3dOptions& options) { return std::make_unique<Conv3dLayer>(Conv3d(options, 9)); }

std::unique_ptr<Layer> pad(PadMode mode) { return make_layer(Pad{mode, {.begin = {2, 1, 0}, .end = {3, 1, 2}}}); }

std::unique_ptr<Layer> upsample(const std::array<double, 3>& factors, Upsample::Mode mode) {
  return make_layer(Upsample{.scale_factor = factors, .mode = mode});
}

template <typename... Layers>
Sequential stack_of(Layers... layers) {
  Sequential stack;
  (stack.append(std::move(layers)), ...);
  return stack;
}

/// Planes of a volume, in memory of their own.
Tensor own_planes(const Tensor& volume, const Planes& planes) {
  const Shape& shape = volume.shape();
  return Tensor(cut(volume.view(), {0, shape[2]}, planes, 1));
}

/// Runs layers from `begin` on in slabs of several heights. Their sources are cut to what is said to be needed.
void expect_slabs_to_keep_bits(const Sequential& stack, const Tensor& input, std::size_t begin = 0) {
  const Tensor whole = stack.forward(input);
  const std::vector<LayerPlan> layers = stack.plan(input.shape());
  const Sequential::Volumes first = stack.forward_first(begin, input);
  std::map<std::size_t, const Tensor*> volumes = {{begin, &first.last}};
  for (const auto& [layer, volume] : first.kept) volumes[static_cast<std::size_t>(layer + 1)] = &volume;
  std::map<std::size_t, std::unique_ptr<const Statistics>> owned;
  SlabRunner::StatisticsOf statistics;
  for (std::size_t i = begin; i < stack.size(); ++i) {
    if (!stack[i].statistics(layers[i].input)) continue;
    owned[i] = gathered(stack[i], stack.forward_first(i, input).last, 1);
    statistics[i] = owned[i].get();
  }
  for (const std::int64_t height : {1, 2, 5, 100}) {
    const SlabPlan plan =
        plan_slabs(stack, layers, DType::kFloat32, begin, stack.size(), height, std::min<std::int64_t>(height, 3));
    SlabRunner runner(stack, layers, plan);
    for (const Planes& slab : plan.slabs) {
      const std::vector<Planes> needed = needed_planes(stack, layers, begin, stack.size(), slab);
      std::vector<Tensor> cuts;
      SlabRunner::Sources sources;
      for (const auto& [v, volume] : volumes) cuts.push_back(own_planes(*volume, needed[v]));
      for (std::size_t at = 0; const auto& [v, volume] : volumes) {
        sources[v] = {std::as_const(cuts[at++]).view(), needed[v]};
      }
      const std::vector<Tensor> before = cuts;
      const ConstTensorView found = runner.run(slab, sources, statistics, {.threads = 2});
      const Tensor expected = own_planes(whole, slab);
      EXPECT_EQ(0, std::memcmp(found.data, expected.raw(), static_cast<std::size_t>(expected.size_bytes())))
          << "planes " << slab.begin << " to " << slab.end << " in slabs of " << height;
      for (std::size_t at = 0; at < cuts.size(); ++at) {
        EXPECT_EQ(
            0, std::memcmp(std::as_const(cuts[at]).raw(), before[at].raw(), static_cast<std::size_t>(cuts[at].size_bytes())))
            << "a source was written to";
      }
    }
  }
}

TEST(Slabs, OfEachLayerHaveTheBitsOfTheWhole) {
  const auto check = [](std::unique_ptr<Layer> layer, const Shape& input) {
    SCOPED_TRACE(layer->repr());
    expect_slabs_to_keep_bits(stack_of(std::move(layer)), normal(input));
  };
  check(up({.in_channels = 8, .out_channels = 16, .kernel_size = 4, .stride = 2, .padding = 1}), {1, 8, 9, 5, 6});
  check(up({.in_channels = 1, .out_channels = 1, .kernel_size = 4, .stride = 2, .padding = 1}, ChannelUse::kEachAlone),
        {2, 3, 9, 5, 6});
  check(conv({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .stride = 2, .padding = 1}), {2, 3, 9, 5, 6});
  for (const PadMode mode : {PadMode::kReplicate, PadMode::kReflect}) {
    check(conv({.in_channels = 3, .out_channels = 4, .kernel_size = 5, .padding = 2, .padding_mode = mode}),
          {1, 3, 9, 5, 6});
  }
  for (const PadMode mode : {PadMode::kZeros, PadMode::kReplicate, PadMode::kReflect}) check(pad(mode), {2, 3, 7, 5, 6});
  check(make_layer(Crop{{.begin = {2, 0, 1}, .end = {1, 1, 0}}}), {2, 3, 7, 5, 6});
  check(make_layer(LeakyReLU{}), {2, 3, 7, 5, 6});
  check(make_layer(InstanceNorm3d{.num_features = 3}), {1, 3, 7, 5, 6});
  for (const auto mode : {Normalize::Mode::kZScore, Normalize::Mode::kMinMax, Normalize::Mode::kPercentiles}) {
    check(make_layer(Normalize{.mode = mode}), {1, 3, 7, 5, 6});
  }
  check(make_layer(Softmax{}), {2, 3, 7, 5, 7});
  check(make_layer(Argmax{}), {2, 3, 7, 5, 7});
  check(make_layer(PixelShuffle3d{{3, 1, 2}}), {2, 12, 7, 5, 6});
  for (const auto mode : {Upsample::Mode::kNearest, Upsample::Mode::kTrilinear}) {
    for (const double factor : {2.0, 1.5, 0.7}) check(upsample({factor, 1.0, 1.5}, mode), {2, 3, 7, 5, 6});
    check(make_layer(Upsample{.size = Extent3(9), .mode = mode}), {2, 3, 6, 5, 6});
  }
  check(make_layer(Upsample{.size = Extent3(9), .mode = Upsample::Mode::kTrilinear, .align_corners = true}),
        {2, 3, 7, 5, 6});
}

Sequential two_levels() {
  return stack_of(pad(PadMode::kReplicate),
                  up({.in_channels = 4, .out_channels = 8, .kernel_size = 4, .stride = 2, .padding = 3}),
                  make_layer(LeakyReLU{}), conv({.in_channels = 8, .out_channels = 8, .kernel_size = 3, .padding = 1}),
                  make_layer(InstanceNorm3d{.num_features = 8}), make_layer(ReLU{}),
                  up({.in_channels = 8, .out_channels = 2, .kernel_size = 2, .stride = 2}),
                  make_layer(Crop{{.begin = {3, 0, 0}, .end = {1, 0, 0}}}));
}

TEST(Slabs, OfAStackHaveTheBitsOfTheWhole) {
  const Tensor input = normal({1, 4, 9, 6, 5});
  expect_slabs_to_keep_bits(two_levels(), input);
  expect_slabs_to_keep_bits(fuse(two_levels()), input);
  Tensor with_nan = input;
  with_nan.data<float>()[7] = std::numeric_limits<float>::infinity();
  Sequential local = stack_of(up({.in_channels = 4, .out_channels = 8, .kernel_size = 4, .stride = 2, .padding = 1}),
                              up({.in_channels = 8, .out_channels = 4, .kernel_size = 4, .stride = 2, .padding = 1}));
  expect_slabs_to_keep_bits(local, with_nan);
}

TEST(Slabs, OfTheRestOfAStackHaveTheBitsOfTheWhole) {
  expect_slabs_to_keep_bits(stack_of(make_layer(BSplinePrefilter{}), pad(PadMode::kReflect),
                                     up({.in_channels = 1, .out_channels = 1, .kernel_size = 8, .stride = 2, .padding = 3},
                                        ChannelUse::kEachAlone)),
                            normal({1, 2, 9, 6, 5}), 1);
  for (const std::size_t begin : {1u, 3u, 6u}) expect_slabs_to_keep_bits(two_levels(), normal({1, 4, 9, 6, 5}), begin);
}

/// A small U: what is added and concatenated lies before and behind where the slabs begin.
Sequential joined() {
  Sequential stack;
  stack.append(conv({.in_channels = 4, .out_channels = 4, .kernel_size = 3, .padding = 1}));
  stack.append(make_layer(ReLU{}));
  stack.append(make_layer(Add{}), "", Sequential::kInput);
  stack.append(conv({.in_channels = 4, .out_channels = 8, .kernel_size = 2, .stride = 2}));
  stack.append(make_layer(LeakyReLU{}));
  stack.append(up({.in_channels = 8, .out_channels = 4, .kernel_size = 2, .stride = 2}));
  stack.append(make_layer(Concat{}), "", 2);
  stack.append(conv({.in_channels = 8, .out_channels = 4, .kernel_size = 3, .padding = 1}));
  stack.append(make_layer(Add{}), "", 2);
  stack.append(make_layer(Add{}), "", 7);
  return stack;
}

/// What is learned from the input, and the input upsampled; then a branch of that.
Sequential branched() {
  Sequential stack;
  stack.append(conv({.in_channels = 2, .out_channels = 4, .kernel_size = 3, .padding = 1}));
  stack.append(make_layer(ReLU{}));
  stack.append(up({.in_channels = 4, .out_channels = 2, .kernel_size = 4, .stride = 2, .padding = 1}));
  stack.append(upsample({2, 2, 2}, Upsample::Mode::kTrilinear), "", Sequential::kInput);
  stack.append(make_layer(Add{}), "", 2);
  stack.append(conv({.in_channels = 2, .out_channels = 3, .kernel_size = 3, .padding = 1}));
  stack.append(make_layer(LeakyReLU{}), "", 4);
  stack.append(make_layer(Concat{}), "", 5);
  return stack;
}

Sequential there_and_back(std::unique_ptr<Layer> between) {
  Sequential stack =
      stack_of(make_layer(Normalize{}), conv({.in_channels = 2, .out_channels = 4, .kernel_size = 3, .padding = 1}),
               std::move(between), up({.in_channels = 4, .out_channels = 2, .kernel_size = 2, .stride = 2}));
  stack.append(make_layer(Denormalize{}), "", 0);
  return stack;
}

TEST(Slabs, AreTakenBackToTheRangeOfTheWhole) {
  expect_slabs_to_keep_bits(there_and_back(make_layer(ReLU{})), normal({1, 2, 9, 6, 8}));
  // Behind a layer that is taken as a whole the range is not there any more: so is denormalize.
  const Sequential stack = there_and_back(make_layer(BSplinePrefilter{}));
  EXPECT_FALSE(stack.plan({1, 2, 9, 6, 8})[4].reach);
}

TEST(Slabs, OfBranchesHaveTheBitsOfTheWhole) {
  for (const std::size_t begin : {0u, 1u, 3u, 5u, 6u}) {
    SCOPED_TRACE("from layer " + std::to_string(begin) + " on");
    expect_slabs_to_keep_bits(branched(), normal({1, 2, 9, 6, 8}), begin);
    expect_slabs_to_keep_bits(fuse(branched()), normal({1, 2, 9, 6, 8}), begin);
  }
}

TEST(Slabs, HaveThePlanesThatJoinsNeed) {
  for (const std::size_t begin : {0u, 1u, 3u, 4u, 9u}) {
    SCOPED_TRACE("from layer " + std::to_string(begin) + " on");
    expect_slabs_to_keep_bits(joined(), normal({1, 4, 10, 6, 8}), begin);
    expect_slabs_to_keep_bits(fuse(joined()), normal({1, 4, 10, 6, 8}), begin);
  }
}

TEST(Slabs, ShareBuffersAndKeepOnlyWhatIsRead) {
  const Sequential stack = two_levels();
  const std::vector<LayerPlan> layers = stack.plan({1, 4, 9, 6, 5});
  const SlabPlan plan = plan_slabs(stack, layers, DType::kFloat32, 0, stack.size(), 4, 4);
  // Volumes 1 to 8: pad, up (relu in place), conv (norm, relu in place), up, crop.
  EXPECT_EQ(plan.slots, (std::vector<std::size_t>{0, 1, 1, 0, 0, 0, 1, 0}));
  ASSERT_EQ(plan.slot_bytes.size(), 2U);
  std::int64_t largest = 0;
  for (const Planes& slab : plan.slabs) {
    const std::vector<Planes> needed = needed_planes(stack, layers, 0, stack.size(), slab);
    for (std::size_t v : {2u, 7u}) {
      largest = std::max(largest, plane_bytes(layers[v - 1].output, DType::kFloat32, needed[v].count()));
    }
  }
  EXPECT_EQ(plan.slot_bytes[1], largest);
}

TEST(Slabs, SayWhatTheyComputeTwice) {
  const Conv3dOptions options{.in_channels = 2, .out_channels = 2, .kernel_size = {3, 7, 1}, .padding = {1, 3, 0}};
  const Sequential stack = stack_of(conv(options), conv(options));
  const std::vector<LayerPlan> layers = stack.plan({1, 2, 8, 6, 5});
  EXPECT_DOUBLE_EQ(plan_slabs(stack, layers, DType::kFloat32, 0, 2, 8, 8).work, 1);
  // The first layer makes 5 + 5 planes for 4 + 4 of the second, and both have as much to do for a plane.
  ASSERT_EQ(layers[0].algorithm, layers[1].algorithm);
  ASSERT_EQ(layers[0].reach->run, 1);
  EXPECT_DOUBLE_EQ(plan_slabs(stack, layers, DType::kFloat32, 0, 2, 4, 4).work, (10.0 + 8) / 16);
}

}  // namespace
