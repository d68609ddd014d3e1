#include "convt3d/model/npy.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "files.hpp"
#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::npy_bytes;

Tensor read_bytes(const std::string& bytes) {
  std::istringstream file(bytes);
  return read_npy(file, static_cast<std::int64_t>(bytes.size()));
}

void expect_refused_bytes(const std::string& bytes, const std::vector<std::string>& words) {
  testing_support::expect_refused([&] { read_bytes(bytes); }, words, ErrorKind::kConfig);
}

std::string with_header(const std::string& header) { return npy_bytes(header, std::string(8, '\0')); }

TEST(Npy, ReadsWhatNumpyWrites) {
  const std::vector<std::pair<std::string, DType>> files = {
      {"float32", DType::kFloat32},          {"float64_big_endian_fortran", DType::kFloat64},
      {"float16_version2", DType::kFloat16}, {"int16_version3", DType::kInt16},
      {"uint8_fortran", DType::kUInt8},      {"int64", DType::kInt64}};
  for (const auto& [name, dtype] : files) {
    SCOPED_TRACE(name);
    const std::filesystem::path path = std::filesystem::path(CONVT3D_MODEL_TESTS) / "goldens" / (name + ".npy");
    std::ifstream file(path, std::ios::binary);
    const Tensor tensor = read_npy(file, static_cast<std::int64_t>(std::filesystem::file_size(path)));
    EXPECT_EQ(tensor.dtype(), dtype);
    ASSERT_EQ(tensor.shape(), (Shape{2, 1, 2, 2, 3}));
    const Tensor values = convert(tensor, DType::kFloat64);
    for (std::int64_t i = 0; i < 24; ++i) EXPECT_EQ(values.data<double>()[i], static_cast<double>(i));
  }
}

TEST(Npy, ReadsScalarsAndEmptyArrays) {
  EXPECT_EQ(read_bytes(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': ()}")).shape(), Shape{});
  EXPECT_EQ(read_bytes(npy_bytes("{'descr': '<f8', 'fortran_order': True, 'shape': (3, 0)}", "")).shape(), (Shape{3, 0}));
  EXPECT_EQ(read_bytes(with_header("{\"shape\":(2,1,),\"fortran_order\":False,\"descr\":\"<u4\"}")).shape(), (Shape{2, 1}));
}

TEST(Npy, RefusesWhatIsNoNpy) {
  expect_refused_bytes("", {"ends within its first bytes"});
  expect_refused_bytes(std::string(100, 'x'), {"does not start with"});
  std::string version = with_header("{'descr': '<f8', 'fortran_order': False, 'shape': ()}");
  version[6] = 9;
  expect_refused_bytes(version, {"version 9"});
  expect_refused_bytes(version.substr(0, 9), {"version 9"});
  version[6] = 1;
  expect_refused_bytes(version.substr(0, 9), {"ends within its header"});
  expect_refused_bytes(version.substr(0, 30), {"ends within its header"});
  version[6] = 2;  // the length then has four bytes, the last two being the start of the text
  expect_refused_bytes(version, {"a header of"});
}

TEST(Npy, RefusesHeadersThatSayTooLittleOrTooMuch) {
  expect_refused_bytes(with_header(""), {"lacks a '{'"});
  expect_refused_bytes(with_header("{}"), {"lacks descr"});
  expect_refused_bytes(with_header("{'descr': '<f8', 'shape': ()}"), {"lacks descr, fortran_order or shape"});
  expect_refused_bytes(with_header("{'descr': '<f8', 'fortran_order': 0, 'shape': ()}"), {"neither True nor False"});
  expect_refused_bytes(with_header("{'descr': '<f8', 'descr': '<f8'}"), {"'descr'", "twice"});
  expect_refused_bytes(with_header("{'descr': '<f8', 'more': 1}"), {"'more'"});
  expect_refused_bytes(with_header("{'descr': '<f8"), {"open string"});
  expect_refused_bytes(with_header("{'descr': [('a', '<f8')]}"), {"where a string belongs"});
  expect_refused_bytes(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': ()} + 1"), {"goes on"});
  expect_refused_bytes(with_header("{'descr' '<f8'}"), {"lacks a ':'"});
  expect_refused_bytes(with_header("{'descr': '<f8' 'fortran_order': False}"), {"lacks a '}'"});
  expect_refused_bytes(with_header("{'shape': (1 2)}"), {"lacks a ')'"});
}

TEST(Npy, RefusesShapesThatTheFileDoesNotHold) {
  const auto shaped = [](const std::string& shape) {
    return with_header("{'descr': '<f8', 'fortran_order': True, 'shape': " + shape + "}");
  };
  expect_refused_bytes(shaped("(2,)"), {"(2,)", "takes 16 bytes, 8 are there"});
  expect_refused_bytes(shaped("(0,)"), {"takes 0 bytes, 8 are there"});
  expect_refused_bytes(shaped("(-1,)"), {"no size"});
  expect_refused_bytes(shaped("(1.0,)"), {"lacks a ')'"});
  expect_refused_bytes(shaped("(99999999999999999999,)"), {"no size"});
  expect_refused_bytes(shaped("(4000000000, 4000000000)"), {"not a valid .npy", "2^63"});
  std::string axes = "(";
  for (int i = 0; i < 40; ++i) axes += "1, ";
  expect_refused_bytes(shaped(axes + ")"), {"more than 32 axes"});
}

TEST(Npy, RefusesOtherTypes) {
  for (const std::string descr : {"<c8", "|O", "<U4", "<f16", "f8", "<f3", "", "=f8", "|i2"}) {
    expect_refused_bytes(with_header("{'descr': '" + descr + "', 'fortran_order': False, 'shape': ()}"),
                         {"dtype '" + descr + "'", "float16, float32, float64"});
  }
}

TEST(Npy, MutatedBytesAreReadOrRefused) {
  const std::vector<std::string> seeds = {
      testing_support::npy_floats("(2, 3)", 6),
      npy_bytes("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 2), }", "\1\2\3\4\5\6\7\10")};
  constexpr std::string_view kPieces = "{}()',:<>|fiu0123456789TrueFalse \n";
  testing_support::Lcg random(20260728);
  int taken = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = seeds[static_cast<std::size_t>(round % 2)];
    for (std::int64_t edits = random.between(1, 4); edits > 0; --edits) {
      const auto at = static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(bytes.size()) - 1));
      const char piece = kPieces[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(kPieces.size()) - 1))];
      switch (random.between(0, 3)) {
        case 0: bytes[at] = static_cast<char>(random.between(0, 255)); break;
        case 1: bytes[at] = piece; break;
        case 2: bytes.insert(at, 1, piece); break;
        default: bytes.erase(at, 1); break;
      }
    }
    try {
      read_bytes(bytes);
      ++taken;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kConfig) << "round " << round << ": " << error.what();
    }
  }
  EXPECT_GT(taken, 100);  // data bytes may change
}

}  // namespace
