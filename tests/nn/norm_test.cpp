// Normalisations by statistics of their own input, against the definition; in slabs and fused the same bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "convt3d/nn/activations.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"
#include "convt3d/nn/fuse.hpp"
#include "convt3d/nn/instance_norm.hpp"
#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::expect_refused;
using testing_support::standard_normal;

Tensor vector_of(std::int64_t count, std::uint64_t seed) {
  return Tensor::from(standard_normal<float>(count, seed), {count});
}

GroupNorm group_norm(std::int64_t groups, std::int64_t channels) {
  return {
      .num_groups = groups, .num_channels = channels, .weight = vector_of(channels, 21), .bias = vector_of(channels, 22)};
}

InstanceNorm3d instance_norm(std::int64_t channels) {
  return {.num_features = channels, .weight = vector_of(channels, 21), .bias = vector_of(channels, 22)};
}

template <typename T>
Tensor random(const Shape& shape, double offset = 0, double scale = 1) {
  std::vector<T> values = standard_normal<T>(element_count(shape), 4);
  for (T& value : values) value = static_cast<T>(offset + scale * static_cast<double>(value));
  return Tensor::from(values, shape);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::equal(static_cast<const char*>(a.raw()), static_cast<const char*>(a.raw()) + a.size_bytes(),
                    static_cast<const char*>(b.raw()));
}

/// The definition, in long double.
std::vector<double> definition(const Tensor& input, const GroupNorm& norm) {
  const Tensor wide = convert(input, DType::kFloat64);
  const Shape& shape = input.shape();
  const std::int64_t volume = shape[2] * shape[3] * shape[4];
  const std::int64_t count = norm.num_channels / norm.num_groups * volume;
  std::vector<double> output;
  for (std::int64_t group = 0; group < shape[0] * norm.num_groups; ++group) {
    const double* const values = wide.data<double>() + group * count;
    long double mean = 0, variance = 0;
    for (std::int64_t i = 0; i < count; ++i) mean += values[i];
    mean /= static_cast<long double>(count);
    for (std::int64_t i = 0; i < count; ++i) variance += (values[i] - mean) * (values[i] - mean);
    variance /= static_cast<long double>(count);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t c = (group * count + i) / volume % norm.num_channels;
      const long double weight = norm.weight ? norm.weight->data<float>()[c] : 1;
      const long double bias = norm.bias ? norm.bias->data<float>()[c] : 0;
      output.push_back(static_cast<double>((values[i] - mean) / std::sqrt(variance + norm.eps) * weight + bias));
    }
  }
  return output;
}

void expect_definition(const Layer& layer, const GroupNorm& norm, const Tensor& input, double bound) {
  const std::vector<double> expected = definition(input, norm);
  const Tensor output = convert(layer.forward(input, {.threads = 3}), DType::kFloat64);
  double most = 0;
  for (const double value : expected) most = std::max(most, std::abs(value));
  for (std::int64_t i = 0; i < output.size(); ++i) {
    ASSERT_NEAR(output.data<double>()[i], expected[static_cast<std::size_t>(i)], bound * most) << "element " << i;
  }
}

TEST(GroupNorm, IsTheDefinition) {
  for (const std::int64_t groups : {1, 2, 3, 6}) {
    const GroupNorm norm = group_norm(groups, 6);
    expect_definition(*make_layer(norm), norm, random<float>({2, 6, 3, 5, 7}), 3e-7);
    expect_definition(*make_layer(norm), norm, random<double>({2, 6, 3, 5, 7}), 1e-15);
  }
  const GroupNorm plain{.num_groups = 2, .num_channels = 4, .eps = 0.3};
  expect_definition(*make_layer(plain), plain, random<float>({1, 4, 1, 1, 1}), 3e-7);
}

TEST(InstanceNorm, IsTheDefinition) {
  const GroupNorm same = group_norm(3, 3);
  expect_definition(*make_layer(instance_norm(3)), same, random<float>({2, 3, 4, 5, 33}), 3e-7);
  expect_definition(*make_layer(instance_norm(3)), same, random<double>({2, 3, 4, 5, 33}), 1e-15);
}

TEST(InstanceNorm, KeepsItsDigitsWhereTheMeanIsLarge) {
  for (const double offset : {1e4, -1e4, 1e6}) {
    expect_definition(*make_layer(instance_norm(2)), group_norm(2, 2), random<float>({1, 2, 4, 16, 17}, offset), 3e-7);
    expect_definition(*make_layer(instance_norm(2)), group_norm(2, 2), random<double>({1, 2, 4, 16, 17}, offset),
                      1e-15 * std::abs(offset));  // the mean is a double
  }
  // The deviation is a few units in the last place of the values.
  expect_definition(*make_layer(InstanceNorm3d{.num_features = 1, .eps = 0}), {.num_groups = 1, .num_channels = 1, .eps = 0},
                    random<float>({1, 1, 4, 16, 17}, 1e4, 2e-3), 3e-7);
}

TEST(InstanceNorm, OfAConstantIsTheBias) {
  const Tensor input = random<float>({1, 2, 3, 4, 5}, 7.3, 0);
  const InstanceNorm3d norm = instance_norm(2);
  const Tensor output = make_layer(norm)->forward(input, {});
  for (std::int64_t i = 0; i < output.size(); ++i) EXPECT_EQ(output.data<float>()[i], norm.bias->data<float>()[i / 60]);
}

TEST(InstanceNorm, TakesEachVolumeAsAlone) {
  const auto layer = make_layer(instance_norm(3));
  const Tensor both = random<float>({2, 3, 4, 5, 6});
  const Tensor output = layer->forward(both, {});
  for (std::int64_t n = 0; n < 2; ++n) {
    const Tensor alone = layer->forward(
        Tensor::from(both.values<float>().subspan(static_cast<std::size_t>(n * 360), 360), {1, 3, 4, 5, 6}), {});
    EXPECT_TRUE(
        std::ranges::equal(alone.values<float>(), output.values<float>().subspan(static_cast<std::size_t>(n * 360), 360)));
  }
}

TEST(InstanceNorm, KeepsNanAndInfinityInTheirChannel) {
  Tensor input = random<float>({1, 3, 2, 3, 4});
  input.data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  input.data<float>()[25] = std::numeric_limits<float>::infinity();
  const Tensor output = make_layer(instance_norm(3))->forward(input, {});
  for (std::int64_t i = 0; i < 48; ++i) EXPECT_TRUE(std::isnan(output.data<float>()[i])) << i;
  for (std::int64_t i = 48; i < 72; ++i) EXPECT_TRUE(std::isfinite(output.data<float>()[i])) << i;
}

/// Planes [first, first + depth) of volume n.
Tensor slab_of(const Tensor& volumes, std::int64_t n, std::int64_t first, std::int64_t depth) {
  const Shape& shape = volumes.shape();
  const std::int64_t plane = shape[3] * shape[4];
  Tensor slab = Tensor::empty({1, shape[1], depth, shape[3], shape[4]});
  for (std::int64_t c = 0; c < shape[1]; ++c) {
    std::copy_n(volumes.data<float>() + ((n * shape[1] + c) * shape[2] + first) * plane, depth * plane,
                slab.data<float>() + c * depth * plane);
  }
  return slab;
}

void expect_same_in_slabs(const Layer& layer) {
  const Tensor input = random<float>({2, 4, 7, 9, 11}, 3);
  const Tensor whole = layer.forward(input, {.threads = 1});
  for (const std::int64_t depth : {1, 2, 3, 7}) {
    const std::unique_ptr<Statistics> statistics = layer.statistics(input.shape());
    ASSERT_NE(statistics, nullptr);
    do {
      for (const std::int64_t n : {1, 0}) {
        for (std::int64_t first = 0; first < 7; first += depth) {
          const Tensor slab = slab_of(input, n, first, std::min(depth, 7 - first));
          statistics->add(slab.view(), n, first, 3);
        }
      }
    } while (statistics->finish_pass());
    for (std::int64_t n = 0; n < 2; ++n) {
      for (std::int64_t first = 0; first < 7; first += depth) {
        const std::int64_t planes = std::min(depth, 7 - first);
        const Tensor part = layer.forward_with(slab_of(input, n, first, planes), n, *statistics, {.threads = 2});
        EXPECT_TRUE(same_bits(part, slab_of(whole, n, first, planes))) << layer.repr() << " " << depth << " " << first;
      }
    }
  }
}

TEST(Norms, GiveTheSameBitsInSlabs) {
  expect_same_in_slabs(*make_layer(instance_norm(4)));
  expect_same_in_slabs(*make_layer(group_norm(2, 4)));
}

TEST(Norms, DoPointwiseLayersThatFollow) {
  const auto make = [] {
    Sequential stack;
    stack.append(std::make_unique<ConvTranspose3dLayer>(
        ConvTranspose3d({.in_channels = 4, .out_channels = 6, .kernel_size = 2, .stride = 2}, 7)));
    stack.append(make_layer(instance_norm(6)));
    stack.append(make_layer(PReLU{vector_of(6, 5)}));
    stack.append(make_layer(group_norm(3, 6)));
    stack.append(make_layer(SiLU{}));
    return stack;
  };
  const Sequential fused = fuse(make());
  const std::vector<LayerPlan> plans = fused.plan({2, 4, 3, 4, 5});
  EXPECT_EQ(plans[1].algorithm, "two passes");
  EXPECT_EQ(plans[2].reason, "in the epilogue of layer 1");
  EXPECT_EQ(plans[3].algorithm, "two passes");
  EXPECT_EQ(plans[4].reason, "in the epilogue of layer 3");
  EXPECT_EQ(fused[1].repr(), "InstanceNorm3d(6, eps=1e-05, momentum=0.1, affine=True, track_running_stats=False)");
  const Tensor input = random<float>({2, 4, 3, 4, 5});
  EXPECT_TRUE(same_bits(fused.forward(input), make().forward(input)));
}

TEST(Norms, LeaveParametersOfOtherChannelsAlone) {
  EXPECT_EQ(make_layer(instance_norm(6))->absorb({.function = Pointwise::Function::kLeakyRelu, .p = {1, 2}}), Fusion::kNone);
}

TEST(Norms, ListTheirMemory) {
  const LayerPlan plan = make_layer(instance_norm(3))->plan({2, 3, 4, 5, 6}, {});
  EXPECT_TRUE(plan.in_place);
  EXPECT_EQ(plan.bytes, 2 * 24 * 16);  // mean and squares of 2·3·4 planes, twice
  EXPECT_EQ(make_layer(instance_norm(3))->parameter_count(), 6);
}

TEST(Norms, TakeNoVolumes) {
  EXPECT_EQ(make_layer(instance_norm(3))->forward(Tensor::zeros({0, 3, 4, 5, 6}), {}).shape(), (Shape{0, 3, 4, 5, 6}));
}

TEST(Norms, RefuseWhatPyTorchRefuses) {
  const auto refuses = [](const auto& norm, const Shape& shape, const std::vector<std::string>& words) {
    expect_refused([&] { make_layer(norm)->output_shape(shape); }, words);
    expect_refused([&] { make_layer(norm)->forward(Tensor::zeros(shape), {}); }, words);
    expect_refused([&] { make_layer(norm)->plan(shape, {}); }, words);
  };
  refuses(instance_norm(3), {1, 2, 3, 4, 5}, {"3 channels", "2 channels"});
  refuses(instance_norm(3), {1, 3, 1, 1, 1}, {"more than one value", "(1, 3, 1, 1, 1)"});
  refuses(group_norm(3, 3), {1, 3, 1, 1, 1}, {"more than one value"});
  expect_refused([] { make_layer(group_norm(4, 6)); }, {"num_channels is 6", "multiple of num_groups, 4"});
  expect_refused([] { make_layer(InstanceNorm3d{.num_features = 2, .eps = -1}); }, {"eps is -1.0"});
  InstanceNorm3d half = instance_norm(3);
  half.bias.reset();
  expect_refused([&] { make_layer(half); }, {"weight and bias", "both or none"});
  InstanceNorm3d longer = instance_norm(3);
  longer.weight = vector_of(4, 1);
  expect_refused([&] { make_layer(longer); }, {"weight", "(4,)", "(3,)"});
  InstanceNorm3d running = instance_norm(3);
  running.running_mean = vector_of(3, 1);
  expect_refused([&] { make_layer(running); }, {"running_mean and running_var", "both or none"});
}

}  // namespace
