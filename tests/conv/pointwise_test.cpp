// Pointwise functions against their formulas in double, on every instruction set; tails, limits and NaN.
#include "convt3d/conv/pointwise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "support/arrays.hpp"
#include "support/pointwise.hpp"
#include "support/refusal.hpp"

namespace testing_support {
namespace {

using convt3d::DType;
using convt3d::Isa;
using convt3d::Pointwise;
using Function = Pointwise::Function;

constexpr float kInf = std::numeric_limits<float>::infinity();

template <typename T>
std::vector<T> applied(const Pointwise& pointwise, std::vector<T> values, Isa isa, std::int64_t channels = 1) {
  const auto count = static_cast<std::int64_t>(values.size()) / channels;
  convt3d::apply(pointwise, {values.data(), convt3d::dtype_of<T>(), 1, channels, {1, 1, count}}, 1, isa);
  return values;
}

/// Floats from `low` to `high`, evenly spread and, near 0, in every binade.
std::vector<float> sweep(double low, double high) {
  std::vector<float> values;
  for (int i = 0; i <= 50'000; ++i) values.push_back(static_cast<float>(low + (high - low) * i / 50'000));
  for (int exponent = -30; exponent < 0; ++exponent) {
    for (const double sign : {-1.0, 1.0}) {
      const auto value = static_cast<float>(sign * std::ldexp(1.37, exponent));
      if (value >= low && value <= high) values.push_back(value);
    }
  }
  return values;
}

/// The largest distance from the formula, in units in the last place of the exact value as a float.
void expect_within(double most_ulps, const Pointwise& pointwise, double low, double high, double (*exact)(double)) {
  const std::vector<float> inputs = sweep(low, high);
  for (const Isa isa : convt3d::available_isas()) {
    const std::vector<float> found = applied(pointwise, inputs, isa);
    double worst = 0;
    float worst_at = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const double expected = exact(static_cast<double>(inputs[i]));
      const double ulp = std::ldexp(1.0, std::max(std::ilogb(expected), -126) - 23);
      const double error = std::abs(static_cast<double>(found[i]) - expected) / ulp;
      if (error > worst) {
        worst = error;
        worst_at = inputs[i];
      }
    }
    EXPECT_LE(worst, most_ulps) << convt3d::name_of(isa) << " at " << worst_at;
  }
}

TEST(Pointwise, ElusExponentialIsWithin2Ulp) {
  expect_within(2, {.function = Function::kElu, .p = {1}}, -40, 0, [](double x) { return std::expm1(x); });
}

TEST(Pointwise, SigmoidIsWithin3Ulp) {
  expect_within(3, {.function = Function::kSigmoid}, -80, 40, [](double x) { return 1 / (1 + std::exp(-x)); });
}

TEST(Pointwise, TanhIsWithin3Ulp) {
  expect_within(3, {.function = Function::kTanh}, -12, 12, [](double x) { return std::tanh(x); });
}

TEST(Pointwise, SoftplusIsWithin4Ulp) {
  expect_within(4, {.function = Function::kSoftplus, .p = {1}, .q = {20}}, -80, 20,
                [](double x) { return std::log1p(std::exp(x)); });
}

TEST(Pointwise, GeluIsWithin9UlpAboveMinus3) {
  const auto exact = [](double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); };
  expect_within(9, {.function = Function::kGelu}, -3, 9, exact);
  // The rounding of x²/2 is what counts: its error, |x²/2|·2^-24, becomes the relative error of exp(-x²/2).
  expect_within(51, {.function = Function::kGelu}, -10, -3, exact);
}

TEST(Pointwise, MatchTheirFormulasInDouble) {
  const std::vector<float> inputs = sweep(-9, 9);
  const std::vector<double> wide(inputs.begin(), inputs.end());
  for (const NamedPointwise& each : pointwise_functions()) {
    for (const Isa isa : convt3d::available_isas()) {
      const std::vector<double> found = applied(each.pointwise, wide, isa);
      for (std::size_t i = 0; i < wide.size(); ++i) {
        const double expected = each.exact(wide[i]);
        ASSERT_NEAR(found[i], expected, 0x1p-48 * std::max(1e-3, std::abs(expected))) << each.name << " at " << wide[i];
      }
    }
  }
}

TEST(Pointwise, ComputeTailsAsWholeVectorsAndTouchNothingBehind) {
  const std::vector<float> inputs = uniform<float>(70, 9, 4);
  for (const NamedPointwise& each : pointwise_functions()) {
    for (const Isa isa : convt3d::available_isas()) {
      const std::vector<float> whole = applied(each.pointwise, inputs, isa);
      for (std::size_t begin = 0; begin < 3; ++begin) {
        for (std::size_t count = 0; count < 35; ++count) {
          std::vector<float> values = inputs;
          convt3d::apply(each.pointwise,
                         {values.data() + begin, DType::kFloat32, 1, 1, {1, 1, static_cast<std::int64_t>(count)}}, 1, isa);
          for (std::size_t i = 0; i < values.size(); ++i) {
            const bool inside = i >= begin && i < begin + count;
            ASSERT_EQ(values[i], inside ? whole[i] : inputs[i]) << each.name << " " << convt3d::name_of(isa);
          }
        }
      }
    }
  }
}

TEST(Pointwise, TakeTheirParametersFromTheChannel) {
  const std::vector<double> input = {-1, 2, -1, 2, -1, 2};
  for (const Isa isa : convt3d::available_isas()) {
    EXPECT_EQ(applied({.function = Function::kLeakyRelu, .p = {2, 3, 4}}, input, isa, 3),
              (std::vector<double>{-2, 2, -3, 2, -4, 2}));
    EXPECT_EQ(applied({.function = Function::kAffine, .p = {2, 3, 4}, .q = {10, 20, 30}}, input, isa, 3),
              (std::vector<double>{8, 14, 17, 26, 26, 38}));
    EXPECT_EQ(applied({.function = Function::kAffine, .p = {2}, .q = {10, 20, 30}}, input, isa, 3),
              (std::vector<double>{8, 14, 18, 24, 28, 34}));
  }
}

TEST(Pointwise, HandNanOn) {
  for (const NamedPointwise& each : pointwise_functions()) {
    for (const Isa isa : convt3d::available_isas()) {
      for (const float value : applied(each.pointwise, std::vector<float>(19, std::nanf("")), isa)) {
        EXPECT_TRUE(std::isnan(value)) << each.name << " " << convt3d::name_of(isa);
      }
    }
  }
}

TEST(Pointwise, ReachTheirLimits) {
  for (const Isa isa : convt3d::available_isas()) {
    const auto at = [&](Pointwise pointwise, float x) { return applied(pointwise, std::vector<float>{x}, isa).front(); };
    const Pointwise sigmoid = {.function = Function::kSigmoid};
    EXPECT_EQ(at(sigmoid, kInf), 1);
    EXPECT_EQ(at(sigmoid, -kInf), 0);
    EXPECT_EQ(at(sigmoid, 0), 0.5F);
    EXPECT_EQ(at({.function = Function::kTanh}, kInf), 1);
    EXPECT_EQ(at({.function = Function::kTanh}, -kInf), -1);
    EXPECT_EQ(at({.function = Function::kElu, .p = {2}}, -kInf), -2);
    EXPECT_EQ(at({.function = Function::kElu, .p = {2}}, kInf), kInf);
    EXPECT_EQ(at({.function = Function::kSilu}, kInf), kInf);
    EXPECT_EQ(at({.function = Function::kGelu}, kInf), kInf);
    EXPECT_EQ(at({.function = Function::kSoftplus, .p = {1}, .q = {20}}, -kInf), 0);
    EXPECT_EQ(at({.function = Function::kHardtanh, .p = {-1}, .q = {3}}, -kInf), -1);
    EXPECT_EQ(at({.function = Function::kHardtanh, .p = {-1}, .q = {3}}, kInf), 3);
  }
}

TEST(Pointwise, RefuseParametersOfOtherChannelsAndTypes) {
  std::vector<float> values(6);
  expect_refused(
      [&] {
        convt3d::apply({.function = Function::kLeakyRelu, .p = {1, 2}}, {values.data(), DType::kFloat32, 1, 3, {1, 1, 2}});
      },
      {"2 and 1 parameters", "3 channels"});
  expect_refused([&] { convt3d::apply({}, {values.data(), DType::kInt16, 1, 3, {1, 1, 2}}); }, {"float32", "int16"});
}

}  // namespace
}  // namespace testing_support
