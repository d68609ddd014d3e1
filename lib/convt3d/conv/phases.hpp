#pragma once

#include <cstdint>
#include <vector>

#include "convt3d/base/extent.hpp"
#include "convt3d/conv/options.hpp"
#include "convt3d/conv/problem.hpp"

namespace convt3d {

/// One kernel element of a phase: output q of the phase reads input q*input_stride + offset through kernel index `kernel`.
struct Tap {
  std::int64_t kernel = 0;
  std::int64_t offset = 0;
};

/// On one axis, all outputs with equal (o + padding) mod stride:
///   out[out_begin + q*out_step] = Σ_taps in[q*input_stride + offset] · weight[kernel],   0 <= q < count
/// with inputs outside the volume counting as zero; input_stride is 1 but for strided convolutions (Problem). Derivation:
/// docs/math.md. A phase may have no taps (its outputs are the bias alone); taps are in ascending order of the kernel index.
struct AxisPhase {
  std::int64_t out_begin = 0;
  std::int64_t out_step = 1;
  std::int64_t count = 0;
  std::vector<Tap> taps;
};

/// The phases of one axis that have outputs, by ascending out_begin; at most `stride`.
std::vector<AxisPhase> axis_phases(std::int64_t output, std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                                   std::int64_t dilation);

std::vector<AxisPhase> axis_phases(const ConvTranspose3dOptions& options, const Extent3& output, int axis);
std::vector<AxisPhase> axis_phases(const Problem& problem, int axis);

/// Positions [begin, end) of a phase whose input through the tap lies inside the volume; begin <= end.
struct InsidePositions {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};
InsidePositions inside_positions(const AxisPhase& phase, const Tap& tap, std::int64_t input_stride, std::int64_t input);

/// Taps [begin, end) of a phase whose input lies inside the volume for the position with input `zero` at offset 0.
struct TapRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  friend bool operator==(const TapRange&, const TapRange&) = default;
};
TapRange inside_taps(const AxisPhase& phase, std::int64_t zero, std::int64_t input);

/// Positions [begin, end) of a phase that have the same taps inside the volume.
struct AlikePositions {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  TapRange taps;
};
/// All of a phase's positions.
std::vector<AlikePositions> alike_positions(const AxisPhase& phase, std::int64_t input_stride, std::int64_t input);

/// Share of what an axis's outputs have taps to that lies inside the volume, 0 to 1; the rest is padding.
double inside_share(const Problem& problem, int axis);

}  // namespace convt3d
