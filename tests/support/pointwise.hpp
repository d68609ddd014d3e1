#pragma once

#include <string>
#include <vector>

#include "convt3d/conv/pointwise.hpp"

namespace testing_support {

struct NamedPointwise {
  std::string name;
  convt3d::Pointwise pointwise;
  double (*exact)(double);  ///< its formula
};

/// Every function once, with parameters that are the same for all channels.
const std::vector<NamedPointwise>& pointwise_functions();

}  // namespace testing_support
