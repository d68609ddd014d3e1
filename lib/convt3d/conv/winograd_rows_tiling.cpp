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

/// Reads of input vectors for one point's products.
double reads_of(const WinogradRowsTiling& t) { return real(t.ci * t.w.shifts()); }

/// Cuts the output rows of a cell row into sets of a size that there is a kernel for: if there is one for all residues of h,
/// into whole ones of these, so that rows can be stored in the output's order.
void choose_sets(WinogradRowsTiling& t, bool wide) {
  const std::int64_t rh_count = t.residues_h.count(), rw_count = t.residues_w.count();
  const std::int64_t unit = has_kernel(rh_count * rw_count) ? rh_count : 1;
  double best = std::numeric_limits<double>::infinity();
  for (std::int64_t most = unit; most * rw_count <= kernels::kMostCellColumns; most += unit) {
    if (!has_kernel(most * rw_count)) continue;
    std::vector<WinogradRowsSet> sets;
    double cycles = 0;
    for (std::int64_t first = 0; first < t.rows();) {
      std::int64_t count = std::min(most, t.rows() - first);
      while (!has_kernel(count * rw_count)) count -= unit;
      sets.push_back({first, count});
      cycles += column_cycles(t.columns(sets.back()), reads_of(t), 24, wide);  // a run that all divide
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

std::vector<PointGroup> groups_of(const WinogradScheme& scheme) {
  std::vector<PointGroup> groups;
  for (std::int64_t point = 0; point < scheme.points(); point += groups.back().count)
    groups.push_back({point, scheme.fourier != 0 && point >= 2 ? 2 : 1});
  return groups;
}

void set_schemes(WinogradRowsTiling& t, const std::array<WinogradScheme, 2>& schemes) {
  set_scheme(t.d, schemes[0]);
  set_scheme(t.h, schemes[1]);
  t.groups_d = groups_of(schemes[0]);
  t.groups_h = groups_of(schemes[1]);
}

void set_block(WinogradRowsTiling& t, const Extent3& block) {
  t.block_d = block.d;
  t.block_h = block.h;
  t.block_w = block.w;
  t.blocks_d = ceil_div(t.d.tiles, block.d);
  t.blocks_h = ceil_div(t.h.tiles, block.h);
  t.blocks_w = ceil_div(t.w.cells(), block.w);
  t.pitch = block.w + t.w.shifts() - 1;
  if (block.w >= kShortRow) t.pitch = round_up(t.pitch, t.lanes);
  t.panel_d = t.d.cells_covered(0, block.d) + t.d.cells.shifts() - 1;
  t.slots = t.slots_of(0, block.h);
  t.plane = apart((block.h == 1 ? t.h.scheme.points() : t.h.scheme.outputs * t.slots) * t.pitch, t.lanes);
  t.lines_size = apart(t.ci * block.d * t.plane, t.lanes);
  t.ld = round_up(block.d * block.h * t.pitch + t.w.shifts() - 1, t.lanes) + t.lanes;
  t.point_size = apart(t.ci * t.ld, t.lanes);
  t.row = round_up(t.run_cells(block.d * block.h), t.lanes) * t.residues_w.count();
  t.splits = 1;
  // By sets or by points of d, whichever holds less at once.
  const auto held = [&](bool by_sets) {
    t.by_sets = by_sets;
    t.outputs_size = apart((by_sets ? t.most_rows() : t.rows()) * t.h.scheme.outputs * t.row, t.lanes);
    return t.points_floats() + t.outputs_floats();
  };
  const std::int64_t sets = held(true), points = held(false);
  if (sets <= points) held(true);
}

/// Of a thread's scratch, but for blocks than which there are no smaller ones.
constexpr std::int64_t kMostBytes = std::int64_t{4} << 20;

/// Sets the block that is fastest by estimate, and returns its seconds.
double choose_block(WinogradRowsTiling& t, const Query& query) {
  double best = std::numeric_limits<double>::infinity();
  Extent3 chosen;
  std::int64_t splits = 1;
  const auto consider = [&](const Extent3& block) {
    set_block(t, block);
    const std::int64_t tasks = query.problem.n * query.problem.groups * t.blocks_d * t.blocks_h * t.blocks_w;
    const auto most = static_cast<std::int64_t>(t.sets.size());
    for (const std::int64_t wanted : {1, query.threads, 3 * query.threads}) {
      t.splits = std::clamp<std::int64_t>(ceil_div(wanted, tasks), 1, most);
      const double seconds = winograd_rows_seconds(t, query);
      if (seconds >= best) continue;
      best = seconds;
      chosen = block;
      splits = t.splits;
    }
  };
  // Whole runs of interleaved tiles, so that no two blocks write to one cell, in equal parts; whole vectors of cells.
  const auto parts_of = [](const WinogradAxis& axis) {
    std::vector<std::int64_t> parts;
    for (std::int64_t count = 1; count < 2 * axis.tiles; count += count < 8 ? 1 : count) {
      const std::int64_t part = round_up(ceil_div(axis.tiles, count), axis.step);
      if (parts.empty() || part != parts.back()) parts.push_back(part);
    }
    return parts;
  };
  const std::vector<std::int64_t> parts_d = parts_of(t.d), parts_h = parts_of(t.h);
  Extent3 least = {parts_d.back(), parts_h.back(), t.w.cells()};
  for (std::int64_t cut = 1; cut == 1 || t.w.cells() >= cut * 2 * t.lanes; cut *= 2) {
    least.w = std::min(t.w.cells(), round_up(ceil_div(t.w.cells(), cut), t.lanes));
    for (auto bh = parts_h.rbegin(); bh != parts_h.rend(); ++bh) {
      for (auto bd = parts_d.rbegin(); bd != parts_d.rend(); ++bd) {
        set_block(t, {*bd, *bh, least.w});
        if (t.scratch_floats() * 4 > kMostBytes) break;  // larger ones are too
        consider({*bd, *bh, least.w});
      }
    }
  }
  if (best == std::numeric_limits<double>::infinity()) consider(least);
  set_block(t, chosen);
  t.splits = splits;
  return best;
}

/// Schemes worth trying on an axis whose longest residues have so many taps: Fourier transforms where Winograd's round too
/// much or do not go.
std::vector<WinogradScheme> row_schemes_for(const WinogradAxis& axis, int taps) {
  std::vector<WinogradScheme> schemes = schemes_for(taps);
  if (taps >= 3) append_fourier_schemes(axis, taps, /*triples=*/false, schemes);
  return schemes;
}

/// Cycles of all threads together for what no column counts: rows of bias, and rows that are spread out where w has residues
/// without taps. Neither schemes nor block change them.
double gap_cycles(const WinogradRowsTiling& t, const Problem& p) {
  const double rows = real(p.n * p.co * p.output.d * p.output.h);
  const double elements = real(p.output.w), vectors = elements / real(t.lanes);
  const double share_d = real(t.residues_d.count()) / real(t.d.cells.stride);
  const double share_h = real(t.residues_h.count()) / real(t.h.cells.stride);
  const double tapped = rows * share_d * share_h;
  const double spread = t.residues_w.all() ? 0 : tapped * (4 * vectors + 0.375 * elements);
  return 2 * (rows - tapped) * vectors + spread;
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
  t.residues_w = tapped_residues(t.w);
  if (!has_kernel(t.residues_w.count())) return "a stride along w that there is no kernel for";
  const std::array axes = {&t.d, &t.h};
  for (std::size_t a = 0; a < 2; ++a) {
    axes[a]->cells = make_cell_axis(p, static_cast<int>(a));
    if (std::string reason = examine(*axes[a], taps[a]); !reason.empty()) return reason;
    if (row_schemes_for(*axes[a], taps[a]).empty()) return "phases of more than 13 taps along d or h";
  }
  t.residues_d = tapped_residues(t.d.cells);
  t.residues_h = tapped_residues(t.h.cells);
  if (std::max(taps[0], taps[1]) < 2) return "one tap per phase along d and h: nothing to save";
  choose_sets(t, is_wide(query.machine.isa));
  return "";
}

}  // namespace

std::int64_t WinogradRowsTiling::products(const PointGroup& group_d) const {
  std::int64_t count = 0;
  for (const PointGroup& group_h : groups_h) count += products_of(group_d, group_h);
  return count;
}

std::int64_t WinogradRowsTiling::products() const {
  std::int64_t count = 0;
  for (const PointGroup& group_d : groups_d) count += products(group_d);
  return count;
}

std::int64_t winograd_rows_weights_size(const Problem& problem, const WinogradRowsTiling& tiling) {
  return problem.groups * (tiling.products() * tiling.weights_of_point({0, tiling.rows()}) + tiling.co * tiling.lanes);
}

// Cycles of one task, then the slowest thread's share of tasks. A transform takes somewhat over a cycle for each load and
// store; packing pays for each row and for the lines it brings; lines come from behind L2 where they do not fit, and so do
// the weights, once per task.
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
    constexpr double kCall = 60;
    const double vectors_of_run = vectors(real(t.row / t.residues_w.count()));
    products +=
        real(t.products()) * (kCall + column_cycles(t.columns(set), reads_of(t), vectors_of_run, wide) * vectors_of_run);
    columns += t.columns(set);
  }
  const double weights = real(t.products()) * columns * reads_of(t) * 4;
  // Rows are stored one by one, those of a plane without a gap in the output: from cache to cache, or behind it.
  const double planes = real(t.co * t.d.cells.stride * t.block_d) * md;
  const bool cached = output_size(query.problem) * 4 < query.machine.l2_bytes;
  const double stored = (cached ? 30 : 150) * planes + (cached ? 6 : 25) * planes * real(t.h.cells.stride * t.block_h) * mh;
  const double shared = shared_line_cycles(threads_of_group(query), {t.blocks_d, t.blocks_h, t.blocks_w},
                                           t.d.cells.stride * t.block_d * t.d.scheme.outputs,
                                           t.h.cells.stride * t.block_h * t.h.scheme.outputs, t.co);
  const double output = 1.2 * columns * run * ((nh + mh) * nd + mh * (nd + md) + 4 * md * mh) + stored + shared;
  const double held = real(t.lines_floats() + t.points_floats() + t.outputs_floats()) * 4, l2 = real(query.machine.l2_bytes);
  double cycles =
      (pack + input) * real(t.ci) * real(t.splits) + products + output + weights / (weights + held < l2 ? 64 : 16);
  if (held > 0.7 * l2) cycles += (real(t.lines_floats()) + 2 * real(t.outputs_floats())) * 4 / 32;
  constexpr double kBeyond = 1.6;  // times as long, all of it behind the second cache
  if (t.scratch_floats() * 4 > kMostBytes) cycles *= kBeyond;
  const double tasks = real(query.problem.n * query.problem.groups * t.blocks_d * t.blocks_h * t.blocks_w * t.splits);
  const double whole = real(t.d.tiles * t.h.tiles) / real(t.blocks_d * t.block_d * t.blocks_h * t.block_h);
  // An input beyond the caches arrives row by row, each from another page: cycles an element.
  const double input_size =
      real(query.problem.n * query.problem.ci) * real(query.problem.input.d * query.problem.input.h * query.problem.input.w);
  const double memory = input_size * 4 > 16 * l2 ? 0.7 * input_size : 0;
  const double beside = (memory + gap_cycles(t, query.problem)) / query.threads;
  return (busiest_rounds(tasks, whole, query.threads) * cycles / real(t.splits) + beside) / kClock + 5e-6;
}

std::optional<WinogradRowsTiling> winograd_rows_tiling(const Query& query, std::string& reason) {
  WinogradRowsTiling t;
  std::array<int, 2> taps{};
  reason = prepare(query, t, taps);
  if (!reason.empty()) return std::nullopt;

  const OneVolume one(query);
  const std::int64_t terms = t.ci * t.w.shifts();
  const double error = expected_error(one.problem, terms, terms);
  double best = std::numeric_limits<double>::infinity();
  std::array<WinogradScheme, 2> chosen;
  const std::vector<WinogradScheme> schemes_h = row_schemes_for(t.h, taps[1]);
  for (const WinogradScheme& d : row_schemes_for(t.d, taps[0])) {
    for (const WinogradScheme& h : schemes_h) {
      if (error * error_growth(d) * error_growth(h) > kMostError) continue;
      set_schemes(t, {d, h});
      const double seconds = choose_block(t, one.query());
      if (seconds >= best) continue;
      best = seconds;
      chosen = {d, h};
    }
  }
  if (best == std::numeric_limits<double>::infinity()) {
    reason = "no tile size keeps the error bound";
    return std::nullopt;
  }
  set_schemes(t, chosen);
  choose_block(t, query);
  return t;
}

}  // namespace convt3d
