#pragma once

#include <algorithm>
#include <cstdint>

namespace convt3d {

/// Planes [begin, end) of a volume, counted along its depth.
struct Planes {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  constexpr std::int64_t count() const { return end - begin; }
  constexpr bool empty() const { return end <= begin; }
  constexpr bool contains(const Planes& other) const { return begin <= other.begin && other.end <= end; }

  friend constexpr bool operator==(const Planes&, const Planes&) = default;
};

/// The least planes that contain both; one of them may be empty.
constexpr Planes hull(const Planes& a, const Planes& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return {std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

}  // namespace convt3d
