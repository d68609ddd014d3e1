#pragma once

#include <cstdint>

namespace convt3d {

/// SplitMix64: the same 64-bit numbers for a seed on every machine. Source: Steele, Lea, Flood, "Fast splittable
/// pseudorandom number generators", 2014.
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  /// Uniform in [-1, 1), a multiple of 2^-23: exact in float and double alike.
  double next_signed_unit() { return static_cast<double>(next() >> 40) * 0x1p-23 - 1.0; }

 private:
  std::uint64_t state_;
};

}  // namespace convt3d
