#include "convt3d/conv/direct_tiling.hpp"

#include <cmath>
#include <limits>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/product_cycles.hpp"

namespace convt3d {
namespace {

/// Output channels in chunks of at most so many vectors.
void set_chunks(DirectTiling& t, std::int64_t most) {
  const std::int64_t vectors = ceil_div(t.co, t.lanes);
  t.nr = std::min(vectors, most);
  t.chunks = ceil_div(vectors, t.nr);
}

/// Off the powers of two that make columns compete for one cache set.
std::int64_t off_powers_of_two(std::int64_t ld, std::int64_t lanes) { return ld % 64 == 0 ? ld + lanes : ld; }

/// Whether the inputs of a phase's taps along w lie side by side in the panel.
bool may_join_w(const DirectTiling& t) {
  return !t.crop && t.axes[2].tap_step == 1 && off_powers_of_two(t.ci, t.lanes) == t.ci;
}

void shape_panel(DirectTiling& t) {
  t.panel = {t.axes[0].span(t.block.d), t.axes[1].span(t.block.h), t.axes[2].span(t.block.w)};
  if (t.crop) {
    t.ld = off_powers_of_two(t.axes[1].tap_step * ceil_div(t.panel.h, t.axes[1].tap_step) * t.ci, t.lanes);
    t.panel_size = t.panel.d * t.panel.w * t.ld;
  } else {
    t.ld = off_powers_of_two(t.ci, t.lanes);
    t.panel_size = t.panel.d * t.panel.h * t.panel.w * t.ld;
  }
  t.staging_size = t.staging_vector() * t.nr;
}

/// Whether each output has at most one tap along the axis.
bool has_one_tap(const DirectAxis& axis) {
  return std::all_of(axis.phases.begin(), axis.phases.end(), [](const AxisPhase& phase) { return phase.taps.size() <= 1; });
}

/// Cycles until a tap's loop over its terms runs at full speed.
constexpr double kTap = 10;

/// Rows of so many positions that a product of nr vectors takes at once.
std::int64_t rows_at_once(std::int64_t positions, std::int64_t nr, bool wide, bool apart = false) {
  return kernels::product_rows(positions, kernels::product_positions(static_cast<int>(nr), wide, apart));
}

/// Estimated cycles of a product over so many rows of positions, for each row and term of its sums, over all output
/// channels.
double term_cycles(const DirectTiling& t, std::int64_t rows, std::int64_t positions, bool wide, bool apart = false) {
  const auto cycles = [&](std::int64_t nr) {
    const std::int64_t at_once = std::min(rows, rows_at_once(positions, nr, wide, apart));
    return product_cycles(at_once * positions, nr, wide, apart) / static_cast<double>(at_once);
  };
  const std::int64_t rest = ceil_div(t.co, t.lanes) % t.nr;  // vectors of the last chunk, if it has fewer
  return static_cast<double>(t.chunks - (rest > 0)) * cycles(t.nr) + (rest > 0 ? cycles(rest) : 0);
}

std::int64_t phases_with_taps(const Problem& p, int axis) { return std::min(p.stride[axis], p.kernel[axis]); }

/// Of a block of so many columns where all taps reach it. What a call of the product costs, which also loads, adds and
/// stores, was measured.
RowCycles row_cycles(const DirectTiling& t, const Problem& p, std::int64_t columns, bool wide) {
  const std::int64_t rows = t.axes[1].tap_step == 1 ? t.most_alike : 1;
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  constexpr double kSum = 4;
  const double call = 100 + kTap * real(p.kernel.d) / real(phases_with_taps(p, 0));
  const std::int64_t vectors = ceil_div(t.co, t.lanes);
  RowCycles result;
  for (const AxisPhase& phase : t.axes[2].phases) {
    for (const Tap& tap : phase.taps) {
      const InsidePositions inside = inside_positions(phase, tap, t.axes[2].stride, p.input.w);
      const std::int64_t positions = std::min(inside.end - inside.begin, columns);
      if (positions == 0) continue;
      result.term += term_cycles(t, rows, positions, wide, t.apart());
      result.calls += call * real(t.chunks) / real(std::min(rows, rows_at_once(positions, t.nr, wide, t.apart()))) +
                      kSum * real(positions * vectors);
    }
  }
  return result;
}

/// Whether products for each tap along w are less work. They change the order of the sums, so this must not depend on
/// threads, volumes or caches, nor on the axis along which slabs are cut: what is compared are whole rows, with all their
/// taps along d. Those along w count one by one even where they are joined: so it chose right wherever that was measured.
bool pays_to_crop(const DirectTiling& t, const Problem& p, bool wide) {
  if (has_one_tap(t.axes[2])) return false;
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  const std::int64_t columns = t.axes[2].positions;
  const double taps = real(p.kernel.d * p.kernel.h), inside = t.axes[1].inside;
  const RowCycles row = row_cycles(t, p, columns, wide);
  const double cropped =
      taps * real(t.ci) * inside * row.term + real(phases_with_taps(p, 0) * phases_with_taps(p, 1)) * row.calls;
  const double tap = real(t.ci) * term_cycles(t, t.most_alike, columns, wide) + kTap * real(t.chunks);
  return cropped < 0.95 * taps * real(p.kernel.w) * inside * tap;
}

}  // namespace

DirectAxis direct_axis(const Problem& problem, int axis) {
  DirectAxis result{.phases = axis_phases(problem, axis),
                    .positions = 0,
                    .lowest = 0,
                    .highest = 0,
                    .stride = problem.input_stride[axis],
                    .tap_step = 1,
                    .inside = inside_share(problem, axis)};
  bool first = true;
  for (const AxisPhase& phase : result.phases) {
    result.positions = std::max(result.positions, phase.count);
    if (phase.taps.size() > 1) result.tap_step = phase.taps[0].offset - phase.taps[1].offset;
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

namespace {

template <typename T>
std::int64_t output_bytes(const Problem& p) {
  return p.co * p.output.d * p.output.h * p.output.w * static_cast<std::int64_t>(sizeof(T));
}

/// Cycles to store a vector, of one position.
template <typename T>
double store_cycles(const DirectTiling& t, const Query& query) {
  constexpr double kWhole = 8;
  // Rows that are cut begin and end off the vectors' alignment, and short ones fill none.
  if (t.blocks.w > 1) return kWhole + 350.0 * static_cast<double>(t.lanes) / static_cast<double>(t.staging_row());
  if (query.problem.output.w % t.lanes == 0) return kWhole;
  return output_bytes<T>(query.problem) > 16 * query.machine.l2_bytes ? 2 * kWhole : kWhole + 1;
}

}  // namespace

// A task's cycles times the tasks of the busiest thread.
template <typename T>
double direct_seconds(const DirectTiling& t, const Query& query) {
  const Problem& p = query.problem;
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  const double vectors = real(ceil_div(t.co, t.lanes));
  const double positions = real(t.block.d * t.block.h * t.block.w);
  const double reduction = real(t.ci * p.kernel.d * p.kernel.h * p.kernel.w);  // of all phases together
  const double inside = t.axes[0].inside * t.axes[1].inside;                   // taps outside are left out
  const double rows = real(t.block.d * t.block.h);
  const double terms = reduction / real(p.kernel.w) * inside;
  const std::int64_t phases = phases_with_taps(p, 0) * phases_with_taps(p, 1);
  double products = 0;
  if (t.crop) {
    products = rows * (terms * t.row.term + real(phases) * t.row.calls);
  } else {
    constexpr double kStart = 15;  // of a product, and of each block of positions in it
    const bool wide = is_wide(query.machine.isa);
    const std::int64_t columns = t.block.w, alike = std::min(t.block.h, t.most_alike);
    const double blocks = real(ceil_div(columns, wide ? 14 : 6)) / real(std::min(alike, rows_at_once(columns, t.nr, wide)));
    products = rows * (terms * real(p.kernel.w) * term_cycles(t, alike, columns, wide) +
                       kStart * real(phases * phases_with_taps(p, 2) * t.chunks) * (1 / real(alike) + blocks));
  }

  // Weights, read once per task, from where there is room for them: bytes per cycle, while products are made, but not quite.
  const double weights = reduction * vectors * real(t.lanes) * sizeof(T);
  const double working_set = real(t.panel_size + t.staging_size) * sizeof(T);
  const bool in_l2 = weights + working_set < real(query.machine.l2_bytes);
  const double traffic = weights / (in_l2 ? 64.0 : weights < real(query.machine.l3_bytes) ? 10.0 : 4.0);

  const double packing = 3 * real(t.panel_size) / real(t.lanes);
  // Where blocks end within a plane, rows do not run on, and two blocks store into one line, which comes back for it.
  constexpr double kCut = 40;
  const double cut_planes = t.blocks.h > 1 && t.blocks.w == 1 ? real(t.block.d * p.stride.d * t.co) : 0;
  const double cuts = cut_planes * (output_bytes<T>(p) > query.machine.l2_bytes ? 1 : 0.2);
  const double storing =
      store_cycles<T>(t, query) * positions * real(p.stride.d * p.stride.h * p.stride.w) * vectors + kCut * cuts +
      shared_line_cycles(threads_of_group(query), t.blocks, t.block.d * p.stride.d, t.block.h * p.stride.h, t.co);
  const double share = std::min(1.0, real(ceil_div(t.chunks, t.splits) * t.nr) / vectors);  // of the longest split
  constexpr double kTask = 3000;
  const double multiplying = std::max(products, traffic) + 0.3 * std::min(products, traffic);
  double cycles = (multiplying + storing) * share + packing + kTask;
  const double l2 = real(query.machine.l2_bytes);
  cycles += std::max(0.0, working_set - 0.25 * l2) / 21;  // the output passes through the cache too
  // Cropped, a large panel costs less than the halo of small ones, as measured.
  const double outgrown =
      t.crop ? std::max(real(t.staging_size) * sizeof(T) / l2, working_set / (4 * l2)) : working_set / l2;
  cycles *= std::max(1.0, outgrown);
  const double tasks = real(std::max<std::int64_t>(1, p.n) * p.groups * t.blocks.d * t.blocks.h * t.blocks.w * t.splits);
  const double full = positions * real(t.blocks.d * t.blocks.h * t.blocks.w);
  const double whole = real(t.axes[0].positions * t.axes[1].positions * t.axes[2].positions) / full;
  constexpr double kBesideOthers = 1.08;  // measured: others' estimates are so much too high where this one is right
  return kBesideOthers * busiest_rounds(tasks, whole, query.threads) * cycles / kClock + 5e-6;
}

namespace {

/// The tiling of the least estimate among those looked at.
template <typename T>
struct Search {
  const Query& query;
  double best = std::numeric_limits<double>::infinity();
  DirectTiling chosen = {};

  /// Looks at all ways to cut the positions into blocks.
  void blocks_of(DirectTiling t) {
    const Problem& p = query.problem;
    const Extent3 all = {t.axes[0].positions, t.axes[1].positions, t.axes[2].positions};
    const std::int64_t wanted_tasks = query.threads == 1 ? 1 : 4 * query.threads;
    for (std::int64_t cut_w = 1; cut_w <= all.w; cut_w *= 2) {
      if (t.crop) t.row = row_cycles(t, p, ceil_div(all.w, cut_w), is_wide(query.machine.isa));
      for (std::int64_t cut_h = 1; cut_h < 2 * all.h; cut_h *= 2) {
        for (std::int64_t cut_d = 1; cut_d < 2 * all.d; cut_d *= 2) {
          t.block = {ceil_div(all.d, std::min(cut_d, all.d)), ceil_div(all.h, std::min(cut_h, all.h)),
                     ceil_div(all.w, cut_w)};
          t.blocks = {ceil_div(all.d, t.block.d), ceil_div(all.h, t.block.h), ceil_div(all.w, t.block.w)};
          const std::int64_t tasks = std::max<std::int64_t>(1, p.n) * p.groups * t.blocks.d * t.blocks.h * t.blocks.w;
          for (const std::int64_t splits : {std::int64_t{1}, std::clamp<std::int64_t>(wanted_tasks / tasks, 1, t.chunks)}) {
            t.splits = splits;
            shape_panel(t);
            const double seconds = direct_seconds<T>(t, query);
            if (seconds >= best) continue;
            best = seconds;
            chosen = t;
          }
        }
      }
    }
  }
};

}  // namespace

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
  for (const AxisPhase& phase : t.axes[1].phases) {
    t.alike_h.push_back(alike_positions(phase, p.input_stride.h, p.input.h));
    for (const AlikePositions& rows : t.alike_h.back()) t.most_alike = std::max(t.most_alike, rows.end - rows.begin);
  }
  t.lanes = kernels::lanes<T>(query.machine.isa);
  t.ci = p.ci / p.groups;
  t.co = p.co / p.groups;
  set_chunks(t, 2);
  t.crop = pays_to_crop(t, p, is_wide(query.machine.isa));
  t.joins_w = may_join_w(t);
  Search<T> search{query};
  search.blocks_of(t);
  if (t.crop) {  // three vectors leave registers for few positions: too few of long rows
    set_chunks(t, 3);
    search.blocks_of(t);
  }
  return search.chosen;
}

template DirectTiling direct_tiling<float>(const Query&);
template DirectTiling direct_tiling<double>(const Query&);
template double direct_seconds<float>(const DirectTiling&, const Query&);
template double direct_seconds<double>(const DirectTiling&, const Query&);

}  // namespace convt3d
