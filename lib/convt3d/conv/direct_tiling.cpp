#include "convt3d/conv/direct_tiling.hpp"

#include <cmath>
#include <limits>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/product_cycles.hpp"

namespace convt3d {
namespace {

/// A short row may be run on into the next one, so that the product has enough positions to amortise its weights: with one
/// copy of the panel per column shift, each cut to the block's width, a tap's positions are contiguous across rows. But then
/// no taps outside the volume along h are left out.
bool may_run_on(const DirectTiling& t) {
  return t.block.w <= 20 && t.block.h > 1 && t.axes[1].stride == 1 && t.axes[2].stride == 1;
}

void shape_panel(DirectTiling& t, bool flat) {
  t.flat = flat;
  t.shifts = t.flat ? t.axes[2].halo() + 1 : 1;
  t.panel = {t.axes[0].span(t.block.d), t.axes[1].span(t.block.h), t.flat ? t.block.w : t.axes[2].span(t.block.w)};
  t.panel_size = t.shifts * t.panel.d * t.panel.h * t.panel.w * t.ld;
  t.staging_size = t.block.d * t.block.h * t.block.w * t.axes[2].phases.back().out_step * t.nr * t.lanes;
}

/// Whether few_channel, the other algorithm for such layers, gives the same bits: each output has at most one tap, and its
/// sum over the channels one part.
template <typename T>
bool is_one_sum(const DirectTiling& t, const Problem& problem) {
  const auto has_one_tap = [](const DirectAxis& axis) {
    return std::all_of(axis.phases.begin(), axis.phases.end(),
                       [](const AxisPhase& phase) { return phase.taps.size() <= 1; });
  };
  return !problem.bfloat16 && t.ci <= kernels::ProductArgs<T>{}.part &&
         std::all_of(t.axes.begin(), t.axes.end(), has_one_tap);
}

}  // namespace

DirectAxis direct_axis(const Problem& problem, int axis) {
  DirectAxis result{.phases = axis_phases(problem, axis),
                    .positions = 0,
                    .lowest = 0,
                    .highest = 0,
                    .stride = problem.input_stride[axis],
                    .inside = inside_share(problem, axis)};
  bool first = true;
  for (const AxisPhase& phase : result.phases) {
    result.positions = std::max(result.positions, phase.count);
    for (const Tap& tap : phase.taps) {
      result.lowest = first ? tap.offset : std::min(result.lowest, tap.offset);
      result.highest = first ? tap.offset : std::max(result.highest, tap.offset);
      first = false;
    }
  }
  return result;
}

bool DirectAxis::reads(std::int64_t i) const {
  if (stride == 1) return true;
  return std::any_of(phases.begin(), phases.end(), [&](const AxisPhase& phase) {
    return std::any_of(phase.taps.begin(), phase.taps.end(),
                       [&](const Tap& tap) { return (i + lowest - tap.offset) % stride == 0; });
  });
}

// A task's cycles times the tasks of the busiest thread.
template <typename T>
double direct_seconds(const DirectTiling& t, const Query& query) {
  const Problem& p = query.problem;
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  const double vectors = real(ceil_div(t.co, t.lanes));
  const double positions = real(t.block.d * t.block.h * t.block.w);
  const double reduction = real(t.ci * p.kernel.d * p.kernel.h * p.kernel.w);  // of all phases together
  const double inside = t.axes[0].inside * (t.flat ? 1 : t.axes[1].inside);    // taps outside are left out

  const std::int64_t run = t.flat ? t.block.h * t.block.w : t.block.w;
  const double steps = positions / real(run) * vectors / real(t.nr) * reduction * inside;
  const double products = steps * product_cycles(run, t.nr, is_wide(query.machine.isa));

  // Weights, read once per task, from where there is room for them: bytes per cycle.
  const double weights = reduction * vectors * real(t.lanes) * sizeof(T);
  const double working_set = real(t.panel_size + t.staging_size) * sizeof(T);
  const bool in_l2 = weights + working_set < real(query.machine.l2_bytes);
  const double traffic = weights / (in_l2 ? 64.0 : weights < real(query.machine.l3_bytes) ? 10.0 : 4.0);

  const double packing = 3 * real(t.panel_size) / real(t.lanes);
  // Rows cut along w begin and end off the vectors' alignment, so they cannot go past the caches; nor can rows of odd
  // lengths. Of these 17 chooses better than 20, but only where another choice changes no bit.
  const double odd = is_one_sum<T>(t, p) ? 17 : 20;
  const double store = t.blocks.w > 1 ? 30 : p.output.w % t.lanes != 0 ? odd : 8;
  const double storing = store * positions * real(p.stride.d * p.stride.h * p.stride.w) * vectors;
  const double share = std::min(1.0, real(ceil_div(t.chunks, t.splits) * t.nr) / vectors);  // of the longest split
  constexpr double kTask = 3000;
  double cycles = (products + traffic + storing) * share + packing + kTask;
  cycles *= std::max(1.0, working_set / (0.5 * real(query.machine.l2_bytes)));
  const double tasks = real(std::max<std::int64_t>(1, p.n) * p.groups * t.blocks.d * t.blocks.h * t.blocks.w * t.splits);
  return std::ceil(tasks / query.threads) * cycles / kClock + 5e-6;
}

PlaneReach phase_reach(const Problem& problem) {
  const DirectAxis d = direct_axis(problem, 0);
  return {.first = 0,
          .run = problem.stride.d,
          .advance = d.stride,
          .lowest = d.lowest,
          .highest = d.highest,
          .input = problem.input.d};
}

template <typename T>
DirectTiling direct_tiling(const Query& query) {
  const Problem& p = query.problem;
  DirectTiling t;
  for (int axis = 0; axis < 3; ++axis) t.axes[static_cast<std::size_t>(axis)] = direct_axis(p, axis);
  t.lanes = kernels::lanes<T>(query.machine.isa);
  t.ci = p.ci / p.groups;
  t.co = p.co / p.groups;
  t.ld = t.ci % 64 == 0 ? t.ci + t.lanes : t.ci;  // off the powers of two that make columns compete for one cache set
  const std::int64_t vectors = ceil_div(t.co, t.lanes);
  t.nr = std::min<std::int64_t>(vectors, 2);
  t.chunks = ceil_div(vectors, t.nr);

  const Extent3 all = {t.axes[0].positions, t.axes[1].positions, t.axes[2].positions};
  const std::int64_t wanted_tasks = query.threads == 1 ? 1 : 4 * query.threads;
  double best = std::numeric_limits<double>::infinity();
  DirectTiling chosen;
  for (std::int64_t cut_w = 1; cut_w <= all.w; cut_w *= 2) {
    for (std::int64_t cut_h = 1; cut_h < 2 * all.h; cut_h *= 2) {
      for (std::int64_t cut_d = 1; cut_d < 2 * all.d; cut_d *= 2) {
        t.block = {ceil_div(all.d, std::min(cut_d, all.d)), ceil_div(all.h, std::min(cut_h, all.h)), ceil_div(all.w, cut_w)};
        t.blocks = {ceil_div(all.d, t.block.d), ceil_div(all.h, t.block.h), ceil_div(all.w, t.block.w)};
        const std::int64_t tasks = std::max<std::int64_t>(1, p.n) * p.groups * t.blocks.d * t.blocks.h * t.blocks.w;
        for (const std::int64_t splits : {std::int64_t{1}, std::clamp<std::int64_t>(wanted_tasks / tasks, 1, t.chunks)}) {
          t.splits = splits;
          for (const bool flat : {true, false}) {
            if (flat && !may_run_on(t)) continue;
            shape_panel(t, flat);
            const double seconds = direct_seconds<T>(t, query);
            if (seconds >= best) continue;
            best = seconds;
            chosen = t;
          }
        }
      }
    }
  }
  return chosen;
}

template DirectTiling direct_tiling<float>(const Query&);
template DirectTiling direct_tiling<double>(const Query&);
template double direct_seconds<float>(const DirectTiling&, const Query&);
template double direct_seconds<double>(const DirectTiling&, const Query&);

}  // namespace convt3d
