#include "convt3d/nn/upsample.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/base/machine.hpp"
#include "convt3d/conv/interpolate.hpp"
#include "convt3d/nn/element_type.hpp"
#include "convt3d/nn/python_repr.hpp"

namespace convt3d {
namespace {

using Mode = Upsample::Mode;

/// Of an axis, in and out: where each voxel is taken from is held in a table, even to plan.
constexpr double kMost = 1 << 20;

std::size_t index(std::int64_t at) { return static_cast<std::size_t>(at); }

/// One axis of an upsampling.
struct Axis {
  std::int64_t input = 1;
  std::int64_t output = 1;
  std::optional<double> factor = std::nullopt;
  Mode mode = Mode::kNearest;
  bool align_corners = false;

  /// With align_corners a single voxel, in or out, has no corners to align: it then covers the whole axis.
  bool aligned() const { return align_corners && input > 1 && output > 1; }

  /// Input voxels per output voxel.
  double step() const {
    if (aligned()) return static_cast<double>(input - 1) / static_cast<double>(output - 1);
    return factor ? 1 / *factor : static_cast<double>(input) / static_cast<double>(output);
  }

  /// PyTorch reckons in float: so the voxels taken are its voxels, where o·step is all but whole too.
  std::int64_t nearest(std::int64_t o) const {
    const double place = static_cast<double>(static_cast<float>(step())) * static_cast<double>(o);
    return std::min(static_cast<std::int64_t>(std::floor(static_cast<float>(place))), input - 1);
  }

  /// Where output o is interpolated.
  double place(std::int64_t o) const {
    if (aligned()) return static_cast<double>(o) * step();
    if (align_corners) return 0;
    const double centre = (static_cast<double>(o) + 0.5) * step() - 0.5;
    return std::clamp(centre, 0.0, static_cast<double>(input - 1));
  }

  AxisBlend blend() const {
    AxisBlend blend;
    for (std::int64_t o = 0; o < output; ++o) {
      const double at = mode == Mode::kNearest ? static_cast<double>(nearest(o)) : place(o);
      const auto first = std::min(static_cast<std::int64_t>(at), input - 1);
      const double weight = first < input - 1 ? at - static_cast<double>(first) : 0;
      blend.first.push_back(first);
      blend.second.push_back(weight > 0 ? first + 1 : first);
      blend.weight.push_back(weight);
    }
    return blend;
  }

  /// Of output o's place among the inputs, o·step + offset; for kNearest the mean of the distances of the voxels taken from
  /// o·step.
  double offset() const {
    if (mode == Mode::kTrilinear) return aligned() ? 0 : 0.5 * (step() - 1);
    double sum = 0;
    for (std::int64_t o = 0; o < output; ++o) sum += static_cast<double>(nearest(o)) - static_cast<double>(o) * step();
    return sum / static_cast<double>(output);
  }
};

/// Places repeat with a period: O/g outputs along, I/g voxels further, g the common divisor of both. What a period reads is
/// looked up, so it holds for factors that have no such period too.
PlaneReach reach_of(const Axis& axis) {
  const std::int64_t corner = axis.aligned() ? 1 : 0;
  const std::int64_t divisor = std::gcd(axis.input - corner, axis.output - corner);
  PlaneReach reach{.run = (axis.output - corner) / divisor, .advance = (axis.input - corner) / divisor, .input = axis.input};
  reach.lowest = axis.input;
  reach.highest = -axis.input;
  const AxisBlend blend = axis.blend();
  for (std::int64_t o = 0; o < axis.output; ++o) {
    const std::int64_t first = o / reach.run * reach.advance;
    reach.lowest = std::min(reach.lowest, blend.first[index(o)] - first);
    reach.highest = std::max(reach.highest, blend.second[index(o)] - first);
  }
  return reach;
}

bool is_cube(const std::array<double, 3>& values) { return values[0] == values[1] && values[1] == values[2]; }

class UpsampleLayer final : public Layer {
 public:
  explicit UpsampleLayer(const Upsample& upsample) : its_(upsample) {
    if (its_.size.has_value() == its_.scale_factor.has_value()) refuse("one of size and scale_factor is needed, not both");
    if (its_.align_corners && its_.mode == Mode::kNearest)
      refuse("align_corners is for mode trilinear; nearest has no corners");
    for (int axis = 0; axis < 3; ++axis) {
      if (its_.size && (*its_.size)[axis] < 1)
        refuse("size is " + to_string(*its_.size) + "; expected at least 1 on every axis");
      if (!its_.scale_factor) continue;
      const double factor = (*its_.scale_factor)[index(axis)];
      if (!(factor > 0) || !std::isfinite(factor)) refuse("scale_factor is " + python_repr(factor) + "; expected above 0");
    }
  }

  std::string_view type() const override { return "upsample"; }

  std::string repr() const override {
    const std::string mode = its_.mode == Mode::kNearest ? "nearest" : "trilinear";
    if (its_.size) return "Upsample(size=" + to_string(*its_.size) + ", mode=" + mode + ")";
    const std::array<double, 3>& f = *its_.scale_factor;
    const std::string factors =
        is_cube(f) ? python_repr(f[0]) : "(" + python_repr(f[0]) + ", " + python_repr(f[1]) + ", " + python_repr(f[2]) + ")";
    return "Upsample(scale_factor=" + factors + ", mode=" + mode + ")";
  }

  Shape output_shape(const Shape& input) const override {
    require_volumes(input);
    Shape output = input;
    for (int axis = 0; axis < 3; ++axis) {
      std::int64_t& extent = output[index(axis) + 2];
      const std::string name = kAxisNames[index(axis)];
      if (extent < 1) refuse("the input's " + name + " is 0: there is nothing to interpolate");
      const double wanted = its_.size ? static_cast<double>((*its_.size)[axis])
                                      : std::floor(static_cast<double>(extent) * (*its_.scale_factor)[index(axis)]);
      if (wanted < 1) refuse("a " + name + " of " + std::to_string(extent) + " voxels would have none");
      if (wanted > kMost || static_cast<double>(extent) > kMost) refuse("a " + name + " passes 2^20 voxels");
      extent = static_cast<std::int64_t>(wanted);
    }
    static_cast<void>(element_count(output));
    return output;
  }

  Sampling sampling(const Shape& input) const override {
    Sampling sampling;
    for (int axis = 0; axis < 3; ++axis) {
      const Axis its = axis_of(axis, input);
      sampling.step[index(axis)] = its.step();
      sampling.offset[index(axis)] = its.offset();
    }
    return sampling;
  }

  LayerPlan plan(const Shape& input, const RunOptions& options) const override {
    LayerPlan plan;
    plan.input = input;
    plan.output = output_shape(input);
    plan.flops = (its_.mode == Mode::kNearest ? 0 : 8) * static_cast<double>(element_count(plan.output));
    plan.algorithm = "rows";
    plan.reason = its_.mode == Mode::kNearest ? "rows widened once, then copied" : "rows widened once, then blended";
    static const int all = Machine::detect().threads;
    plan.bytes = interpolation_bytes(blends(input), DType::kFloat64, options.threads > 0 ? options.threads : all);
    plan.ledger = {{"widened rows, all threads", plan.bytes}};
    plan.reach = reach_of(axis_of(0, input));
    return plan;
  }

  Tensor forward(Tensor input, const RunOptions& options) const override {
    Tensor output = Tensor::empty(output_shape(input.shape()), input.dtype());
    interpolate(std::as_const(input).view(), output.view(), blends(input.shape()), options.threads);
    return output;
  }

  void forward_planes(const PlaneRun& run, const RunOptions& options) const override {
    AxisBlends axes = blends(run.whole);
    axes[0] = part_of(axes[0], run.wanted, run.held.begin);
    interpolate(run.input, run.output, axes, options.threads);
  }

  std::optional<Extent3> receptive_field(const Extent3& outputs) const override {
    if (!its_.scale_factor || its_.align_corners) return std::nullopt;
    Extent3 field;
    for (int axis = 0; axis < 3; ++axis) {
      const double factor = (*its_.scale_factor)[index(axis)];
      const std::int64_t taps = its_.mode == Mode::kNearest || factor == 1 ? 1 : 2;
      const double reach = std::ceil(static_cast<double>(outputs[axis] - 1) / factor);
      if (reach > 0x1p62) return std::nullopt;
      field[axis] = static_cast<std::int64_t>(reach) + taps;
    }
    return field;
  }

 private:
  [[noreturn]] static void refuse(const std::string& what) { throw Error(ErrorKind::kShape, "Upsample: " + what); }

  /// Outputs `wanted`, of inputs counted from `first` on.
  static AxisBlend part_of(const AxisBlend& whole, const Planes& wanted, std::int64_t first) {
    AxisBlend part;
    for (std::int64_t o = wanted.begin; o < wanted.end; ++o) {
      part.first.push_back(whole.first[index(o)] - first);
      part.second.push_back(whole.second[index(o)] - first);
      part.weight.push_back(whole.weight[index(o)]);
    }
    return part;
  }

  Axis axis_of(int axis, const Shape& input) const {
    const std::optional<double> factor = its_.scale_factor ? std::optional((*its_.scale_factor)[index(axis)]) : std::nullopt;
    return {.input = input[index(axis) + 2],
            .output = output_shape(input)[index(axis) + 2],
            .factor = factor,
            .mode = its_.mode,
            .align_corners = its_.align_corners};
  }

  AxisBlends blends(const Shape& input) const {
    return {axis_of(0, input).blend(), axis_of(1, input).blend(), axis_of(2, input).blend()};
  }

  Upsample its_;
};

}  // namespace

std::optional<Upsample::Mode> upsample_mode_from_name(std::string_view name) {
  if (name == "nearest") return Mode::kNearest;
  if (name == "trilinear") return Mode::kTrilinear;
  return std::nullopt;
}

std::unique_ptr<Layer> make_layer(const Upsample& upsample) { return std::make_unique<UpsampleLayer>(upsample); }

}  // namespace convt3d
