#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/base/machine.hpp"
#include "convt3d/conv/executor.hpp"
#include "convt3d/conv/plan.hpp"
#include "support/arrays.hpp"
#include "support/problems.hpp"
#include "support/reference.hpp"

namespace testing_support {

/// One way to run a problem.
struct Variant {
  convt3d::Isa isa;
  std::string algorithm;
};

inline std::string to_string(const Variant& variant) {
  return std::string(convt3d::name_of(variant.isa)) + "/" + variant.algorithm;
}

/// The plan that runs `problem` as `variant` says, on a machine with such a second-level cache (tiles depend on it); throws
/// Error{kShape} where its algorithm does not accept the problem.
inline convt3d::Plan plan_of(const convt3d::Problem& problem, const Variant& variant, int threads = 2,
                             std::int64_t l2_bytes = 1 << 20) {
  convt3d::Machine machine;
  machine.isa = variant.isa;
  machine.threads = threads;
  machine.l2_bytes = l2_bytes;
  return convt3d::make_plan(problem, machine, {.threads = threads, .force_algorithm = variant.algorithm});
}

/// The plan for a machine with AVX-512, on ARM for one with its vectors.
inline convt3d::Plan plan_for(const convt3d::ConvTranspose3dOptions& options, const convt3d::Extent3& input) {
  convt3d::Machine machine;
#if defined(__x86_64__)
  machine.isa = convt3d::Isa::kAvx512;
#endif
  return convt3d::make_plan(convt3d::make_problem(options, 1, input), machine);
}

/// Why the plan does not take an algorithm; "" if it could.
inline std::string rejection_of(const std::string& algorithm, const convt3d::Plan& plan) {
  for (const convt3d::Candidate& candidate : plan.candidates) {
    if (candidate.algorithm == algorithm) return candidate.rejected;
  }
  return "not in the table";
}

/// Every instruction set of this machine with every algorithm that accepts the problem.
inline std::vector<Variant> variants(const convt3d::Problem& problem) {
  std::vector<Variant> accepted;
  for (const convt3d::Isa isa : convt3d::available_isas()) {
    for (const std::string& algorithm : convt3d::algorithm_names()) {
      const Variant variant = {isa, algorithm};
      try {
        plan_of(problem, variant);
      } catch (const convt3d::Error&) {
        continue;
      }
      accepted.push_back(variant);
    }
  }
  return accepted;
}

inline convt3d::ConstTensorView input_view(const convt3d::Problem& problem, const void* data) {
  return {data, problem.dtype, problem.n, problem.ci, problem.input};
}

inline convt3d::TensorView output_view(const convt3d::Problem& problem, void* data) {
  return {data, problem.dtype, problem.n, problem.co, problem.output};
}

template <typename T>
convt3d::Executor executor_of(convt3d::Plan plan, const Arrays<T>& arrays) {
  const T* bias = arrays.bias.empty() ? nullptr : arrays.bias.data();
  return {std::move(plan), arrays.weight.data(), bias};
}

/// The output, which was full of NaN before the run.
template <typename T>
std::vector<T> run(const convt3d::Executor& executor, const std::vector<T>& input) {
  const convt3d::Problem& problem = executor.plan().problem;
  std::vector<T> output(static_cast<std::size_t>(convt3d::output_size(problem)), std::numeric_limits<T>::quiet_NaN());
  executor.run(input_view(problem, input.data()), output_view(problem, output.data()));
  return output;
}

/// The output where its memory begins so many elements behind a line of cache.
template <typename T>
std::vector<T> run_behind_line(const convt3d::Executor& executor, const std::vector<T>& input, std::int64_t elements) {
  const convt3d::Problem& problem = executor.plan().problem;
  const auto size = static_cast<std::size_t>(convt3d::output_size(problem));
  std::vector<T> memory(size + 64 / sizeof(T) + static_cast<std::size_t>(elements), std::numeric_limits<T>::quiet_NaN());
  T* output = memory.data();
  while (reinterpret_cast<std::uintptr_t>(output) % 64 != 0) ++output;
  output += elements;
  executor.run(input_view(problem, input.data()), output_view(problem, output));
  return {output, output + size};
}

template <typename T>
std::vector<T> run(const convt3d::Problem& problem, const Arrays<T>& arrays, const Variant& variant, int threads = 2) {
  return run(executor_of(plan_of(problem, variant, threads), arrays), arrays.input);
}

template <typename T>
std::vector<double> widened(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

template <typename T>
std::vector<double> run_reference(const reference::Layer& layer, const Arrays<T>& arrays) {
  return reference::conv_transpose3d(layer, widened(arrays.input), widened(arrays.weight), widened(arrays.bias));
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// Distance of an output from what is expected; infinite where the sizes differ or anything is not finite.
struct Deviation {
  double relative_l2 = 0;    ///< ||actual - expected|| / ||expected||
  double relative_most = 0;  ///< max |actual - expected| / max |expected|
};

template <typename T>
Deviation deviation(const std::vector<T>& actual, const std::vector<double>& expected) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (actual.size() != expected.size()) return {kInfinity, kInfinity};
  double error2 = 0;
  double norm2 = 0;
  double most_error = 0;
  double most = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double error = std::abs(static_cast<double>(actual[i]) - expected[i]);
    if (!std::isfinite(error)) return {kInfinity, kInfinity};
    error2 += error * error;
    norm2 += expected[i] * expected[i];
    most_error = std::max(most_error, error);
    most = std::max(most, std::abs(expected[i]));
  }
  if (error2 == 0) return {0, 0};
  return {std::sqrt(error2 / norm2), most_error / most};
}

/// The bounds of semantics.md for standard-normal data, and for float64 the same multiples of its unit roundoff.
template <typename T>
constexpr Deviation kAllowed = sizeof(T) == 4 ? Deviation{2e-6, 1e-5} : Deviation{4e-15, 2e-14};

}  // namespace testing_support
