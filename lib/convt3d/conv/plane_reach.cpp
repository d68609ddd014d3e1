#include "convt3d/conv/plane_reach.hpp"

#include <algorithm>

#include "convt3d/base/checked.hpp"

namespace convt3d {

Planes PlaneReach::of(const Planes& output) const {
  const std::int64_t least = floor_div(output.begin - first, run) * advance + lowest;
  const std::int64_t most = floor_div(output.end - 1 - first, run) * advance + highest;
  const std::int64_t last = input - 1;
  if (!mirrors) return {std::clamp<std::int64_t>(least, 0, last), std::clamp<std::int64_t>(most, 0, last) + 1};
  // Plane -i is plane i, plane last + i is plane last - i. Empty where no plane lies inside, in front, behind:
  const Planes inside = {std::max<std::int64_t>(least, 0), std::min(most, last) + 1};
  const Planes front = {std::max<std::int64_t>(-most, 1), std::min(-least, last) + 1};
  const Planes behind = {std::max<std::int64_t>(2 * last - most, 0), std::min(2 * last - least, last - 1) + 1};
  return hull(hull(inside, front), behind);
}

PlaneReach through(PlaneReach last, const PlaneReach& first) {
  last.lowest += first.lowest;
  last.highest += first.highest;
  last.input = first.input;
  last.mirrors = first.mirrors;
  return last;
}

}  // namespace convt3d
