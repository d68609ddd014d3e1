#include "convt3d/nn/join.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/nn/activations.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"
#include "convt3d/nn/fuse.hpp"
#include "convt3d/nn/pad.hpp"
#include "convt3d/nn/receptive_field.hpp"
#include "convt3d/nn/sequential.hpp"
#include "convt3d/nn/upsample.hpp"
#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::expect_refused;

Tensor normal(const Shape& shape, std::uint64_t seed = 11) {
  return Tensor::from(testing_support::standard_normal<float>(element_count(shape), seed), shape);
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::equal(a.values<float>().begin(), a.values<float>().end(), b.values<float>().begin());
}

std::unique_ptr<Layer> convolution(std::int64_t in, std::int64_t out) {
  return std::make_unique<ConvTranspose3dLayer>(
      ConvTranspose3d({.in_channels = in, .out_channels = out, .kernel_size = 3, .padding = 1}, 7));
}

/// What a layer makes of a volume, in memory of its own.
Tensor of(const Layer& layer, const Tensor& input) { return layer.forward(Tensor(input), {}); }

TEST(Add, AddsWhatAnEarlierLayerGave) {
  Sequential stack;
  stack.append(convolution(2, 2), "first");
  stack.append(make_layer(LeakyReLU{.negative_slope = -2}));  // in place: it must not spoil what is joined later
  stack.append(make_layer(Add{}), "sum", 0);
  stack.append(make_layer(Add{}), "", Sequential::kInput);
  const Tensor input = normal({2, 2, 3, 4, 5});
  const Tensor first = of(stack[0], input);
  Tensor expected = of(stack[1], first);
  for (std::int64_t i = 0; i < expected.size(); ++i) {
    expected.data<float>()[i] += std::as_const(first).data<float>()[i];
    expected.data<float>()[i] += input.data<float>()[i];
  }
  for (const int threads : {1, 3}) EXPECT_TRUE(equal(stack.forward(input, {.threads = threads}), expected));
  EXPECT_EQ(stack.output_shape(input.shape()), input.shape());
  EXPECT_EQ(stack.from(2), 0);
  EXPECT_EQ(stack.from(1), std::nullopt);
}

TEST(Add, AddsAVolumeToItself) {
  Sequential stack;
  stack.append(make_layer(Add{}), "", Sequential::kInput);
  stack.append(make_layer(Add{}), "", 0);
  const Tensor input = normal({1, 2, 3, 4, 5});
  Tensor expected = input;
  for (float& value : expected.values<float>()) value *= 4;
  EXPECT_TRUE(equal(stack.forward(input), expected));
}

TEST(Add, LeavesTheInputToEachOfItsReaders) {
  Sequential stack;  // the input is read by a layer that works in place, one that does not, and twice more
  stack.append(make_layer(ReLU{}));
  stack.append(make_layer(Add{}), "", Sequential::kInput);
  stack.append(make_layer(ReLU{}));
  stack.append(make_layer(Add{}), "", Sequential::kInput);
  const Tensor input = normal({1, 1, 2, 3, 4});
  Tensor expected = input;
  for (float& value : expected.values<float>()) {
    const float once = std::max(value, 0.0f) + value;
    value = std::max(once, 0.0f) + value;
  }
  EXPECT_TRUE(equal(stack.forward(input), expected));
}

TEST(Concat, PutsTheChannelsBehindOrInFront) {
  const Tensor a = Tensor::from<float>(std::vector<float>{1, 2, 3, 4}, {2, 1, 1, 1, 2});
  const Tensor b = Tensor::from<float>(std::vector<float>{5, 6, 7, 8, 9, 10, 11, 12}, {2, 2, 1, 1, 2});
  const Tensor last = make_layer(Concat{})->join(a, b, {});
  EXPECT_TRUE(equal(last, Tensor::from<float>(std::vector<float>{1, 2, 5, 6, 7, 8, 3, 4, 9, 10, 11, 12}, {2, 3, 1, 1, 2})));
  const Tensor first = make_layer(Concat{.order = Concat::Order::kFirst})->join(a, b, {});
  EXPECT_TRUE(equal(first, Tensor::from<float>(std::vector<float>{5, 6, 7, 8, 1, 2, 9, 10, 11, 12, 3, 4}, {2, 3, 1, 1, 2})));
  const Tensor large = make_layer(Concat{})->join(normal({2, 3, 30, 40, 50}), normal({2, 1, 30, 40, 50}, 12), {});
  EXPECT_EQ(std::as_const(large).values<float>()[3 * 60000], normal({2, 1, 30, 40, 50}, 12).values<float>()[0]);
  EXPECT_EQ(std::as_const(large).values<float>()[4 * 60000], normal({2, 3, 30, 40, 50}).values<float>()[3 * 60000]);
}

TEST(Joins, RefuseWhatDoesNotFit) {
  expect_refused(
      [] {
        make_layer(Add{})->join_shape({1, 2, 3, 4, 5}, {1, 2, 3, 4, 6});
      },
      {"(1, 2, 3, 4, 5)", "(1, 2, 3, 4, 6)"});
  expect_refused([] { make_layer(Add{})->join_shape({1, 2, 3, 4, 5}, {1, 3, 3, 4, 5}); }, {"(1, 3, 3, 4, 5)", "concat"});
  expect_refused(
      [] {
        make_layer(Concat{})->join_shape({1, 2, 3, 4, 5}, {1, 2, 3, 5, 5});
      },
      {"(1, 2, 3, 4, 5)", "(1, 2, 3, 5, 5)"});
  expect_refused([] { make_layer(Concat{})->join_shape({1, INT64_MAX, 3, 4, 5}, {1, 2, 3, 4, 5}); }, {"(1, 2, 3, 4, 5)"});
  expect_refused(
      [] {
        make_layer(Add{})->join(normal({1, 1, 1, 1, 1}), convert(normal({1, 1, 1, 1, 1}), DType::kFloat64), {});
      },
      {"float32", "float64"});
  expect_refused([] { make_layer(Add{})->output_shape({1, 2, 3, 4, 5}); }, {"add", "second"});
}

TEST(Joins, ReachBackOnly) {
  Sequential stack;
  expect_refused([&] { stack.append(make_layer(Add{})); }, {"add", "second"});
  expect_refused([&] { stack.append(make_layer(ReLU{}), "", 0); }, {"layer 0", "before"});
  expect_refused([&] { stack.append(make_layer(Add{}), "", 0); }, {"layer 0", "before"});
  expect_refused([&] { stack.append(make_layer(Add{}), "", -2); }, {"layer -2"});
}

TEST(Joins, PutTheLayerInFrontOfTheirError) {
  Sequential stack;
  stack.append(convolution(2, 3));
  stack.append(make_layer(Add{}), "sum", Sequential::kInput);
  const std::vector<std::string> words = {"layer 1 \"sum\" (add): ", "(1, 3, 3, 4, 5)", "(1, 2, 3, 4, 5)"};
  expect_refused([&] { stack.output_shape({1, 2, 3, 4, 5}); }, words);
  expect_refused([&] { stack.plan({1, 2, 3, 4, 5}); }, words);
  expect_refused([&] { stack.forward(normal({1, 2, 3, 4, 5})); }, words);
}

TEST(Joins, PlanWhatIsKeptAndForHowLong) {
  Sequential stack;
  stack.append(convolution(2, 4), "a");
  stack.append(make_layer(ReLU{}));
  stack.append(convolution(4, 4));
  stack.append(make_layer(Concat{}), "", 0);
  stack.append(make_layer(ReLU{}));
  const std::vector<LayerPlan> plans = stack.plan({1, 2, 3, 4, 5});
  EXPECT_TRUE(plans[0].kept.empty());
  EXPECT_TRUE(plans[1].kept.empty());  // the ReLU's input, which is counted as that; its output is a copy's
  EXPECT_FALSE(plans[1].in_place);
  EXPECT_NE(plans[1].reason.find("layer 3"), std::string::npos) << plans[1].reason;
  for (const std::size_t i : {2u, 3u}) {
    ASSERT_EQ(plans[i].kept.size(), 1u);
    EXPECT_EQ(plans[i].kept[0].what, "the output of layer 0 \"a\"");
    EXPECT_EQ(plans[i].kept[0].shape, (Shape{1, 4, 3, 4, 5}));
  }
  EXPECT_TRUE(plans[4].kept.empty());
  EXPECT_TRUE(plans[4].in_place);
  EXPECT_EQ(plans[4].output, (Shape{1, 8, 3, 4, 5}));
}

TEST(Joins, NoteVoxelsThatLieElsewhere) {
  Sequential stack;
  stack.append(make_layer(Pad{.padding = {.begin = {0, 0, 1}}}));
  stack.append(make_layer(Crop{.padding = {.end = {0, 0, 1}}}));
  stack.append(make_layer(Add{}), "", Sequential::kInput);
  const std::string note = stack.plan({1, 1, 2, 3, 4})[2].note;
  EXPECT_NE(note.find("elsewhere"), std::string::npos) << note;
  EXPECT_NE(note.find("(0, 0, -1)"), std::string::npos) << note;

  Sequential straight;
  straight.append(make_layer(Pad{.padding = {.begin = {0, 0, 1}}}));
  straight.append(make_layer(Crop{.padding = {.begin = {0, 0, 1}}}));
  straight.append(make_layer(Add{}), "", Sequential::kInput);
  EXPECT_EQ(straight.plan({1, 1, 2, 3, 4})[2].note, "");
}

TEST(Branches, BeginWhereTheirFromSays) {
  Sequential stack;  // relu(x), and from a branch of the input 2·(x + x)
  stack.append(make_layer(ReLU{}), "positive");
  stack.append(make_layer(Hardtanh{.min_val = -100, .max_val = 100}), "same", Sequential::kInput);
  stack.append(make_layer(Add{}), "", 1);
  stack.append(make_layer(Add{}), "twice", 2);
  stack.append(make_layer(Add{}), "", 0);
  EXPECT_EQ(stack.input_of(1), Sequential::kInput);
  EXPECT_EQ(stack.input_of(2), 1);
  EXPECT_FALSE(stack.joined_by(1));
  EXPECT_EQ(stack.joined_by(4), 0);
  const Tensor input = normal({1, 2, 2, 3, 4});
  Tensor expected = input;
  for (float& value : expected.values<float>()) value = 4 * value + std::max(value, 0.0f);
  const Tensor before = input;
  EXPECT_TRUE(equal(stack.forward(input), expected));
  EXPECT_TRUE(equal(fuse(std::move(stack)).forward(input), expected));
  EXPECT_TRUE(equal(input, before));
}

/// conv ... up ──────────┐
///   input ─ upsample ─ add
Sequential residual() {
  Sequential stack;
  stack.append(convolution(2, 4));
  stack.append(make_layer(ReLU{}));
  stack.append(std::make_unique<ConvTranspose3dLayer>(
                   ConvTranspose3d({.in_channels = 4, .out_channels = 2, .kernel_size = 2, .stride = 2})),
               "detail");
  stack.append(make_layer(Upsample{.scale_factor = std::array<double, 3>{2, 2, 2}, .mode = Upsample::Mode::kTrilinear}),
               "base", Sequential::kInput);
  stack.append(make_layer(Add{}), "", 2);
  return stack;
}

TEST(Branches, AddWhatIsUpsampledToWhatIsLearned) {
  const Sequential stack = residual();
  const Tensor input = normal({1, 2, 4, 5, 6});
  Tensor detail = input;
  for (const std::size_t i : {0u, 1u, 2u}) detail = stack[i].forward(std::move(detail), {});
  const Tensor base = stack[3].forward(input, {});
  EXPECT_TRUE(equal(stack.forward(input), make_layer(Add{})->join(base, detail, {})));
  EXPECT_TRUE(equal(fuse(residual()).forward(input), stack.forward(input)));
  EXPECT_EQ(stack.sampling(input.shape()), (Sampling{{0.5, 0.5, 0.5}, {-0.25, -0.25, -0.25}}));
}

TEST(Branches, PlanWhatIsKeptAndForHowLong) {
  const std::vector<LayerPlan> plans = residual().plan({1, 2, 4, 5, 6});
  const auto kept = [&](std::size_t i) {
    std::vector<std::string> names;
    for (const KeptVolume& volume : plans[i].kept) names.push_back(volume.what);
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(kept(0), Names{});  // the input is the layer's own
  EXPECT_EQ(kept(1), Names{"the input"});
  EXPECT_EQ(kept(2), Names{"the input"});
  EXPECT_EQ(kept(3), Names{"the output of layer 2 \"detail\""});
  EXPECT_EQ(kept(4), Names{"the output of layer 2 \"detail\""});
  EXPECT_EQ(plans[3].input, (Shape{1, 2, 4, 5, 6}));
  EXPECT_EQ(plans[3].note, "takes the input");
  EXPECT_EQ(plans[4].note, "");  // both lie in the same place
}

TEST(Branches, AreNotDoneByTheLayerBeforeThem) {
  Sequential stack;
  stack.append(convolution(2, 2), "a");
  stack.append(convolution(2, 2), "b");
  stack.append(make_layer(ReLU{}), "", 0);
  stack.append(make_layer(Add{}), "", 1);
  const Tensor input = normal({1, 2, 3, 4, 5});
  const Tensor expected = stack.forward(input);
  const Sequential fused = fuse(std::move(stack));
  EXPECT_EQ(fused.plan(input.shape())[2].algorithm, "pointwise");
  EXPECT_TRUE(equal(fused.forward(input), expected));
}

TEST(Branches, TellOfVolumesThatNobodyTakes) {
  EXPECT_FALSE(residual().first_unread());
  Sequential stack;
  stack.append(make_layer(ReLU{}));
  stack.append(make_layer(Tanh{}), "", Sequential::kInput);
  EXPECT_EQ(stack.first_unread(), 0u);
  EXPECT_EQ(stack.forward(normal({1, 1, 2, 3, 4})).shape(), (Shape{1, 1, 2, 3, 4}));
}

TEST(Branches, HaveTheReceptiveFieldOfTheirOwn) {
  const auto kernel = [](std::int64_t size) {
    return std::make_unique<ConvTranspose3dLayer>(
        ConvTranspose3d({.in_channels = 1, .out_channels = 1, .kernel_size = size, .padding = size / 2}));
  };
  Sequential stack;
  stack.append(kernel(5), "wide");
  stack.append(kernel(3), "narrow", Sequential::kInput);
  stack.append(make_layer(Add{}), "", 0);
  EXPECT_EQ(receptive_fields(stack).front(), Extent3(5));  // in a line it would be 7
}

}  // namespace
