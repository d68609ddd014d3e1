#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace convt3d {

/// A size, stride, padding or position on the three spatial axes, in voxels. d is the slowest axis (NIfTI's and ITK's z).
/// One integer stands for the same value on every axis, as in PyTorch.
struct Extent3 {
  std::int64_t d = 0;
  std::int64_t h = 0;
  std::int64_t w = 0;

  constexpr Extent3() = default;
  constexpr Extent3(std::int64_t all) : d(all), h(all), w(all) {}  // NOLINT(google-explicit-constructor): kernel_size = 4
  constexpr Extent3(std::int64_t depth, std::int64_t height, std::int64_t width) : d(depth), h(height), w(width) {}

  /// Axis 0 is d, 1 is h, 2 is w.
  constexpr std::int64_t& operator[](int axis) { return axis == 0 ? d : axis == 1 ? h : w; }
  constexpr std::int64_t operator[](int axis) const { return axis == 0 ? d : axis == 1 ? h : w; }

  friend constexpr bool operator==(const Extent3&, const Extent3&) = default;
};

/// The axes' names as messages print them.
inline constexpr std::array<const char*, 3> kAxisNames = {"depth", "height", "width"};

/// "(4, 8, 8)", as PyTorch prints a size.
std::string to_string(const Extent3& extent);

/// The half-open box begin <= position < end.
struct Box3 {
  Extent3 begin;
  Extent3 end;

  constexpr Extent3 extent() const { return {end.d - begin.d, end.h - begin.h, end.w - begin.w}; }
  constexpr bool empty() const { return end.d <= begin.d || end.h <= begin.h || end.w <= begin.w; }

  friend constexpr bool operator==(const Box3&, const Box3&) = default;
};

/// All of an extent, as a box that starts at 0.
constexpr Box3 whole(const Extent3& extent) { return {Extent3(0), extent}; }

}  // namespace convt3d
