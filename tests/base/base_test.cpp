// The small values at the bottom of the house: dtypes, extents, boxes, checked arithmetic, buffers.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>

#include "convt3d/base/buffer.hpp"
#include "convt3d/base/checked.hpp"
#include "convt3d/base/dtype.hpp"
#include "convt3d/base/extent.hpp"
#include "support/refusal.hpp"

namespace convt3d {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

TEST(DType, IsKnownByItsName) {
  for (const char* name : {"float32", "float64", "float16", "bfloat16", "int8", "uint8", "int16", "uint16", "int32",
                           "uint32", "int64", "uint64"}) {
    const std::optional<DType> dtype = dtype_from_name(name);
    ASSERT_TRUE(dtype) << name;
    EXPECT_EQ(name_of(*dtype), name);
    EXPECT_EQ(is_integer(*dtype), std::strstr(name, "int") != nullptr) << name;
  }
  EXPECT_FALSE(dtype_from_name("float"));
  EXPECT_FALSE(dtype_from_name(""));
}

TEST(DType, HasTheSizeOfItsType) {
  EXPECT_EQ(size_of(dtype_of<float>()), sizeof(float));
  EXPECT_EQ(size_of(dtype_of<double>()), sizeof(double));
  EXPECT_EQ(size_of(DType::kFloat16), 2U);
  EXPECT_EQ(size_of(DType::kBFloat16), 2U);
  EXPECT_EQ(size_of(dtype_of<std::int8_t>()), 1U);
  EXPECT_EQ(size_of(dtype_of<std::uint16_t>()), 2U);
  EXPECT_EQ(size_of(dtype_of<std::uint32_t>()), 4U);
  EXPECT_EQ(size_of(dtype_of<std::int64_t>()), 8U);
}

TEST(Extent, IsOneNumberForAllAxesOrThree) {
  EXPECT_EQ(Extent3(2), Extent3(2, 2, 2));
  Extent3 extent = {4, 5, 6};
  EXPECT_EQ(extent[0], 4);
  EXPECT_EQ(extent[1], 5);
  EXPECT_EQ(extent[2], 6);
  extent[1] = 9;
  EXPECT_EQ(extent.h, 9);
  EXPECT_EQ(to_string(extent), "(4, 9, 6)");
}

TEST(Box, IsHalfOpen) {
  const Box3 box = {{1, 2, 3}, {4, 4, 4}};
  EXPECT_EQ(box.extent(), Extent3(3, 2, 1));
  EXPECT_FALSE(box.empty());
  EXPECT_TRUE((Box3{{1, 2, 3}, {4, 2, 4}}).empty());
  EXPECT_TRUE((Box3{{1, 2, 3}, {4, 4, 2}}).empty());
  EXPECT_EQ(whole({3, 4, 5}), (Box3{0, {3, 4, 5}}));
}

TEST(Checked, IsEmptyPast63Bits) {
  EXPECT_EQ(checked_mul(1'000'000'007, 3), 3'000'000'021);
  EXPECT_FALSE(checked_mul(kMost, 2));
  EXPECT_FALSE(checked_mul(std::nullopt, 0));
  EXPECT_EQ(checked_add(kMost - 1, 1), kMost);
  EXPECT_FALSE(checked_add(kMost, 1));
  EXPECT_FALSE(checked_add(1, std::nullopt));
}

TEST(Checked, RoundsUp) {
  EXPECT_EQ(ceil_div(7, 3), 3);
  EXPECT_EQ(ceil_div(6, 3), 2);
  EXPECT_EQ(ceil_div(0, 3), 0);
  EXPECT_EQ(round_up(17, 16), 32);
  EXPECT_EQ(round_up(32, 16), 32);
}

bool is_aligned(const void* pointer, std::uintptr_t alignment) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignment == 0;
}

TEST(Buffer, IsAlignedToCacheLinesAndLargeOnesToHugePages) {
  for (const std::size_t bytes : {1U, 63U, 64U, 4097U}) EXPECT_TRUE(is_aligned(Buffer(bytes).data(), 64)) << bytes;
  EXPECT_TRUE(is_aligned(Buffer(5 << 20).data(), 2 << 20));
}

TEST(Buffer, CopiesItsBytesAndMovesThem) {
  Buffer buffer(100);
  std::memset(buffer.data(), 7, 100);
  const Buffer copy = buffer;
  ASSERT_EQ(copy.size(), 100U);
  EXPECT_NE(copy.data(), buffer.data());
  EXPECT_EQ(std::memcmp(copy.data(), buffer.data(), 100), 0);
  const void* bytes = buffer.data();
  const Buffer moved = std::move(buffer);
  EXPECT_EQ(moved.data(), bytes);
  EXPECT_EQ(Buffer().data(), nullptr);
  EXPECT_EQ(Buffer(0).size(), 0U);
}

TEST(Buffer, GrowsWhereItIsTooSmallOnly) {
  Buffer buffer(100);
  const void* bytes = buffer.data();
  buffer.reserve(50);
  EXPECT_EQ(buffer.data(), bytes);
  EXPECT_EQ(buffer.size(), 100U);
  buffer.reserve(1000);
  EXPECT_GE(buffer.size(), 1000U);
}

TEST(Buffer, SaysHowManyBytesCannotBeHad) {
  const std::size_t bytes = std::size_t{1} << 60;
  testing_support::expect_refused([&] { Buffer buffer(bytes); }, {std::to_string(bytes)}, ErrorKind::kMemory);
  testing_support::expect_refused([] { Buffer buffer(SIZE_MAX); }, {std::to_string(SIZE_MAX)}, ErrorKind::kMemory);
}

}  // namespace
}  // namespace convt3d
