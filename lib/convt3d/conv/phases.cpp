#include "convt3d/conv/phases.hpp"

#include <algorithm>
#include <numeric>

#include "convt3d/base/checked.hpp"

namespace convt3d {

// The scatter: input i and kernel index t write output o = i*stride - padding + t*dilation. Read backwards, output o is
// reached by those t for which o + padding - t*dilation is a multiple of the stride, from i = that / stride. Whether it is
// one depends on (o + padding) mod stride alone, and a step of `stride` in o is a step of 1 in i: hence the phases.
std::vector<AxisPhase> axis_phases(std::int64_t output, std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                                   std::int64_t dilation) {
  // Strides may exceed the output by far: only residues that have an output are visited, and of the taps of a residue only
  // every (stride / gcd)-th kernel index.
  const std::int64_t period = stride / std::gcd(stride, dilation);
  std::vector<AxisPhase> phases;
  for (std::int64_t begin = 0; begin < std::min(stride, output); ++begin) {
    AxisPhase phase{.out_begin = begin, .out_step = stride, .count = ceil_div(output - begin, stride), .taps = {}};
    const std::int64_t residue = (begin + padding) % stride;
    std::int64_t first = 0;
    while (first < std::min(period, kernel) && (first * dilation) % stride != residue) ++first;
    if (first < period) {
      for (std::int64_t t = first; t < kernel; t += period)
        phase.taps.push_back({t, (begin + padding - t * dilation) / stride});
    }
    phases.push_back(std::move(phase));
  }
  return phases;
}

std::vector<AxisPhase> axis_phases(const ConvTranspose3dOptions& options, const Extent3& output, int axis) {
  return axis_phases(output[axis], options.kernel_size[axis], options.stride[axis], options.padding[axis],
                     options.dilation[axis]);
}

std::vector<AxisPhase> axis_phases(const Problem& problem, int axis) {
  return axis_phases(problem.output[axis], problem.kernel[axis], problem.stride[axis], problem.padding[axis],
                     problem.dilation[axis]);
}

// 0 <= q*input_stride + offset < input
InsidePositions inside_positions(const AxisPhase& phase, const Tap& tap, std::int64_t input_stride, std::int64_t input) {
  const std::int64_t begin = std::clamp<std::int64_t>(ceil_div(-tap.offset, input_stride), 0, phase.count);
  return {begin, std::clamp<std::int64_t>(ceil_div(input - tap.offset, input_stride), begin, phase.count)};
}

// Offsets descend.
TapRange inside_taps(const AxisPhase& phase, std::int64_t zero, std::int64_t input) {
  const auto first_below = [&](std::int64_t limit) {
    return std::partition_point(phase.taps.begin(), phase.taps.end(),
                                [&](const Tap& tap) { return zero + tap.offset >= limit; }) -
           phase.taps.begin();
  };
  return {first_below(input), first_below(0)};
}

// Where a tap's input comes to lie inside, or no longer does.
std::vector<AlikePositions> alike_positions(const AxisPhase& phase, std::int64_t input_stride, std::int64_t input) {
  std::vector<std::int64_t> cuts;
  cuts.reserve(2 * phase.taps.size() + 2);
  cuts.insert(cuts.end(), {0, phase.count});
  for (const Tap& tap : phase.taps) {
    const InsidePositions inside = inside_positions(phase, tap, input_stride, input);
    cuts.insert(cuts.end(), {inside.begin, inside.end});
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  std::vector<AlikePositions> alike;
  alike.reserve(cuts.size() - 1);
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i)
    alike.push_back({cuts[i], cuts[i + 1], inside_taps(phase, cuts[i] * input_stride, input)});
  return alike;
}

double inside_share(const Problem& problem, int axis) {
  std::int64_t all = 0, inside = 0;
  for (const AxisPhase& phase : axis_phases(problem, axis)) {
    for (const Tap& tap : phase.taps) {
      const InsidePositions positions = inside_positions(phase, tap, problem.input_stride[axis], problem.input[axis]);
      all += phase.count;
      inside += positions.end - positions.begin;
    }
  }
  return all == 0 ? 1 : static_cast<double>(inside) / static_cast<double>(all);
}

}  // namespace convt3d
