#include "convt3d/model/interpolation.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::expect_refused;

void expect_taps(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t t = 0; t < found.size(); ++t) EXPECT_NEAR(found[t], expected[t], 1e-15) << "tap " << t;
}

TEST(InterpolationTaps, AreTheTextbooks) {
  expect_taps(interpolation_taps("nearest", 3, 3), {1, 1, 1});
  expect_taps(interpolation_taps("nearest", 4, 2), {0, 1, 1, 0});
  expect_taps(interpolation_taps("linear", 4, 2), {0.25, 0.75, 0.75, 0.25});
  expect_taps(interpolation_taps("linear", 3, 2), {0.5, 1, 0.5});
  expect_taps(interpolation_taps("linear", 6, 2), {0, 0.25, 0.75, 0.75, 0.25, 0});
  expect_taps(interpolation_taps("cubic", 7, 2), {-0.0625, 0, 0.5625, 1, 0.5625, 0, -0.0625});
  expect_taps(interpolation_taps("bspline3", 3, 1), {1.0 / 6, 4.0 / 6, 1.0 / 6});
  expect_taps(interpolation_taps("bspline3", 7, 2), {1.0 / 48, 1.0 / 6, 23.0 / 48, 2.0 / 3, 23.0 / 48, 1.0 / 6, 1.0 / 48});
  // At 0 and ±1 a sinc is 1 and 0.
  expect_taps(interpolation_taps("lanczos3", 5, 1), {0, 0, 1, 0, 0});
}

TEST(InterpolationTaps, LeaveAnAxisOfStrideAndKernel1Alone) {
  for (const std::string_view kernel : kInterpolationKernels) expect_taps(interpolation_taps(kernel, 1, 1), {1});
}

TEST(InterpolationTaps, EachPhaseSumsToOneAndTheWholeIsSymmetric) {
  for (const std::string_view kernel : kInterpolationKernels) {
    for (std::int64_t s = 1; s <= 6; ++s) {
      const std::int64_t first = kernel == "nearest" ? s : 6 * s - 1;
      for (std::int64_t k = first; k <= first + 4; k += 2) {
        const std::vector<double> taps = interpolation_taps(kernel, k, s);
        for (std::int64_t phase = 0; phase < s; ++phase) {
          double sum = 0;
          for (std::int64_t t = phase; t < k; t += s) sum += taps[static_cast<std::size_t>(t)];
          EXPECT_NEAR(sum, 1, 1e-15) << kernel << " k" << k << " s" << s << " phase " << phase;
        }
        const std::vector<double> mirrored(taps.rbegin(), taps.rend());
        for (std::size_t t = 0; t < taps.size(); ++t) EXPECT_NEAR(taps[t], mirrored[t], 1e-15);
      }
    }
  }
}

TEST(InterpolationTaps, RefuseAKernelThatIsCutOff) {
  expect_refused([] { interpolation_taps("linear", 2, 2); }, {"linear with stride 2", "kernel_size 2", "3 or more"});
  expect_refused([] { interpolation_taps("cubic", 6, 2); }, {"cubic with stride 2", "7 or more"});
  expect_refused([] { interpolation_taps("lanczos3", 10, 2); }, {"11 or more"});
  expect_refused([] { interpolation_taps("bspline3", 1, 2); }, {"7 or more"});
  expect_refused([] { interpolation_taps("bspline3", 2, 1); }, {"3 or more"});
  expect_refused([] { interpolation_taps("linear", 1, 2147483647); }, {"or more"});
  expect_refused([] { interpolation_taps("box", 4, 2); }, {"no interpolation kernel \"box\""});
}

TEST(InterpolationTaps, RefuseANearestThatIsBetweenTwo) {
  expect_refused([] { interpolation_taps("nearest", 3, 2); }, {"kernel_size 3", "2, 4", "half-way"});
  expect_refused([] { interpolation_taps("nearest", 1, 3); }, {"3, 5"});
}

TEST(InterpolationWeight, IsTheProductOfItsAxes) {
  const std::vector<double> weight = interpolation_weight("linear", {1, 3, 4}, {1, 2, 2});
  expect_taps(weight, {0.125, 0.375, 0.375, 0.125, 0.25, 0.75, 0.75, 0.25, 0.125, 0.375, 0.375, 0.125});
}

}  // namespace
