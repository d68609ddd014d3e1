#include "convt3d/conv/winograd_rows_tiling.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/few_channel_tiling.hpp"
#include "convt3d/conv/kernels/kernels.hpp"

namespace convt3d {
namespace {

using kernels::WinogradScheme;

double real(std::int64_t value) { return static_cast<double>(value); }

bool is_wide(Isa isa) { return isa == Isa::kAvx512 || isa == Isa::kNeon; }

/// Reads of input vectors for one point's products.
double reads_of(const WinogradRowsTiling& t) { return real(t.ci * t.w.shifts()); }

/// Cuts the output rows of a cell row into sets of a size that there is a kernel for: if there is one for all residues of h,
/// into whole ones of these, so that rows can be stored in the output's order.
void choose_sets(WinogradRowsTiling& t, bool wide) {
  const std::int64_t sw = t.w.stride;
  const std::int64_t unit = has_kernel(t.h.cells.stride * sw) ? t.h.cells.stride : 1;
  double best = std::numeric_limits<double>::infinity();
  for (std::int64_t most = unit; most * sw <= kernels::kMostCellColumns; most += unit) {
    if (!has_kernel(most * sw)) continue;
    std::vector<WinogradRowsSet> sets;
    double cycles = 0;
    for (std::int64_t first = 0; first < t.rows();) {
      std::int64_t count = std::min(most, t.rows() - first);
      while (!has_kernel(count * sw)) count -= unit;
      sets.push_back({first, count});
      cycles += column_cycles(t.columns(sets.back()), reads_of(t), wide);
      first += count;
    }
    if (cycles >= best) continue;
    best = cycles;
    t.sets = std::move(sets);
  }
}

/// At least so many elements, and an odd number of vectors: what lies so far apart does not compete for one set of a cache.
std::int64_t apart(std::int64_t elements, std::int64_t lanes) {
  const std::int64_t vectors = ceil_div(elements, lanes);
  return (vectors + 1 - vectors % 2) * lanes;
}

void set_block(WinogradRowsTiling& t, std::int64_t block_d, std::int64_t block_h, const Query& query) {
  const Problem& p = query.problem;
  t.block_d = block_d;
  t.block_h = block_h;
  t.blocks_d = ceil_div(t.d.tiles, block_d);
  t.blocks_h = ceil_div(t.h.tiles, block_h);
  t.panel_d = t.d.cells_covered(0, block_d) + t.d.cells.shifts() - 1;
  t.slots = t.slots_of(0, block_h);
  t.plane = apart(t.h.scheme.outputs * t.slots * t.pitch, t.lanes);
  t.ld = round_up(block_d * block_h * t.pitch + t.w.shifts() - 1, t.lanes) + t.lanes;
  t.point_size = apart(t.ci * t.ld, t.lanes);
  t.row = round_up(t.run_cells(block_d * block_h), t.lanes) * t.w.stride;
  const std::int64_t wanted = query.threads == 1 ? 1 : 3 * query.threads;
  const std::int64_t tasks = p.n * p.groups * t.blocks_d * t.blocks_h;
  t.splits = std::clamp<std::int64_t>(wanted / tasks, 1, static_cast<std::int64_t>(t.sets.size()));
}

/// Sets the block that is fastest by estimate, and returns its seconds.
double choose_block(WinogradRowsTiling& t, const Query& query) {
  constexpr std::int64_t kMostBytes = std::int64_t{4} << 20;  // of points
  double best = std::numeric_limits<double>::infinity();
  std::int64_t best_d = 0, best_h = 0;
  // Whole runs of interleaved tiles, so that no two blocks write to one cell.
  for (std::int64_t bh = 1; bh < 2 * t.h.tiles; bh *= 2) {
    for (std::int64_t bd = 1; bd < 2 * t.d.tiles; bd *= 2) {
      set_block(t, round_up(std::min(bd, t.d.tiles), t.d.step), round_up(std::min(bh, t.h.tiles), t.h.step), query);
      if (t.points_size() * 4 > kMostBytes && bd * bh > 1) break;
      const double seconds = winograd_rows_seconds(t, query);
      if (seconds >= best) continue;
      best = seconds;
      best_d = t.block_d;
      best_h = t.block_h;
    }
  }
  set_block(t, best_d, best_h, query);
  return best;
}

/// Everything but schemes and block; returns why the problem cannot be run, or "".
std::string prepare(const Query& query, WinogradRowsTiling& t, std::array<int, 2>& taps) {
  const Problem& p = query.problem;
  if (is_strided(p)) return kNoInputStride;
  if (p.dtype != DType::kFloat32) return "computes in float32 only";
  t.lanes = kernels::lanes<float>(query.machine.isa);
  if (t.lanes < 4) return "no vectors";
  for (int axis = 0; axis < 3; ++axis) {
    if (p.stride[axis] > 16 || p.dilation[axis] > 16) return "a stride or dilation above 16";
  }
  t.ci = p.ci / p.groups;
  t.co = p.co / p.groups;
  t.w = make_cell_axis(p, 2);
  if (!has_kernel(t.w.stride)) return "a stride along w that there is no kernel for";
  const std::array axes = {&t.d, &t.h};
  for (std::size_t a = 0; a < 2; ++a) {
    axes[a]->cells = make_cell_axis(p, static_cast<int>(a));
    if (std::string reason = examine(*axes[a], taps[a]); !reason.empty()) return reason;
    if (taps[a] > 5) return "phases of more than 5 taps along d or h";
  }
  if (std::max(taps[0], taps[1]) < 2) return "one tap per phase along d and h: nothing to save";
  choose_sets(t, is_wide(query.machine.isa));
  constexpr std::int64_t kShortRow = 128;  // as in few_channel
  t.pitch = t.w.cells() + t.w.shifts() - 1;
  if (t.w.cells() >= kShortRow) t.pitch = round_up(t.pitch, t.lanes);
  return "";
}

}  // namespace

// Cycles of one task, then the slowest thread's share of tasks. A transform takes somewhat over a cycle for each load and
// store; packing pays for each row and for the lines it brings; points come from behind L2 where they do not fit.
double winograd_rows_seconds(const WinogradRowsTiling& t, const Query& query) {
  const bool wide = is_wide(query.machine.isa);
  const double tiles = real(t.block_d * t.block_h);
  const double nd = real(t.d.scheme.points()), nh = real(t.h.scheme.points());
  const double md = real(t.d.scheme.outputs), mh = real(t.h.scheme.outputs);
  const auto vectors = [&](double elements) { return elements / real(t.lanes); };
  const double run = vectors(tiles * real(t.pitch));
  const double rows = real(t.panel_d * (t.block_h * t.h.scheme.outputs + t.h.scheme.points() - t.h.scheme.outputs));
  const double pack = rows * (5 + 5 * vectors(real(t.pitch)));
  const double input = 1.4 * (2 * nd * real(t.block_d) * vectors(real(t.plane)) + 2 * nh * nd * run);
  double products = 0, columns = 0;
  for (const WinogradRowsSet& set : t.sets) {
    products += nd * nh * column_cycles(t.columns(set), reads_of(t), wide) * vectors(real(t.row / t.w.stride));
    columns += t.columns(set);
  }
  const double output = 1.2 * columns * run * ((nd + md) * nh + md * (nh + mh) + 4 * md * mh);
  const double points = real(t.points_size()) * 4, l2 = real(query.machine.l2_bytes);
  double cycles = (pack + input) * real(t.ci) * real(t.splits) + products + output;
  if (points > 0.6 * l2) cycles += points * (1.0 / 8 + real(static_cast<std::int64_t>(t.sets.size())) / 16);
  const double tasks = real(query.problem.n * query.problem.groups * t.blocks_d * t.blocks_h * t.splits);
  return std::ceil(tasks / query.threads) * cycles / real(t.splits) / kClock + 5e-6;
}

std::optional<WinogradRowsTiling> winograd_rows_tiling(const Query& query, std::string& reason) {
  WinogradRowsTiling t;
  std::array<int, 2> taps{};
  reason = prepare(query, t, taps);
  if (!reason.empty()) return std::nullopt;

  Problem one_volume = query.problem;
  one_volume.n = 1;
  Machine ordinary;
  ordinary.isa = query.machine.isa;
  const Query canonical{.problem = one_volume, .machine = ordinary, .threads = 1, .separable = false};
  const std::int64_t terms = t.ci * t.w.shifts();
  const double error = expected_error(one_volume, terms, terms);
  double best = std::numeric_limits<double>::infinity();
  std::array<WinogradScheme, 2> chosen;
  for (const WinogradScheme& d : schemes_for(taps[0])) {
    for (const WinogradScheme& h : schemes_for(taps[1])) {
      if (error * error_growth(d) * error_growth(h) > kMostError) continue;
      set_scheme(t.d, d);
      set_scheme(t.h, h);
      const double seconds = choose_block(t, canonical);
      if (seconds >= best) continue;
      best = seconds;
      chosen = {d, h};
    }
  }
  if (best == std::numeric_limits<double>::infinity()) {
    reason = "no tile size keeps the error bound";
    return std::nullopt;
  }
  set_scheme(t.d, chosen[0]);
  set_scheme(t.h, chosen[1]);
  choose_block(t, query);
  return t;
}

}  // namespace convt3d
