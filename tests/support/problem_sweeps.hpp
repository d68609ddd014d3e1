#pragma once

#include <vector>

#include "support/problems.hpp"

namespace testing_support {

/// The problems of named_problems() that are there for one algorithm or one number: sweeps over kernels, strides, channels,
/// groups and row lengths, and shapes that take rare ways.
void append_sweeps(std::vector<NamedProblem>& list);

}  // namespace testing_support
