#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "support/problems.hpp"

namespace testing_support {

/// A test that is run on each problem of a list; the problem's name is in the test's.
class ProblemSweep : public testing::TestWithParam<NamedProblem> {};

inline std::string name_of_problem(const testing::TestParamInfo<NamedProblem>& info) { return info.param.name; }

/// A seed of the problem's own, from its name (FNV-1a).
inline std::uint64_t seed_of(const NamedProblem& problem) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char letter : problem.name) hash = (hash ^ static_cast<unsigned char>(letter)) * 1099511628211u;
  return hash >> 32;
}

/// The named cases alone, without the sweeps over parameters, channels, rows and groups: for properties that are dear, or
/// that do not depend on such details.
inline std::vector<NamedProblem> problems_without_sweeps() {
  std::vector<NamedProblem> few;
  std::copy_if(named_problems().begin(), named_problems().end(), std::back_inserter(few), [](const NamedProblem& problem) {
    const auto starts_with = [&](const char* prefix) { return problem.name.rfind(prefix, 0) == 0; };
    return !starts_with("sweep_") && !starts_with("channels_") && !starts_with("row_") && !starts_with("groups_");
  });
  return few;
}

}  // namespace testing_support
