#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "convt3d/conv/problem.hpp"

/// Reproducible data for tests.
namespace testing_support {

/// Knuth's MMIX generator. make_goldens.py has the same, so goldens store outputs only.
class Lcg {
 public:
  explicit Lcg(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() { return state_ = state_ * 6364136223846793005u + 1442695040888963407u; }

  /// A multiple of 2^-23 in [-1, 1): exact in float32.
  double symmetric() { return static_cast<double>(static_cast<std::int64_t>(next() >> 40) - (1 << 23)) * 0x1p-23; }

  /// An integer in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>((next() >> 33) % static_cast<std::uint64_t>(high - low + 1));
  }

 private:
  std::uint64_t state_;
};

template <typename T>
std::vector<T> standard_normal(std::int64_t count, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& value : values) value = static_cast<T>(normal(generator));
  return values;
}

template <typename T>
std::vector<T> uniform(std::int64_t count, double bound, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> distribution(-bound, bound);
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& value : values) value = static_cast<T>(distribution(generator));
  return values;
}

/// What a problem is run on. bias is empty where the layer has none.
template <typename T>
struct Arrays {
  std::vector<T> input;
  std::vector<T> weight;
  std::vector<T> bias;
};

/// Standard-normal input, and PyTorch's distribution of weight and bias: the data that the error bounds are meant for.
template <typename T>
Arrays<T> normal_arrays(const convt3d::Problem& problem, std::uint64_t seed) {
  const double fan_in =
      static_cast<double>(problem.co / problem.groups * problem.kernel.d * problem.kernel.h * problem.kernel.w);
  const double bound = 1 / std::sqrt(fan_in);
  return {.input = standard_normal<T>(convt3d::input_size(problem), seed),
          .weight = uniform<T>(convt3d::weight_size(problem), bound, seed + 1),
          .bias = uniform<T>(problem.bias ? problem.co : 0, bound, seed + 2)};
}

}  // namespace testing_support
