#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "convt3d/base/tensor.hpp"

namespace testing_support {

/// ||found - expected|| / ||expected||, in double; infinite where the shapes differ.
inline double relative_l2(const convt3d::Tensor& found, const convt3d::Tensor& expected) {
  if (found.shape() != expected.shape()) return std::numeric_limits<double>::infinity();
  const convt3d::Tensor a = convert(found, convt3d::DType::kFloat64);
  const convt3d::Tensor b = convert(expected, convt3d::DType::kFloat64);
  double error = 0;
  double norm = 0;
  for (std::int64_t i = 0; i < b.size(); ++i) {
    const double e = b.data<double>()[i];
    error += (a.data<double>()[i] - e) * (a.data<double>()[i] - e);
    norm += e * e;
  }
  return std::sqrt(error / norm);
}

}  // namespace testing_support
