#include "convt3d/base/dtype.hpp"

#include <array>

namespace convt3d {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  std::size_t bytes;
};

constexpr std::array<Row, 12> kRows = {{{DType::kFloat32, "float32", 4},
                                        {DType::kFloat64, "float64", 8},
                                        {DType::kFloat16, "float16", 2},
                                        {DType::kBFloat16, "bfloat16", 2},
                                        {DType::kInt8, "int8", 1},
                                        {DType::kUInt8, "uint8", 1},
                                        {DType::kInt16, "int16", 2},
                                        {DType::kUInt16, "uint16", 2},
                                        {DType::kInt32, "int32", 4},
                                        {DType::kUInt32, "uint32", 4},
                                        {DType::kInt64, "int64", 8},
                                        {DType::kUInt64, "uint64", 8}}};

}  // namespace

std::size_t size_of(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].bytes; }

std::string_view name_of(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].name; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace convt3d
