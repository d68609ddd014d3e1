#include "convt3d/base/tensor.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "convt3d/base/half.hpp"
#include "support/refusal.hpp"

namespace convt3d {
namespace {

using testing_support::expect_refused;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

TEST(Shape, PrintsAsATuple) {
  EXPECT_EQ(to_string(Shape{1, 64, 4, 8, 8}), "(1, 64, 4, 8, 8)");
  EXPECT_EQ(to_string(Shape{7}), "(7,)");
  EXPECT_EQ(to_string(Shape{}), "()");
}

TEST(Shape, CountsItsElementsAndBytes) {
  EXPECT_EQ(element_count({2, 3, 4}), 24);
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({2, 0, 4}), 0);
  EXPECT_EQ(byte_count({2, 3, 4}, DType::kFloat64), 192);
  EXPECT_EQ(byte_count({3}, DType::kBFloat16), 6);
}

TEST(Shape, RefusesWhatPasses63BitsBeforeAnythingIsAllocated) {
  expect_refused([] { element_count({kMost, 2}); }, {"2^63 - 1"});
  expect_refused([] { byte_count({kMost / 2}, DType::kFloat32); }, {"2^63 - 1 bytes"});
  expect_refused([] { Tensor::zeros({kMost / 4 + 1}); }, {"2^63 - 1 bytes"});
  expect_refused([] { element_count({2, -1}); }, {"(2, -1)", "negative"});
}

TEST(Tensor, OfZerosIsZero) {
  const Tensor tensor = Tensor::zeros({2, 3, 5}, DType::kInt16);
  EXPECT_EQ(tensor.shape(), (Shape{2, 3, 5}));
  EXPECT_EQ(tensor.dtype(), DType::kInt16);
  EXPECT_EQ(tensor.size(), 30);
  EXPECT_EQ(tensor.size_bytes(), 60);
  for (const std::int16_t value : tensor.values<std::int16_t>()) EXPECT_EQ(value, 0);
}

TEST(Tensor, IsFloat32UnlessTold) { EXPECT_EQ(Tensor::zeros({1}).dtype(), DType::kFloat32); }

TEST(Tensor, HoldsTheValuesItIsMadeFrom) {
  const std::vector<double> values = {1, 2, 3, 4, 5, 6};
  const Tensor tensor = Tensor::from(values, {3, 2});
  EXPECT_EQ(tensor.dtype(), DType::kFloat64);
  EXPECT_EQ(std::vector<double>(tensor.values<double>().begin(), tensor.values<double>().end()), values);
  expect_refused([&] { Tensor::from(values, {4, 2}); }, {"(4, 2)", "8", "6"});
}

TEST(Tensor, RefusesToBeReadAsAnotherType) {
  Tensor tensor = Tensor::zeros({2});
  expect_refused([&] { tensor.data<double>(); }, {"float32", "float64"});
  expect_refused([&] { std::as_const(tensor).data<std::int32_t>(); }, {"float32", "int32"});
}

TEST(Tensor, CopiesItsElementsAndMovesThemAlong) {
  Tensor tensor = Tensor::from(std::vector<float>{1, 2}, {2});
  Tensor copy = tensor;
  copy.data<float>()[0] = 9;
  EXPECT_EQ(tensor.data<float>()[0], 1);
  const float* elements = tensor.data<float>();
  const Tensor moved = std::move(tensor);
  EXPECT_EQ(moved.data<float>(), elements);
  copy = moved;
  EXPECT_EQ(copy.data<float>()[0], 1);
}

TEST(Tensor, MayBeEmpty) {
  const Tensor tensor = Tensor::zeros({0, 3, 4, 4, 4});
  EXPECT_EQ(tensor.size(), 0);
  EXPECT_TRUE(tensor.values<float>().empty());
  EXPECT_EQ(Tensor(tensor).shape(), tensor.shape());
}

TEST(Tensor, IsViewedAsVolumes) {
  Tensor batched = Tensor::zeros({2, 3, 4, 5, 6});
  const TensorView view = batched.view();
  EXPECT_EQ(view.data, batched.raw());
  EXPECT_EQ(view.n, 2);
  EXPECT_EQ(view.c, 3);
  EXPECT_EQ(view.extent, Extent3(4, 5, 6));
  const Tensor unbatched = Tensor::zeros({3, 4, 5, 6}, DType::kFloat64);
  EXPECT_EQ(unbatched.view().n, 1);
  EXPECT_EQ(unbatched.view().c, 3);
  EXPECT_EQ(unbatched.view().dtype, DType::kFloat64);
  expect_refused([] { Tensor::zeros({4, 5, 6}).view(); }, {"5-D (N, C, D, H, W)", "4-D (C, D, H, W)", "(4, 5, 6)"});
}

TEST(Tensor, TakesAnotherShapeOfAsManyElements) {
  Tensor tensor = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  const float* elements = tensor.data<float>();
  Tensor seen = std::move(tensor).reshaped({3, 1, 2});
  EXPECT_EQ(seen.shape(), (Shape{3, 1, 2}));
  EXPECT_EQ(seen.data<float>(), elements);
  expect_refused([&] { std::move(seen).reshaped({5}); }, {"(3, 1, 2)", "(5,)"});
}

TEST(Tensor, RemembersWhetherItMayHaveBeenWrittenTo) {
  Tensor tensor = Tensor::zeros({2});
  EXPECT_FALSE(tensor.may_change());
  std::as_const(tensor).data<float>();
  EXPECT_FALSE(tensor.may_change());
  tensor.data<float>();
  EXPECT_TRUE(tensor.may_change());
  tensor.settle();
  EXPECT_FALSE(tensor.may_change());
}

TEST(Convert, KeepsIntegersAndRoundsFloats) {
  const Tensor doubles = Tensor::from(std::vector<double>{0.1, -2.5, 1e300, 3}, {4});
  const Tensor floats = convert(doubles, DType::kFloat32);
  EXPECT_EQ(floats.data<float>()[0], 0.1F);
  EXPECT_EQ(floats.data<float>()[1], -2.5F);
  EXPECT_EQ(floats.data<float>()[2], std::numeric_limits<float>::infinity());
  EXPECT_EQ(convert(floats, DType::kFloat32).data<float>()[3], 3);
  const Tensor bytes = Tensor::from(std::vector<std::uint8_t>{0, 255}, {2});
  EXPECT_EQ(convert(bytes, DType::kFloat64).data<double>()[1], 255);
  EXPECT_EQ(convert(bytes, DType::kInt32).data<std::int32_t>()[1], 255);
}

TEST(Convert, TruncatesAndSaturatesWhatDoesNotFit) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor doubles = Tensor::from(std::vector<double>{-1.9, 300, -300, nan, 1e30, -1e30}, {6});
  const Tensor bytes = convert(doubles, DType::kInt8);
  const std::vector<std::int8_t> expected_bytes = {-1, 127, -128, 0, 127, -128};
  EXPECT_EQ(std::vector<std::int8_t>(bytes.values<std::int8_t>().begin(), bytes.values<std::int8_t>().end()),
            expected_bytes);
  const Tensor longs = convert(doubles, DType::kInt64);
  EXPECT_EQ(longs.data<std::int64_t>()[4], kMost);
  EXPECT_EQ(longs.data<std::int64_t>()[5], std::numeric_limits<std::int64_t>::min());
  const Tensor unsigned_longs = convert(doubles, DType::kUInt64);
  EXPECT_EQ(unsigned_longs.data<std::uint64_t>()[4], std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(unsigned_longs.data<std::uint64_t>()[5], 0U);
  const Tensor wide = Tensor::from(std::vector<std::int64_t>{-1, 70000, kMost}, {3});
  EXPECT_EQ(convert(wide, DType::kUInt16).data<std::uint16_t>()[0], 0);
  EXPECT_EQ(convert(wide, DType::kUInt16).data<std::uint16_t>()[1], 65535);
  EXPECT_EQ(convert(wide, DType::kInt32).data<std::int32_t>()[2], std::numeric_limits<std::int32_t>::max());
}

TEST(Convert, WidensHalfPrecision) {
  Tensor halves = Tensor::zeros({2}, DType::kFloat16);
  static_cast<std::uint16_t*>(halves.raw())[0] = 0x3e00;  // 1.5
  static_cast<std::uint16_t*>(halves.raw())[1] = 0xfbff;  // -65504
  EXPECT_EQ(convert(halves, DType::kFloat32).data<float>()[0], 1.5F);
  EXPECT_EQ(convert(halves, DType::kFloat64).data<double>()[1], -65504);
  Tensor brain = Tensor::zeros({1}, DType::kBFloat16);
  static_cast<std::uint16_t*>(brain.raw())[0] = 0xc049;  // -3.140625
  EXPECT_EQ(convert(brain, DType::kFloat32).data<float>()[0], -3.140625F);
  expect_refused([&] { convert(brain, DType::kFloat16); }, {"float16"});
}

TEST(Half, IsExactForEveryValue) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = float_from_half(static_cast<std::uint16_t>(bits));
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const int fraction = static_cast<int>(bits & 1023);
    EXPECT_EQ(std::signbit(value), bits >> 15 != 0) << bits;
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(value), fraction != 0) << bits;
      EXPECT_EQ(std::isinf(value), fraction == 0) << bits;
    } else {
      const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                            : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
      EXPECT_EQ(std::abs(value), magnitude) << bits;
    }
  }
}

TEST(Bfloat16, IsTheNearestAndEvenOfTwo) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto low = static_cast<std::uint16_t>(bits);
    const float value = float_from_bfloat16(low);
    EXPECT_TRUE(std::isnan(value) ? std::isnan(float_from_bfloat16(bfloat16_from_float(value)))
                                  : bfloat16_from_float(value) == low)
        << bits;
    if (!std::isfinite(value)) continue;
    const auto between = [&](std::uint32_t rest) { return bfloat16_from_float(std::bit_cast<float>(bits << 16 | rest)); };
    EXPECT_EQ(between(0x7fff), low) << bits;
    EXPECT_EQ(between(0x8001), low + 1) << bits;
    EXPECT_EQ(between(0x8000), low + low % 2) << bits;
  }
  EXPECT_TRUE(std::isnan(float_from_bfloat16(bfloat16_from_float(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace convt3d
