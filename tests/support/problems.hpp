#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "convt3d/conv/options.hpp"
#include "convt3d/conv/problem.hpp"
#include "support/reference.hpp"

namespace testing_support {

/// A layer and the input it is run on. Names are letters, digits and '_', so that they serve as test names.
struct NamedProblem {
  std::string name;
  convt3d::ConvTranspose3dOptions layer;
  convt3d::Extent3 input;
  std::int64_t n = 1;
};

std::ostream& operator<<(std::ostream& out, const NamedProblem& problem);

/// The one list for tests, fuzz seeds and benchmarks: the cases peers get wrong, the usual layers at small extents, and
/// sweeps over kernel, stride, dilation, channels, groups and row lengths. Every problem takes the naive reference
/// milliseconds.
const std::vector<NamedProblem>& named_problems();

/// The problem of that name; throws std::out_of_range where there is none.
const NamedProblem& named_problem(const std::string& name);

convt3d::Problem problem_of(const NamedProblem& named, convt3d::DType dtype = convt3d::DType::kFloat32);

/// The same problem in the reference's words.
reference::Layer reference_layer(const NamedProblem& named);

}  // namespace testing_support
