#include "convt3d/nn/pixel_shuffle.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <vector>

#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::expect_refused;

template <typename T>
void expect_shuffled(const Extent3& r, const Shape& shape) {
  std::vector<T> values(static_cast<std::size_t>(element_count(shape)));
  std::iota(values.begin(), values.end(), T(0));
  const Tensor output = make_layer(PixelShuffle3d{r})->forward(Tensor::from(values, shape), {.threads = 3});
  const std::int64_t channels = shape[1] / (r.d * r.h * r.w);
  ASSERT_EQ(output.shape(), (Shape{shape[0], channels, shape[2] * r.d, shape[3] * r.h, shape[4] * r.w}));
  std::int64_t at = 0;
  for (std::int64_t volume = 0; volume < shape[0] * channels; ++volume) {
    for (std::int64_t od = 0; od < shape[2] * r.d; ++od) {
      for (std::int64_t oh = 0; oh < shape[3] * r.h; ++oh) {
        for (std::int64_t ow = 0; ow < shape[4] * r.w; ++ow, ++at) {
          const std::int64_t channel = ((volume * r.d + od % r.d) * r.h + oh % r.h) * r.w + ow % r.w;
          const std::int64_t from = ((channel * shape[2] + od / r.d) * shape[3] + oh / r.h) * shape[4] + ow / r.w;
          ASSERT_EQ(output.data<T>()[at], static_cast<T>(from)) << "element " << at;
        }
      }
    }
  }
}

TEST(PixelShuffle3d, TakesEachVoxelFromItsChannel) {
  expect_shuffled<float>(2, {2, 16, 3, 4, 5});
  expect_shuffled<float>({1, 3, 4}, {1, 24, 2, 3, 33});
  expect_shuffled<float>({5, 1, 5}, {1, 25, 2, 3, 4});
  expect_shuffled<double>(3, {1, 27, 2, 2, 7});
  expect_shuffled<double>(1, {2, 3, 2, 2, 7});
}

TEST(PixelShuffle3d, KeepsTheFieldOfView) {
  const Sampling sampling = make_layer(PixelShuffle3d{{1, 2, 4}})->sampling({});
  EXPECT_EQ(sampling, (Sampling{{1, 0.5, 0.25}, {0, -0.25, -0.375}}));
}

TEST(PixelShuffle3d, PrintsItsFactor) {
  EXPECT_EQ(make_layer(PixelShuffle3d{2})->repr(), "PixelShuffle3d(upscale_factor=2)");
  EXPECT_EQ(make_layer(PixelShuffle3d{{1, 2, 2}})->repr(), "PixelShuffle3d(upscale_factor=(1, 2, 2))");
}

TEST(PixelShuffle3d, RefusesWhatDoesNotFit) {
  expect_refused([] { make_layer(PixelShuffle3d{2})->output_shape({1, 12, 2, 2, 2}); }, {"8 voxels", "12 channels"});
  expect_refused([] { make_layer(PixelShuffle3d{{2, 0, 2}}); }, {"upscale_factor is (2, 0, 2)", "at least 1"});
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  expect_refused([] { make_layer(PixelShuffle3d{kHuge}); }, {"upscale_factor", "at most 2^63 - 1 voxels"});
  expect_refused([] { make_layer(PixelShuffle3d{{1, 1, kHuge}})->output_shape({1, kHuge, 1, 1, kHuge}); }, {"2^63"});
}

}  // namespace
