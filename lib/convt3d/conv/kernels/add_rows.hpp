#pragma once

#include <cstdint>

#include "convt3d/base/machine.hpp"

// The kernels of col2vol_rows' sums. T is float or double.
namespace convt3d::kernels {

/// A row that is added to another one from element `shift` on.
struct ShiftedRow {
  std::int64_t source = 0;
  std::int64_t shift = 0;
};

/// Rows of `length` elements added to longer ones, one after the other:
///   target[k*target_step + x] += Σ_row sources[k*source_step + row.source + x - row.shift]   where 0 <= x - row.shift <
///   length
/// for k < targets. Sources have room for a vector before and behind each row, a target behind its last element.
template <typename T>
struct AddRowsArgs {
  const T* sources = nullptr;
  std::int64_t source_step = 0;
  const ShiftedRow* rows = nullptr;
  std::int64_t count = 0;
  std::int64_t lowest = 0, highest = 0;  ///< shifts are between
  std::int64_t length = 0;
  T* target = nullptr;
  std::int64_t target_step = 0;
  std::int64_t targets = 1;
};
/// Rows taken in turn, an element of each:
///   target[x*rows + k] = sources[k*source_step + x] + added   for k < rows and x < length
/// Sources have room for a vector behind each row.
template <typename T>
struct InterleaveArgs {
  const T* sources = nullptr;
  std::int64_t source_step = 0;
  std::int64_t rows = 1;
  T added = 0;
  std::int64_t length = 0;
  T* target = nullptr;
};
template <typename T>
using InterleaveFn = void (*)(const InterleaveArgs<T>& args);
template <typename T>
InterleaveFn<T> interleave(Isa isa);

template <typename T>
using AddRowsFn = void (*)(const AddRowsArgs<T>&);
template <typename T>
AddRowsFn<T> add_rows(Isa isa);

}  // namespace convt3d::kernels
