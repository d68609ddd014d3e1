#pragma once

#include <cstdint>

#include "convt3d/base/planes.hpp"

namespace convt3d {

/// Which planes of its input a plane of the output is made from. Output planes are made in runs of `run`, counted from plane
/// `first` on, run j from the input planes j*advance + lowest to j*advance + highest: all that it reads, so that with them
/// a plane has the same bits as with the whole volume. A run that reaches past the input's ends takes what is missing from
/// the end planes, or from those that mirror it.
struct PlaneReach {
  std::int64_t first = 0;
  std::int64_t run = 1;
  std::int64_t advance = 1;
  std::int64_t lowest = 0;
  std::int64_t highest = 0;
  std::int64_t input = 0;  ///< planes that there are
  bool mirrors = false;

  /// The input planes, at least one, that these output planes are made from.
  Planes of(const Planes& output) const;

  friend bool operator==(const PlaneReach&, const PlaneReach&) = default;
};

/// The reach of planes of the last of two layers, of which the first one has every output plane made from one input plane.
PlaneReach through(PlaneReach last, const PlaneReach& first);

}  // namespace convt3d
