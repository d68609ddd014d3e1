#include "convt3d/conv/winograd_tiling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "convt3d/base/checked.hpp"

namespace convt3d {
namespace {

using kernels::WinogradScheme;

std::vector<std::int64_t> residues_w(const WinogradTiling& t, bool single) {
  std::vector<std::int64_t> residues;
  for (std::int64_t r = 0; r < t.axes[2].cells.stride; ++r) {
    if (t.axes[2].is_single(r) == single) residues.push_back(r);
  }
  return residues;
}

/// Residues of d and h together that have a view.
double pairs_of(const WinogradTiling& t, const WinogradView& view) {
  const auto count = [](const WinogradAxis& axis, bool single) {
    return static_cast<double>(std::count(axis.single.begin(), axis.single.end(), single));
  };
  return count(t.axes[0], view.single_d) * count(t.axes[1], view.single_h);
}

void set_block(WinogradTiling& t, const Extent3& block, const Query& query) {
  t.block = block;
  for (int a = 0; a < 3; ++a) {
    const WinogradAxis& axis = t.axes[static_cast<std::size_t>(a)];
    t.blocks[a] = ceil_div(axis.tiles, block[a]);
    t.span[a] = axis.cells_covered(0, block[a]);
    t.panel[a] = t.span[a] + axis.cells.shifts() - 1;
  }
  const std::int64_t tiles = block.d * block.h * block.w;
  std::int64_t most_points = 0;
  for (const WinogradView& view : t.views) {
    most_points = std::max(most_points, t.axes[0].points(view.single_d) * t.axes[1].points(view.single_h));
  }
  const auto line_points = [&](std::size_t axis) { return std::max(t.axes[axis].points(false), t.axes[axis].points(true)); };
  t.panels = t.views.size() > 1 ? t.ci_vectors : 1;
  t.panel_size = t.panels * t.panel.d * t.panel.h * t.panel.w * t.lanes;
  t.points_size = most_points * t.points_w() * tiles * t.ld();
  t.products_size = line_points(0) * tiles * kWinogradColumns * t.lanes;
  t.sums_size = t.axes[0].scheme.outputs * line_points(1) * line_points(2) * tiles * kWinogradColumns * t.lanes;
  t.staging_size = t.chunk_vectors * t.span.d * t.span.h * t.span.w * t.axes[2].cells.stride * t.lanes;
  // What lies between two axes keeps to the first cache, where a group of one tile does.
  const auto lines_size = [&](std::int64_t group) {
    const std::int64_t input = line_points(0) * block.d * (t.panel.h + line_points(1) * block.h) * t.axes[2].columns(group);
    const std::int64_t output = t.axes[1].scheme.outputs * line_points(2) * group;
    return std::max(input, output) * t.lanes;
  };
  t.group = 1;
  while (t.group < block.w && lines_size(2 * t.group) * 4 <= query.machine.l1_bytes) t.group *= 2;
  t.group = std::min(t.group, block.w);
  t.lines_size = lines_size(t.group);
  const std::int64_t wanted = query.threads == 1 ? 1 : 3 * query.threads;
  t.splits = t.shared ? 1 : std::clamp<std::int64_t>(wanted / t.block_count(query.problem), 1, t.units());
}

void set_schemes(WinogradTiling& t, const std::array<WinogradScheme, 3>& schemes) {
  for (std::size_t a = 0; a < 3; ++a) set_scheme(t.axes[a], schemes[a]);
}

/// Sets the block that is fastest by estimate, shared or not, and returns its seconds.
double choose_block(WinogradTiling& t, const Query& query) {
  constexpr std::int64_t kMostTiles = 256;
  constexpr std::int64_t kMostShared = std::int64_t{4} << 20;  // bytes: what stays in an L3 that others share
  double best = std::numeric_limits<double>::infinity();
  Extent3 chosen;
  bool shared = false;
  // Whole runs of interleaved tiles, so that no two blocks write to one cell.
  const auto whole_runs = [&](std::size_t axis, std::int64_t tiles) {
    return round_up(std::min(tiles, t.axes[axis].tiles), t.axes[axis].step);
  };
  // Points come from behind L2 at speed only in runs of many tiles.
  const auto may_share = [&] {
    constexpr double kFewestTiles = 24;
    const auto count = [](const Extent3& extent) { return static_cast<double>(extent.d * extent.h * extent.w); };
    const double all = count({t.axes[0].tiles, t.axes[1].tiles, t.axes[2].tiles});
    const bool enough = (count(t.blocks) == 1 || all / count(t.blocks) >= kFewestTiles) &&
                        t.block_count(query.problem) * t.units() >= 4 * query.threads;
    return t.views.size() == 1 && enough && t.shared_floats(query.problem) * 4 <= kMostShared;
  };
  const auto consider = [&](const Extent3& block) {
    for (t.shared = false;; t.shared = true) {
      set_block(t, block, query);
      if (t.shared && !may_share()) return;
      if (const double seconds = winograd_seconds(t, query); seconds < best) {
        best = seconds;
        chosen = block;
        shared = t.shared;
      }
      if (t.shared) return;
    }
  };
  for (std::int64_t cut = 1; cut <= t.axes[2].tiles; cut *= 2) {
    for (std::int64_t bh = 1; bh < 2 * t.axes[1].tiles; bh *= 2) {
      for (std::int64_t bd = 1; bd < 2 * t.axes[0].tiles; bd *= 2) {
        const Extent3 block = {whole_runs(0, bd), whole_runs(1, bh), whole_runs(2, ceil_div(t.axes[2].tiles, cut))};
        const bool smallest = bd == 1 && bh == 1 && cut * 2 > t.axes[2].tiles;
        if (block.d * block.h * block.w <= kMostTiles || smallest) consider(block);
      }
    }
  }
  t.shared = shared;
  set_block(t, chosen, query);
  return best;
}

/// Everything but schemes and block; returns why the problem cannot be run, or "".
std::string prepare_axes(const Query& query, WinogradTiling& t, std::array<int, 3>& taps) {
  const Problem& p = query.problem;
  if (is_strided(p)) return kNoInputStride;
  if (p.dtype != DType::kFloat32) return "computes in float32 only";
  t.lanes = kernels::lanes<float>(query.machine.isa);
  if (t.lanes < 4) return "no vectors";
  t.ci = p.ci / p.groups;
  t.co = p.co / p.groups;
  if (t.ci < 4 || t.co < 4) return "fewer than 4 channels per group";
  for (int a = 0; a < 3; ++a) {
    const auto i = static_cast<std::size_t>(a);
    if (p.stride[a] > 16 || p.dilation[a] > 16) return "a stride or dilation above 16";
    t.axes[i].cells = make_cell_axis(p, a);
    if (std::string reason = examine(t.axes[i], taps[i]); !reason.empty()) return reason;
    if (taps[i] > 5) return "phases of more than 5 taps";
  }
  if (std::max({taps[0], taps[1], taps[2]}) < 2) return "one tap per phase: nothing to save";

  for (const bool single_d : {false, true}) {
    for (const bool single_h : {false, true}) {
      if (t.axes[0].has(single_d) && t.axes[1].has(single_h)) t.views.push_back({single_d, single_h});
    }
  }
  t.ci_vectors = ceil_div(t.ci, t.lanes);
  const std::size_t most_residues = std::max(residues_w(t, false).size(), residues_w(t, true).size());
  t.chunk_vectors = std::min<std::int64_t>(t.co_vectors(), most_residues == 1 ? 2 : 1);
  t.chunks = ceil_div(t.co_vectors(), t.chunk_vectors);
  return "";
}

}  // namespace

std::vector<WinogradColumns> winograd_columns(const WinogradTiling& tiling, std::int64_t chunk) {
  std::vector<WinogradColumns> all;
  for (const bool single : {false, true}) {
    WinogradColumns columns{.single = single, .entries = {}};
    for (std::int64_t j = 0; j < tiling.vectors_in(chunk); ++j) {
      for (const std::int64_t rw : residues_w(tiling, single)) {
        columns.entries.emplace_back(j, rw);
        if (static_cast<std::int64_t>(columns.entries.size()) < kWinogradColumns) continue;
        all.push_back(columns);
        columns.entries.clear();
      }
    }
    if (!columns.entries.empty()) all.push_back(columns);
  }
  return all;
}

std::int64_t winograd_weights_size(const Problem& problem, const WinogradTiling& tiling) {
  std::int64_t points = 1;  // over all residues; a sum of products is the product of the axes' sums
  for (const WinogradAxis& axis : tiling.axes) {
    std::int64_t sum = 0;
    for (std::int64_t r = 0; r < axis.cells.stride; ++r) sum += axis.points(axis.is_single(r));
    points *= sum;
  }
  return problem.groups * tiling.co_vectors() * tiling.lanes * (points * tiling.ci + 1);
}

namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

/// The cycles below are measured where nothing else ran; the other algorithms' estimates are so many times what they take.
constexpr double kMargin = 1.2;

/// What one run may count on of L3: a virtual machine may report all of a socket's, in parts that others use.
double usable_l3(const Machine& machine) { return real(std::min(machine.l3_bytes, std::int64_t{32} << 20)); }

/// Cycles of two things that go on at once, but not quite.
double overlapped(double a, double b) { return std::max(a, b) + 0.5 * std::min(a, b); }

/// Cycles of one call of the product on so many tiles and vectors of columns, as measured: 97 % of two multiplications a
/// cycle where there are enough to hide the latency of a sum, and some for each square of sums, which are kept in registers;
/// where channels are summed in parts, those are added up in memory.
double product_cycles(const WinogradTiling& t, double tiles, double columns, bool wide) {
  const double most = columns == 1 ? (wide ? 16 : 12) : (wide ? 14 : 6);
  const double squares = std::ceil(tiles / most);
  const double step = std::max(4.0, tiles * columns / squares / 2);
  return squares * (0.97 * step * real(t.ci) + 58) + 6 * tiles * columns * real(ceil_div(t.ci, t.part) - 1);
}

/// What a block takes, per vector of input or of output channels.
struct BlockWork {
  double multiplied = 0;       ///< products at a point, of a tile
  double products = 0;         ///< cycles for these of all tiles and vectors
  double input_elements = 0;   ///< loads and stores of Bᵀ, of all tiles
  double input_lines = 0;      ///< their runs of vectors
  double output_elements = 0;  ///< loads and stores of Aᵀ, of a tile
  double output_calls = 0;     ///< calls for Aᵀ on h and w, of all tiles
};

BlockWork work_of(const WinogradTiling& t, bool wide) {
  const WinogradAxis &d = t.axes[0], &h = t.axes[1], &w = t.axes[2];
  const double tiles = real(t.block.d * t.block.h * t.block.w);
  const double md = real(d.scheme.outputs), mh = real(h.scheme.outputs), mw = real(w.scheme.outputs);
  const double pw = real(t.points_w());
  const double nw = real(w.scheme.points()) + (w.has(true) ? mw : 0);  // elements read of a line along w
  const double groups = real(ceil_div(t.block.w, t.group)), row = real(w.columns(t.group)) * groups;
  const double tile_rows = real(t.block.d * t.block.h);
  static_assert(kWinogradColumns == 2);
  const double pair_cycles = product_cycles(t, tiles, 2, wide), one_cycles = product_cycles(t, tiles, 1, wide);
  BlockWork work;
  for (const WinogradView& view : t.views) {
    const double nd = real(d.points(view.single_d)), nh = real(h.points(view.single_h));
    const double pairs = pairs_of(t, view);
    work.input_elements += real(t.block.d) * real(t.panel.h) * row * 2 * nd;
    work.input_elements += real(t.block.d) * nd * real(t.block.h) * row * 2 * nh;
    work.input_elements += tiles * nd * nh * (nw + pw);
    work.input_lines += groups * (real(t.block.d * t.panel.h) + tile_rows * nd * (1 + nh));
    work.output_calls += pairs * real(w.cells.stride) * tile_rows * groups * md;
    for (const bool single : {false, true}) {
      const std::int64_t residues = std::count(w.single.begin(), w.single.end(), single);
      const double n = real(w.points(single)), calls = pairs * nd * nh * n;
      work.multiplied += calls * real(residues);
      for (std::int64_t chunk = 0; chunk < t.chunks; ++chunk) {
        const std::int64_t columns = t.vectors_in(chunk) * residues;
        work.products += calls * real(columns / kWinogradColumns) * pair_cycles;
        work.products += calls * real(columns % kWinogradColumns) * one_cycles;
      }
      work.output_elements += real(residues) * pairs * ((nd + md) * nh * n + md * (nh + mh) * n + md * mh * (n + mw));
    }
  }
  return work;
}

}  // namespace

// Cycles of one task, then the slowest thread's share of tasks, as measured of each step. A transform takes somewhat over a
// cycle for each load and store, and some for each call or run of vectors. Packing and storing pay for whole squares of
// voxels x channels and for each line from or to behind L2, or L3. Weights come once per task, from wherever they fit, while
// products are made: whichever takes longer.
double winograd_seconds(const WinogradTiling& t, const Query& query) {
  const WinogradAxis &d = t.axes[0], &h = t.axes[1], &w = t.axes[2];
  const Problem& p = query.problem;
  const double tiles = real(t.block.d * t.block.h * t.block.w);
  const double columns = real(t.co_vectors());
  const double splits = real(t.splits);
  const BlockWork work = work_of(t, is_wide(query.machine.isa));
  const double weights = work.multiplied * columns * real(t.lanes * t.ci) * 4;
  const double working_set = real(t.points_size + t.products_size + t.sums_size) * 4;
  const double l2 = real(query.machine.l2_bytes), l3 = usable_l3(query.machine);
  const double volumes = real(p.ci * p.input.d * p.input.h * p.input.w + p.co * p.output.d * p.output.h * p.output.w) * 4;
  const double line = volumes < l2 ? 0 : volumes < l3 / 2 ? 3 : 9;
  // Of rows of so many voxels of a vector of channels, each of which `voxel` is paid for.
  const auto moved = [&](double rows, std::int64_t voxels, std::int64_t channels, double voxel) {
    const double lines = real(voxels) / 16 + 1;
    const double used = real(channels) / real(ceil_div(channels, t.lanes));
    return rows * (25 + voxel * real(round_up(voxels, t.lanes)) + line * used * lines);
  };
  const double pack = moved(real(t.panel.d * t.panel.h * t.ci_vectors), t.panel.w, t.ci, 2.6);
  // What lies between two axes is in L1, or not.
  const double element = t.lines_size * 4 < 2 * query.machine.l1_bytes ? 1.2 : 1.7;
  const double once = pack + (element * work.input_elements + 4 * work.input_lines) * real(t.ci_vectors);
  const double output_rows = real(t.span.d * d.cells.stride * t.span.h * h.cells.stride) * columns;
  double store = moved(output_rows, t.span.w * w.cells.stride, t.co, 1.6);
  if (!t.rows_whole(p) && p.output.w % t.lanes == 0) store += 8 * output_rows * real(t.span.w * w.cells.stride);
  store += shared_line_cycles(query.threads, t.blocks, t.span.d * d.cells.stride, t.span.h * h.cells.stride, t.co);
  const double rest = 1.15 * work.output_elements * columns * tiles + 30 * work.output_calls * columns + store;
  const double blocks = real(t.block_count(p)), units = real(t.units());
  // Threads are woken and waited for twice.
  constexpr double kPhases = 60e-6;
  if (t.shared) {  // points are written once and read for every product, from behind L2
    const double passes =
        std::ceil(columns * real(w.cells.stride) / kWinogradColumns) * real(d.cells.stride * h.cells.stride);
    const double points = real(t.points_size) * 4;
    const double traffic = points * (1.0 / 16 + passes / 40);
    const double all_weights = weights * real(p.groups);
    const double times = weights / units + working_set - points < 0.7 * l2 ? 1 : blocks;  // that they come from behind L2
    double cycles = once + rest + traffic;
    if (working_set - points > 0.5 * l2) cycles *= (working_set - points) / (0.5 * l2);
    const double shares = std::ceil(blocks * units / query.threads) / (blocks * units);
    const double fetched = times * all_weights / (all_weights < 0.6 * l3 ? 16 : 6);
    // What another thread has transformed comes from its cores' caches, a byte a cycle.
    const double from_others = blocks * points * (1 - 1.0 / query.threads);
    const double computing = shares * (blocks * cycles + overlapped(blocks * work.products, fetched));
    return kMargin * (computing + from_others) / kClock + kPhases;
  }
  const double fetched = weights / (weights + working_set < l2 ? 64 : weights < 0.6 * l3 ? 16 : 6);
  double cycles = once * splits + overlapped(work.products, fetched) + rest;
  if (working_set > 0.7 * l2) cycles *= working_set / (0.7 * l2);
  // Blocks at the end are cut, which shortens the whole where one thread does them, or there are many.
  const double tasks = blocks * splits;
  const double whole = real(d.tiles * h.tiles * w.tiles) / (real(t.blocks.d * t.blocks.h * t.blocks.w) * tiles);
  const double full = query.threads == 1 || tasks >= 32 * query.threads ? whole : 1;
  return std::ceil(tasks / query.threads) * full * kMargin * cycles / splits / kClock + 5e-6;
}

bool WinogradTiling::rows_whole(const Problem& problem) const {
  const CellAxis& w = axes[2].cells;
  const std::int64_t cut = axes[2].cells_covered(0, block.w) * w.stride;
  return blocks.w == 1 || (cut % lanes == 0 && w.output_of(w.begin, 0) == 0 && problem.output.w % lanes == 0);
}

std::optional<WinogradTiling> winograd_tiling(const Query& query, std::string& reason) {
  WinogradTiling t;
  std::array<int, 3> taps{};
  reason = prepare_axes(query, t, taps);
  if (!reason.empty()) return std::nullopt;

  const OneVolume one(query);
  double best = std::numeric_limits<double>::infinity();
  std::array<WinogradScheme, 3> chosen;
  std::int64_t part = 0;
  for (const std::int64_t p : kWinogradParts) {
    const double error = expected_error(one.problem, t.ci, p);
    t.part = p;
    for (const WinogradScheme& d : schemes_for(taps[0])) {
      for (const WinogradScheme& h : schemes_for(taps[1])) {
        for (const WinogradScheme& w : schemes_for(taps[2])) {
          if (error * error_growth(d) * error_growth(h) * error_growth(w) > kMostError) continue;
          set_schemes(t, {d, h, w});
          const double seconds = choose_block(t, one.query());
          if (seconds < best) {
            best = seconds;
            chosen = {d, h, w};
            part = p;
          }
        }
      }
    }
  }
  if (best == std::numeric_limits<double>::infinity()) {
    reason = "no tile size keeps the error bound";
    return std::nullopt;
  }
  t.part = part;
  set_schemes(t, chosen);
  choose_block(t, query);
  return t;
}

}  // namespace convt3d
