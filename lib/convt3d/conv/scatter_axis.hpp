#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/planes.hpp"
#include "convt3d/conv/problem.hpp"

namespace convt3d {

/// One axis seen from the input: voxel i reaches output i*stride - padding + t*dilation by tap t.
struct ScatterAxis {
  std::int64_t input = 1, output = 1, kernel = 1, stride = 1, padding = 0, dilation = 1;

  std::int64_t output_of(std::int64_t i, std::int64_t tap) const { return i * stride - padding + tap * dilation; }
  /// The first tap by which i reaches an output not below `begin`; `kernel` if there is none. Taps run on from there.
  std::int64_t first_tap(std::int64_t i, std::int64_t begin) const {
    return std::clamp<std::int64_t>(ceil_div(std::max<std::int64_t>(0, begin - output_of(i, 0)), dilation), 0, kernel);
  }
  /// The first voxel that reaches an output not below `begin`.
  std::int64_t first_input(std::int64_t begin) const {
    return std::clamp<std::int64_t>(ceil_div(std::max<std::int64_t>(0, begin - output_of(0, kernel - 1)), stride), 0, input);
  }
  /// Outputs from the first to the last one that a voxel reaches.
  std::int64_t reach() const { return (kernel - 1) * dilation + 1; }
  /// Voxels and taps that meet an output.
  double pairs() const;
};

/// Axis 0 is d, 1 is h, 2 is w.
ScatterAxis scatter_axis(const Problem& problem, int axis);

/// Why products cannot be added up tap by tap where they belong, or "".
std::string not_scattered(const Problem& problem);

/// Of a thread's scratch, output planes included, and what is said of problems that need more.
inline constexpr std::int64_t kMostScatterBytes = std::int64_t{4} << 20;
inline constexpr const char* kScatterTooLarge = "planes too large to be added to in the cache";

/// Adds up the outputs `wanted` of an axis in the order of its inputs: begin(o) before the first sum, add(i) for each input
/// that reaches one of them, store(o) when no other will reach it. Not more than reach() outputs are begun and not stored.
template <typename Begin, typename Add, typename Store>
void scatter(const ScatterAxis& axis, const Planes& wanted, const Begin& begin, const Add& add, const Store& store) {
  std::int64_t begun = wanted.begin, stored = wanted.begin;  // the first ones that are not
  const auto begin_until = [&](std::int64_t end) {
    for (; begun < std::min(end, wanted.end); ++begun) begin(begun);
  };
  const auto store_until = [&](std::int64_t end) {
    for (; stored < std::min(end, wanted.end); ++stored) {
      begin_until(stored + 1);
      store(stored);
    }
  };
  for (std::int64_t i = axis.first_input(wanted.begin); i < axis.input && axis.output_of(i, 0) < wanted.end; ++i) {
    store_until(axis.output_of(i, 0));
    begin_until(axis.output_of(i, axis.kernel - 1) + 1);
    add(i);
  }
  store_until(wanted.end);
}

}  // namespace convt3d
