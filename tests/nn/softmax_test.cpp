// What is over the channels of each voxel: softmax and argmax against their definitions.
#include "convt3d/nn/softmax.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::expect_refused;
using testing_support::standard_normal;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

template <typename T>
void expect_softmax(const Shape& shape, double scale, double bound) {
  std::vector<T> values = standard_normal<T>(element_count(shape), 6);
  for (T& value : values) value *= static_cast<T>(scale);
  const Tensor output = make_layer(Softmax{})->forward(Tensor::from(values, shape), {.threads = 3});
  ASSERT_EQ(output.shape(), shape);
  const std::int64_t voxels = shape[2] * shape[3] * shape[4];
  for (std::int64_t at = 0; at < shape[0] * voxels; ++at) {
    const std::int64_t first = at / voxels * shape[1] * voxels + at % voxels;
    const auto x = [&](std::int64_t c) { return static_cast<double>(values[static_cast<std::size_t>(first + c * voxels)]); };
    double sum = 0;
    double most = -kInf;
    for (std::int64_t c = 0; c < shape[1]; ++c) most = std::max(most, x(c));
    for (std::int64_t c = 0; c < shape[1]; ++c) sum += std::exp(x(c) - most);
    for (std::int64_t c = 0; c < shape[1]; ++c) {
      const double found = static_cast<double>(output.data<T>()[first + c * voxels]);
      ASSERT_NEAR(found, std::exp(x(c) - most) / sum, bound) << "voxel " << at << ", channel " << c;
    }
  }
}

TEST(Softmax, IsTheDefinition) {
  expect_softmax<float>({2, 5, 7, 13, 29}, 1, 3e-7);  // more voxels than are taken at a time
  expect_softmax<float>({1, 3, 2, 3, 5}, 200, 1e-6);  // exp alone would overflow
  expect_softmax<double>({2, 4, 3, 5, 6}, 1, 1e-15);
  expect_softmax<float>({1, 1, 2, 3, 4}, 1, 0);
}

Tensor two_voxels(std::vector<double> first_channel, std::vector<double> second_channel) {
  std::vector<double> values = first_channel;
  values.insert(values.end(), second_channel.begin(), second_channel.end());
  return Tensor::from(values, {1, 2, 1, 1, 2});
}

TEST(Softmax, HandsNanToAllChannelsOfItsVoxel) {
  const Tensor output = make_layer(Softmax{})->forward(two_voxels({kNan, 0}, {1, 0}), {});
  EXPECT_TRUE(std::isnan(output.data<double>()[0]) && std::isnan(output.data<double>()[2]));
  EXPECT_EQ(output.data<double>()[1], 0.5);
  EXPECT_EQ(output.data<double>()[3], 0.5);
}

TEST(Argmax, IsTheFirstOfTheLargest) {
  const Shape shape = {2, 6, 3, 17, 31};
  std::vector<float> values = standard_normal<float>(element_count(shape), 7);
  for (float& value : values) value = std::round(value);  // many are equal
  const Tensor output = make_layer(Argmax{})->forward(Tensor::from(values, shape), {.threads = 3});
  ASSERT_EQ(output.shape(), (Shape{2, 1, 3, 17, 31}));
  const std::int64_t voxels = 3 * 17 * 31;
  for (std::int64_t at = 0; at < 2 * voxels; ++at) {
    const std::int64_t first = at / voxels * 6 * voxels + at % voxels;
    std::int64_t expected = 0;
    for (std::int64_t c = 1; c < 6; ++c) {
      if (values[static_cast<std::size_t>(first + c * voxels)] >
          values[static_cast<std::size_t>(first + expected * voxels)]) {
        expected = c;
      }
    }
    ASSERT_EQ(output.data<float>()[at], static_cast<float>(expected)) << "voxel " << at;
  }
}

TEST(Argmax, TakesNanForTheLargest) {
  const Tensor output = make_layer(Argmax{})->forward(two_voxels({3, kNan}, {kNan, kNan}), {});
  EXPECT_EQ(output.data<double>()[0], 1);
  EXPECT_EQ(output.data<double>()[1], 0);
}

TEST(OverChannels, PlansAndRefusals) {
  EXPECT_TRUE(make_layer(Softmax{})->plan({1, 2, 3, 4, 5}, {}).in_place);
  EXPECT_FALSE(make_layer(Argmax{})->plan({1, 2, 3, 4, 5}, {}).in_place);
  EXPECT_EQ(make_layer(Softmax{})->forward(Tensor::zeros({0, 2, 3, 4, 5}), {}).size(), 0);
  expect_refused([] { make_layer(Softmax{})->output_shape({1, 0, 2, 2, 2}); }, {"softmax", "none"});
  expect_refused([] { make_layer(Argmax{})->output_shape({2, 2, 2, 2}); }, {"(N, C, D, H, W)"});
}

}  // namespace
