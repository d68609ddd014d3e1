#pragma once

#include <optional>
#include <span>

#include "convt3d/base/machine.hpp"
#include "convt3d/base/tensor.hpp"

namespace convt3d {

/// Of some values: their mean, and the sum of their squared distances from it.
struct Moments {
  double mean = 0;
  double squares = 0;
};

/// Those of every plane (n, c, d), in C order, each of h·w values (at least one). In double, summed in an order that depends
/// on the plane alone; the relative error of `squares` is about h·w·2^-53, however large the mean. threads 0: the CPUs this
/// process may use. Throws Error{kShape} unless the volumes are float32 or float64.
void plane_moments(const ConstTensorView& volumes, std::span<Moments> planes, int threads = 0,
                   std::optional<Isa> isa = std::nullopt);

/// Those of the union of planes of `count` values each, merged in their order.
Moments merged(std::span<const Moments> planes, double count);

}  // namespace convt3d
