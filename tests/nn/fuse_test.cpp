// A fused stack gives what the stack gave: the same bits where functions moved into an epilogue, the same within rounding
// where they were multiplied out with weights.
#include "convt3d/nn/fuse.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "convt3d/nn/activations.hpp"
#include "convt3d/nn/batch_norm.hpp"
#include "convt3d/nn/conv3d_layer.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"
#include "convt3d/nn/pad.hpp"
#include "support/arrays.hpp"
#include "support/distance.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::expect_refused;
using testing_support::relative_l2;

constexpr ConvTranspose3dOptions kUp = {
    .in_channels = 4, .out_channels = 6, .kernel_size = 4, .stride = 2, .padding = 1, .groups = 2};

std::unique_ptr<Layer> up(ConvTranspose3dOptions options = kUp) {
  return std::make_unique<ConvTranspose3dLayer>(ConvTranspose3d(options, 7));
}

Tensor random(Shape shape, std::uint64_t seed, DType dtype = DType::kFloat32) {
  return convert(Tensor::from(testing_support::standard_normal<double>(element_count(shape), seed), shape), dtype);
}

/// Variances above 0, factors of both signs.
BatchNorm3d norm(std::int64_t channels) {
  BatchNorm3d norm{.running_mean = random({channels}, 1), .running_var = random({channels}, 2)};
  for (float& variance : norm.running_var.values<float>()) variance = variance * variance + 0.1F;
  norm.weight = random({channels}, 3);
  norm.bias = random({channels}, 4);
  return norm;
}

PReLU prelu(std::int64_t channels) { return {random({channels}, 5)}; }

using Layers = std::vector<std::unique_ptr<Layer>>;

template <typename... Each>
Layers layers(Each... each) {
  Layers list;
  (list.push_back(std::move(each)), ...);
  return list;
}

Sequential stack_of(Layers list) {
  Sequential stack;
  for (auto& layer : list) stack.append(std::move(layer));
  return stack;
}

std::vector<std::string> reasons(const Sequential& stack, const Shape& input) {
  std::vector<std::string> reasons;
  for (const LayerPlan& plan : stack.plan(input)) reasons.push_back(plan.algorithm == "fused" ? plan.reason : "");
  return reasons;
}

bool same_values(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.values<float>(), b.values<float>());
}

TEST(Fuse, GivesTheSameBitsWithActivationsInTheEpilogue) {
  const auto make = [] {
    return stack_of(layers(up(), make_layer(prelu(6)), make_layer(GELU{}), make_layer(Pad{PadMode::kZeros, {1, 1}}),
                           make_layer(ReLU{}), up({.in_channels = 6, .out_channels = 3, .kernel_size = 2, .stride = 2}),
                           make_layer(LeakyReLU{}), make_layer(norm(3))));
  };
  const Sequential fused = fuse(make());
  EXPECT_EQ(reasons(fused, {2, 4, 3, 4, 5}),
            (std::vector<std::string>{"", "in the epilogue of layer 0", "in the epilogue of layer 0", "", "", "",
                                      "in the epilogue of layer 5", "in the epilogue of layer 5"}));
  const Tensor input = random({2, 4, 3, 4, 5}, 8);
  EXPECT_TRUE(same_values(fused.forward(input), make().forward(input)));
}

TEST(Fuse, MultipliesNormsOutWithWeightsWithinRounding) {
  for (const bool bias : {true, false}) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      ConvTranspose3dOptions options = kUp;
      options.bias = bias;
      options.dtype = dtype;
      const auto make = [&] { return stack_of(layers(up(options), make_layer(norm(6)), make_layer(ELU{}))); };
      const Sequential fused = fuse(make());
      EXPECT_EQ(reasons(fused, {1, 4, 3, 4, 5}),
                (std::vector<std::string>{"", "in the weights of layer 0", "in the epilogue of layer 0"}));
      const Tensor input = random({1, 4, 3, 4, 5}, 9, dtype);
      EXPECT_LE(relative_l2(fused.forward(input), make().forward(input)), dtype == DType::kFloat32 ? 5e-7 : 1e-15);
    }
  }
}

TEST(Fuse, ServesConvolutionsLikewise) {
  for (const PadMode mode : {PadMode::kZeros, PadMode::kReplicate}) {
    const Conv3dOptions options = {.in_channels = 4,
                                   .out_channels = 6,
                                   .kernel_size = 3,
                                   .stride = {1, 2, 1},
                                   .padding = 1,
                                   .groups = 2,
                                   .bias = false,
                                   .padding_mode = mode};
    const auto make = [&] {
      return stack_of(layers(std::unique_ptr<Layer>(std::make_unique<Conv3dLayer>(Conv3d(options, 5))), make_layer(norm(6)),
                             make_layer(prelu(6))));
    };
    const Sequential fused = fuse(make());
    EXPECT_EQ(reasons(fused, {2, 4, 3, 4, 5}),
              (std::vector<std::string>{"", "in the weights of layer 0", "in the epilogue of layer 0"}));
    EXPECT_EQ(fused[0].repr(), make()[0].repr());
    EXPECT_EQ(fused.parameter_count(), make().parameter_count());
    const Tensor input = random({2, 4, 3, 4, 5}, 12);
    EXPECT_LE(relative_l2(fused.forward(input), make().forward(input)), 5e-7);
  }
}

TEST(Fuse, ListsEveryLayerAsItWas) {
  ConvTranspose3dOptions options = kUp;
  options.bias = false;
  const auto make = [&] { return stack_of(layers(up(options), make_layer(norm(6)), make_layer(prelu(6)))); };
  const Sequential plain = make();
  const Sequential fused = fuse(make());
  const Shape shape = {1, 4, 3, 4, 5};
  const std::vector<LayerPlan> plans = fused.plan(shape);
  const std::vector<LayerPlan> plain_plans = plain.plan(shape);
  ASSERT_EQ(fused.size(), plain.size());
  EXPECT_EQ(fused.parameter_count(), plain.parameter_count());
  EXPECT_EQ(fused.output_shape(shape), plain.output_shape(shape));
  EXPECT_EQ(fused.sampling(shape), plain.sampling(shape));
  for (std::size_t i = 0; i < fused.size(); ++i) {
    EXPECT_EQ(fused[i].type(), plain[i].type());
    EXPECT_EQ(fused[i].repr(), plain[i].repr());
    EXPECT_EQ(fused[i].parameter_count(), plain[i].parameter_count());
    EXPECT_EQ(plans[i].input, plain_plans[i].input);
    EXPECT_EQ(plans[i].output, plain_plans[i].output);
    EXPECT_EQ(plans[i].in_place, plain_plans[i].in_place);
  }
}

TEST(Fuse, LeavesAloneWhatAnotherLayerJoins) {
  const auto make = [] {
    Sequential stack;
    stack.append(up());                      // 0: joined, so 1 is not done by it
    stack.append(make_layer(ReLU{}));        // 1
    stack.append(make_layer(Tanh{}));        // 2
    stack.append(make_layer(Add{}), "", 0);  // 3
    stack.append(make_layer(ReLU{}));        // 4
    stack.append(up({.in_channels = 6, .out_channels = 2, .kernel_size = 3, .padding = 1}));  // 5
    stack.append(make_layer(ReLU{}));                                                         // 6: joined, but after it
    stack.append(make_layer(Concat{}), "", 6);                                                // 7
    return stack;
  };
  const Sequential fused = fuse(make());
  EXPECT_EQ(reasons(fused, {1, 4, 3, 4, 5}),
            (std::vector<std::string>{"", "", "", "", "", "", "in the epilogue of layer 5", ""}));
  const Tensor input = random({1, 4, 3, 4, 5}, 10);
  EXPECT_TRUE(same_values(fused.forward(input), make().forward(input)));
}

TEST(Fuse, TakesOneSlopeForAKernelThatServesEveryChannelButNotOneForEach) {
  const auto make = [] {
    const ConvTranspose3dOptions options = {
        .in_channels = 1, .out_channels = 1, .kernel_size = 4, .stride = 2, .padding = 1};
    return stack_of(layers(std::unique_ptr<Layer>(std::make_unique<ConvTranspose3dLayer>(
                               ConvTranspose3d(options, 3), std::vector<std::int64_t>{}, ChannelUse::kEachAlone)),
                           make_layer(LeakyReLU{}), make_layer(norm(3))));
  };
  const Sequential fused = fuse(make());
  EXPECT_EQ(reasons(fused, {2, 3, 4, 4, 4}), (std::vector<std::string>{"", "in the epilogue of layer 0", ""}));
  const Tensor input = random({2, 3, 4, 4, 4}, 11);
  EXPECT_TRUE(same_values(fused.forward(input), make().forward(input)));
}

TEST(Fuse, RefusesWhatTheStackRefused) {
  const auto make = [] { return stack_of(layers(up(), make_layer(prelu(5)))); };
  expect_refused([&] { fuse(make()).output_shape({1, 4, 3, 4, 5}); }, {"layer 1", "5 channels", "6 channels"});
  expect_refused([&] { fuse(make()).forward(random({1, 4, 3, 4, 5}, 1)); }, {"layer 1", "5 channels", "6 channels"});
}

TEST(Fuse, KeepsFactorsThatWeightsCannotHoldInTheEpilogue) {
  BatchNorm3d huge = norm(6);
  std::ranges::fill(huge.weight->values<float>(), 3e38F);
  const auto make = [&] {
    ConvTranspose3dLayer layer(ConvTranspose3d(kUp, 7));
    return stack_of(layers(up(), make_layer(Hardtanh{.min_val = -1e-3, .max_val = 1e-3}), make_layer(huge)));
  };
  EXPECT_EQ(reasons(fuse(make()), {1, 4, 3, 4, 5})[2], "in the epilogue of layer 0");
  Tensor weight = Tensor::empty({4, 3, 4, 4, 4});
  std::ranges::fill(weight.values<float>(), 1e3F);
  ConvTranspose3dOptions options = kUp;
  options.bias = false;
  const Sequential fused = fuse(stack_of(
      layers(std::unique_ptr<Layer>(std::make_unique<ConvTranspose3dLayer>(ConvTranspose3d(options, weight, std::nullopt))),
             make_layer(huge))));
  EXPECT_EQ(reasons(fused, {1, 4, 3, 4, 5})[1], "in the epilogue of layer 0");
}

TEST(Fuse, TakesEmptyStacksAndSingleLayers) {
  EXPECT_EQ(fuse(Sequential()).size(), 0u);
  EXPECT_EQ(reasons(fuse(stack_of(layers(make_layer(ReLU{})))), {1, 1, 1, 1, 1}), (std::vector<std::string>{""}));
}

TEST(BatchNorm, RefusesTensorsOfOtherShapesAndVariancesWithoutRoot) {
  BatchNorm3d short_mean = norm(3);
  short_mean.running_var = random({4}, 1);
  expect_refused([&] { make_layer(short_mean); }, {"running_var", "(4,)", "(3,)"});
  BatchNorm3d half = norm(3);
  half.bias.reset();
  expect_refused([&] { make_layer(half); }, {"weight and bias", "both or none"});
  BatchNorm3d negative = norm(3);
  negative.running_var.values<float>()[1] = -1;
  expect_refused([&] { make_layer(negative); }, {"running_var", "-1.0", "channel 1"});
  expect_refused([&] { make_layer(norm(3))->output_shape({1, 2, 3, 4, 5}); }, {"3 channels", "2 channels"});
}

}  // namespace
