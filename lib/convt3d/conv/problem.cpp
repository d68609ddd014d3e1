#include "convt3d/conv/problem.hpp"

#include <algorithm>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/conv3d_shape.hpp"
#include "convt3d/conv/phases.hpp"
#include "convt3d/conv/shape.hpp"

namespace convt3d {
namespace {

/// "4" where all axes agree, else "4x3x3".
std::string short_size(const Extent3& e) {
  if (e.d == e.h && e.h == e.w) return std::to_string(e.d);
  return std::to_string(e.d) + "x" + std::to_string(e.h) + "x" + std::to_string(e.w);
}

/// Pairs of an output and a tap whose input lies inside, on one axis.
double inside_pairs(const Problem& problem, int axis) {
  double pairs = 0;
  for (const AxisPhase& phase : axis_phases(problem, axis)) {
    for (const Tap& tap : phase.taps) {
      const InsidePositions inside = inside_positions(phase, tap, problem.input_stride[axis], problem.input[axis]);
      pairs += static_cast<double>(inside.end - inside.begin);
    }
  }
  return pairs;
}

void require_byte_counts(const Problem& p) {
  byte_count({p.n, p.ci, p.input.d, p.input.h, p.input.w}, p.dtype);
  byte_count({p.n, p.co, p.output.d, p.output.h, p.output.w}, p.dtype);
  byte_count({p.ci, p.co / p.groups, p.kernel.d, p.kernel.h, p.kernel.w}, p.dtype);
}

}  // namespace

Problem make_problem(const ConvTranspose3dOptions& options, std::int64_t n, const Extent3& input) {
  const Problem problem{.n = n,
                        .ci = options.in_channels,
                        .co = options.out_channels,
                        .groups = options.groups,
                        .input = input,
                        .output = output_extent(options, input),
                        .kernel = options.kernel_size,
                        .stride = options.stride,
                        .padding = options.padding,
                        .dilation = options.dilation,
                        .bias = options.bias,
                        .dtype = options.dtype,
                        .bfloat16 = options.bfloat16};
  // Phases are enumerated: a stride of billions would fill the memory with phases of nothing but bias.
  constexpr std::int64_t kMostStride = 1 << 16;
  for (int axis = 0; axis < 3; ++axis) {
    if (problem.stride[axis] <= kMostStride || problem.output[axis] <= kMostStride) continue;
    throw Error(ErrorKind::kShape, "ConvTranspose3d: stride " + to_string(problem.stride) + " is " +
                                       std::to_string(problem.stride[axis]) + " on the " + kAxisNames[axis] +
                                       " axis; computed are strides of 1 to " + std::to_string(kMostStride));
  }
  require_byte_counts(problem);
  return problem;
}

Problem make_problem(const Conv3dOptions& options, std::int64_t n, const Extent3& input) {
  Problem problem{.n = n,
                  .ci = options.in_channels,
                  .co = options.out_channels,
                  .groups = options.groups,
                  .input = input,
                  .output = output_extent(options, input),
                  .kernel = options.kernel_size,
                  .stride = 1,
                  .dilation = options.dilation,
                  .input_stride = options.stride,
                  .bias = options.bias,
                  .dtype = options.dtype};
  const Extent3 before = padding_of(options).begin;
  for (int axis = 0; axis < 3; ++axis) {
    problem.padding[axis] = problem.dilation[axis] * (problem.kernel[axis] - 1) - before[axis];
    if (problem.output[axis] == 1) problem.input_stride[axis] = 1;  // the only output stands at 0
  }
  require_byte_counts(problem);
  return problem;
}

bool is_strided(const Problem& problem) { return problem.input_stride != Extent3(1); }

Problem with_joined_rows(const Problem& problem) {
  for (const int axis : {1, 2}) {
    const bool plain = problem.kernel[axis] == 1 && problem.stride[axis] == 1 && problem.padding[axis] == 0 &&
                       problem.input_stride[axis] == 1 && problem.input[axis] == problem.output[axis];
    if (!plain) return problem;
  }
  Problem joined = problem;
  for (Extent3* const extent : {&joined.input, &joined.output}) *extent = {extent->d, 1, extent->h * extent->w};
  return joined;
}

std::string to_string(const Problem& p) {
  const Extent3& i = p.input;
  std::string text = std::to_string(p.n) + "x" + std::to_string(p.ci) + "x" + std::to_string(i.d) + "x" +
                     std::to_string(i.h) + "x" + std::to_string(i.w) + " -> " + std::to_string(p.co) + ", k" +
                     short_size(p.kernel) + " s" + short_size(p.stride) + " p" + short_size(p.padding);
  if (p.dilation != Extent3(1)) text += " d" + short_size(p.dilation);
  if (is_strided(p)) text += " input stride " + short_size(p.input_stride);
  if (p.groups != 1) text += " g" + std::to_string(p.groups);
  if (p.dtype == DType::kFloat64) text += " float64";
  if (p.bfloat16) text += " bfloat16";
  return text;
}

double flops(const Problem& p) {
  return 2.0 * static_cast<double>(p.n) * static_cast<double>(p.ci) * static_cast<double>(p.co / p.groups) *
         inside_pairs(p, 0) * inside_pairs(p, 1) * inside_pairs(p, 2);
}

std::int64_t input_size(const Problem& p) { return p.n * p.ci * p.input.d * p.input.h * p.input.w; }

std::int64_t weight_size(const Problem& p) { return p.ci * (p.co / p.groups) * p.kernel.d * p.kernel.h * p.kernel.w; }

std::int64_t output_size(const Problem& p) { return p.n * p.co * p.output.d * p.output.h * p.output.w; }

}  // namespace convt3d
