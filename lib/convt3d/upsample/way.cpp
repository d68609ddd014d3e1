#include "convt3d/upsample/way.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "convt3d/base/checked.hpp"

namespace convt3d {
namespace {

/// Pages that buffers of this size have never cost a thousandth of a run. From 16 to 256 MiB the time is the same within
/// what measurements scatter (docs/performance.md, "Files").
constexpr std::int64_t kFastBytes = 32 << 20;
constexpr double kMostWork = 1.1;

/// Output planes at which runs of the dearest layer's planes begin: `first` and every `step` from there.
struct RunStarts {
  std::int64_t first = 0;
  std::int64_t step = 1;
};

std::int64_t depth_of(std::span<const LayerPlan> layers, std::size_t v) {
  return v == 0 ? layers.front().input[2] : layers[v - 1].output[2];
}

RunStarts run_starts(const Sequential& stack, std::span<const LayerPlan> layers, std::size_t begin, std::size_t end) {
  if (begin == end) return {};
  std::size_t dearest = begin;
  for (std::size_t i = begin; i < end; ++i) {
    if (layers[i].flops > layers[dearest].flops) dearest = i;
  }
  Sampling rest;  // where the output's planes lie among those of the dearest layer
  for (std::size_t i = dearest + 1; i < end; ++i) rest = compose(rest, stack[i].sampling(layers[i].input));
  const PlaneReach& reach = *layers[dearest].reach;
  const double step = static_cast<double>(reach.run) / rest.step[0];
  if (step != std::floor(step) || step > static_cast<double>(depth_of(layers, end))) return {};
  // Between planes first - 1 and first of that layer.
  const double first = std::ceil((static_cast<double>(reach.first) - 0.5 - rest.offset[0]) / rest.step[0]);
  const auto whole_step = static_cast<std::int64_t>(step);
  const auto whole_first = static_cast<std::int64_t>(first);
  return {whole_first - floor_div(whole_first, whole_step) * whole_step, whole_step};
}

/// Whether a layer from `begin` on is done with statistics of one before, which would not be there.
bool splits_a_loan(const Sequential& stack, std::size_t begin) {
  for (std::size_t i = begin; i < stack.size(); ++i) {
    if (stack.lender_of(i).value_or(i) < begin) return true;
  }
  return false;
}

/// Slabs of about that height; where it has room for runs they begin with one.
SlabPlan aligned_slabs(const Sequential& stack, std::span<const LayerPlan> layers, DType dtype, std::size_t begin,
                       std::size_t end, std::int64_t height) {
  const RunStarts starts = run_starts(stack, layers, begin, end);
  if (height < starts.step || height >= depth_of(layers, end)) {
    return plan_slabs(stack, layers, dtype, begin, end, height, height);
  }
  const std::int64_t aligned = height / starts.step * starts.step;
  const std::int64_t first = starts.first == 0 ? aligned : aligned - starts.step + starts.first;
  return plan_slabs(stack, layers, dtype, begin, end, aligned, first);
}

/// Bytes of the buffers that grow with the slabs: those between the layers, and the two windows of the input.
std::int64_t bytes_of(const Sequential& stack, std::span<const LayerPlan> layers, const SlabPlan& plan) {
  std::int64_t planes = 0;
  for (const Planes& slab : plan.slabs) {
    if (plan.begin > 0) break;
    planes = std::max(planes, needed_planes(stack, layers, plan.begin, plan.end, slab).front().count());
  }
  const std::int64_t windows = 2 * plane_bytes(layers.front().input, plan.dtype, planes);
  return std::accumulate(plan.slot_bytes.begin(), plan.slot_bytes.end(), windows);
}

}  // namespace

std::int64_t greatest_height(std::int64_t most, const std::function<bool(std::int64_t)>& fits) {
  std::int64_t below = 1;
  for (std::int64_t above = most + 1; above - below > 1;) {
    const std::int64_t height = below + (above - below) / 2;
    (fits(height) ? below : above) = height;
  }
  return below;
}

Way whole_way(const Sequential& stack) { return {.whole_layers = stack.size(), .layers = {}, .passes = {}}; }

std::vector<std::size_t> slab_begins(const Sequential& stack, const std::vector<LayerPlan>& layers) {
  std::vector<std::size_t> begins = {0};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!layers[i].reach) begins = {i + 1};
    if (layers[i].reach && stack[i].statistics(layers[i].input)) begins.push_back(i + 1);
  }
  std::erase_if(begins, [&](std::size_t begin) { return begin == layers.size() || splits_a_loan(stack, begin); });
  return begins;
}

Way slab_way(const Sequential& stack, const std::vector<LayerPlan>& layers, DType dtype, std::size_t begin,
             std::int64_t height) {
  Way way{.whole_layers = begin, .layers = layers, .passes = {}};
  const SlabPlan output = aligned_slabs(stack, layers, dtype, begin, layers.size(), height);
  for (std::size_t i = begin; i < layers.size(); ++i) {
    if (!stack[i].statistics(layers[i].input)) continue;
    const auto slabs = [&](std::int64_t h) { return aligned_slabs(stack, layers, dtype, begin, i, h); };
    way.passes.push_back(slabs(greatest_height(layers[i].input[2], [&](std::int64_t h) {
      return bytes_of(stack, layers, slabs(h)) <= bytes_of(stack, layers, output);
    })));
  }
  way.passes.push_back(output);
  return way;
}

std::optional<std::int64_t> fast_height(const Sequential& stack, const std::vector<LayerPlan>& layers, DType dtype,
                                        std::size_t begin) {
  const std::int64_t depth = depth_of(layers, layers.size());
  const auto slabs = [&](std::int64_t h) { return aligned_slabs(stack, layers, dtype, begin, layers.size(), h); };
  std::int64_t height =
      greatest_height(depth, [&](std::int64_t h) { return bytes_of(stack, layers, slabs(h)) <= kFastBytes; });
  while (height < depth && slabs(height).work > kMostWork) height *= 2;
  return height < depth ? std::optional(height) : std::nullopt;
}

std::int64_t most_planes(const Sequential& stack, const Way& way, std::size_t v) {
  std::int64_t most = 0;
  for (const SlabPlan& pass : way.passes) {
    if (v > pass.end) continue;
    for (const Planes& slab : pass.slabs) {
      most = std::max(most, needed_planes(stack, way.layers, pass.begin, pass.end, slab)[v].count());
    }
  }
  return most;
}

}  // namespace convt3d
