#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "convt3d/base/machine.hpp"
#include "convt3d/base/tensor.hpp"

namespace convt3d {

/// Where the outputs of an axis take their values from: output o is (1 - weight[o])·in[first[o]] + weight[o]·in[second[o]],
/// without the second where its weight is 0. Neither first nor second falls from one output to the next.
struct AxisBlend {
  std::vector<std::int64_t> first;
  std::vector<std::int64_t> second;
  std::vector<double> weight;  ///< in [0, 1)
};
using AxisBlends = std::array<AxisBlend, 3>;  ///< d, h, w

/// Overwrites `output` with the input interpolated on all axes. Along w first: input rows are expanded to the output's
/// width, each once for all outputs near it, and an output row is the sum of at most four of them. Widths up to 2^31 - 1.
/// The same bits for any number of threads (0: the CPUs this process may use). Throws Error{kShape} unless float32 or
/// float64.
void interpolate(const ConstTensorView& input, const TensorView& output, const AxisBlends& axes, int threads = 0,
                 std::optional<Isa> isa = std::nullopt);

/// What it allocates with so many threads.
std::int64_t interpolation_bytes(const AxisBlends& axes, DType dtype, int threads);

}  // namespace convt3d
