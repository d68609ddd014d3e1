// How long Winograd's algorithm takes, by estimate.
#include <algorithm>
#include <cmath>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/phases.hpp"
#include "convt3d/conv/summed_runs.hpp"
#include "convt3d/conv/winograd_tiling.hpp"

namespace convt3d {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

/// Residues that are single, or not.
double residues_of(const WinogradAxis& axis, bool single) {
  return static_cast<double>(std::count(axis.single.begin(), axis.single.end(), single));
}

/// The cycles below are measured where nothing else ran; the other algorithms' estimates are so many times what they take.
constexpr double kMargin = 1.16;

/// Seconds that a run takes beside its tasks, by the others' reckoning.
constexpr double kStart = 12e-6;

/// What one run may count on of L3: a virtual machine may report all of a socket's, in parts that others use.
double usable_l3(const Machine& machine) { return real(std::min(machine.l3_bytes, std::int64_t{32} << 20)); }

/// Cycles of two things that go on at once, but not quite.
double overlapped(double a, double b) { return std::max(a, b) + 0.5 * std::min(a, b); }

/// Cycles of one call of the product on so many tiles, vectors of columns and taps, as measured: 97 % of two multiplications
/// a cycle where there are enough to hide the latency of a sum, and some for each square of sums, which are kept in
/// registers; where channels are summed in parts, those are added up in memory.
double product_cycles(const WinogradTiling& t, double tiles, double columns, std::int64_t taps, bool wide) {
  const double most = columns == 1 ? (wide ? 16 : 12) : (wide ? 14 : 6);
  const double squares = std::ceil(tiles / most);
  const double step = std::max(4.0, tiles * columns / squares / 2);
  return squares * (0.97 * step * real(taps * t.ci) + 48 + real(10 * taps)) +
         6 * tiles * columns * real(ceil_div(taps * t.ci, t.part) - 1);
}

/// Of so many bytes, those that a cache has no room for.
double share_beyond(double cache, double bytes) { return std::max(0.0, 1 - cache / bytes); }

/// How many times the mean share of a block's columns the split has that has the most; of more splits than threads each
/// thread gets several.
double longest_split(const WinogradTiling& t, int threads) {
  if (t.splits > threads) return 1;
  const std::int64_t units = t.units(), units_of_chunk = units / t.chunks;
  std::int64_t most = 0;
  for (std::int64_t split = 0; split < t.splits; ++split) {
    std::int64_t columns = 0;
    for (std::int64_t unit = units * split / t.splits; unit < units * (split + 1) / t.splits; ++unit)
      columns += t.vectors_in(unit / units_of_chunk);
    most = std::max(most, columns);
  }
  return real(most * t.splits) / real(t.co_vectors() * units_of_chunk);
}

/// What d takes of a block, on average, where it is summed.
struct SummedWork {
  double planes = 0;       ///< of input
  double pair_cycles = 0;  ///< of the products at a point with two vectors of columns, of all residues
  double one_cycles = 0;   ///< with one
};

SummedWork summed_work(const WinogradTiling& t, bool wide) {
  const WinogradAxis& d = t.axes[0];
  const std::int64_t tiles_h_w = t.block.h * t.block.w;
  thread_local SummedRuns cells;
  SummedWork work;
  const auto add = [&](std::int64_t block, double times) {
    const std::int64_t begin = d.cells.begin + block * t.block.d, end = std::min(begin + t.block.d, d.cells.end);
    const Planes planes = d.planes_read(begin, end - begin);
    work.planes += times * real(std::max<std::int64_t>(0, planes.end - planes.begin));
    for (std::int64_t residue = 0; residue < d.cells.stride; ++residue) {
      for (const std::int64_t columns : {std::int64_t{1}, kWinogradColumns}) {
        double& cycles = columns == 1 ? work.one_cycles : work.pair_cycles;
        for (const SummedRun& run : cells.cut(d, residue, begin, end, tiles_h_w * columns, t.ci)) {
          cycles += times * product_cycles(t, real(run.cells() * tiles_h_w), real(columns), run.taps(), wide);
        }
      }
    }
  };
  // Those at the ends, and one that stands for the others; as if the last one were whole, which is reckoned with later.
  const double share = real(t.block.d) / real(d.cells.cells());
  add(0, share);
  if (t.blocks.d > 1) add(t.blocks.d - 1, share);
  if (t.blocks.d > 2) add(t.blocks.d / 2, share * real(t.blocks.d - 2));
  return work;
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
  const double nw = real(w.scheme.inputs()) + (w.has(true) ? mw : 0);  // elements read of a line along w
  const double groups = real(ceil_div(t.block.w, t.group)), row = real(w.columns(t.group)) * groups;
  const double tile_rows = real(t.block.d * t.block.h);
  const SummedWork summed = d.summed ? summed_work(t, wide) : SummedWork{};
  const double planes = d.summed ? summed.planes : real(t.block.d);
  const auto inputs = [](const WinogradAxis& axis) { return real(axis.scheme.inputs()); };
  // Of an element: points of a Fourier transform, far more of them, are farther apart.
  const auto effort = [](const WinogradAxis& axis) { return axis.scheme.fourier != 0 ? 1.4 : 1.0; };
  BlockWork work;
  for (const WinogradView& view : t.views) {
    const double nd = real(d.points(view.single_d)), nh = real(h.points(view.single_h));
    const double residues_h = residues_of(h, view.single_h), pairs = residues_of(d, view.single_d) * residues_h;
    const double rows_h = planes * nd * real(t.block.h);
    if (!d.summed) work.input_elements += real(t.block.d) * real(t.panel.h) * row * (nd + inputs(d)) * effort(d);
    work.input_elements +=
        rows_h * row * (nh + inputs(h)) * effort(h) + rows_h * real(t.block.w) * nh * (nw + pw) * effort(w);
    work.input_lines += groups * ((d.summed ? 0 : real(t.block.d * t.panel.h)) + rows_h * (1 + nh));
    work.output_calls += pairs * real(w.cells.stride) * tile_rows * groups * md;
    // Of the points that have one of h and w: products, and cycles for them.
    double multiplied = 0, pair_cycles = summed.pair_cycles, one_cycles = summed.one_cycles;
    static_assert(kWinogradColumns == 2);
    for (std::int64_t r = 0; r < d.cells.stride; ++r) {
      if (d.is_single(r) != view.single_d) continue;
      multiplied += real(d.products(r));
      if (d.summed) continue;
      pair_cycles += nd * product_cycles(t, tiles, 2, 1, wide);
      one_cycles += nd * product_cycles(t, tiles, 1, 1, wide);
    }
    for (const bool single : {false, true}) {
      const std::int64_t residues = std::count(w.single.begin(), w.single.end(), single);
      const double n = real(w.points(single)), points = residues_h * nh * n;
      work.multiplied += points * multiplied * real(residues);
      for (std::int64_t chunk = 0; chunk < t.chunks; ++chunk) {
        const std::int64_t columns = t.vectors_in(chunk) * residues;
        work.products += points * real(columns / kWinogradColumns) * pair_cycles;
        work.products += points * real(columns % kWinogradColumns) * one_cycles;
      }
      const double on_d = d.summed ? nh * n : (nd + md) * nh * n * effort(d);
      const double on_h = md * (nh + mh) * n * effort(h), on_w = md * mh * (n + mw) * effort(w);
      work.output_elements += real(residues) * pairs * (on_d + on_h + on_w);
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
  // Rows of odd lengths share lines, and are stored through the caches.
  if (line > 0 && p.output.w % t.lanes != 0) store += 0.5 * output_rows * real(t.span.w * w.cells.stride * t.lanes);
  if (!t.rows_whole(p) && p.output.w % t.lanes == 0) store += 8 * output_rows * real(t.span.w * w.cells.stride);
  store += shared_line_cycles(threads_of_group(query), t.blocks, t.span.d * d.cells.stride, t.span.h * h.cells.stride, t.co);
  const double rest = 1.15 * work.output_elements * columns * tiles + 30 * work.output_calls * columns + store;
  const double blocks = real(t.block_count(p)), units = real(t.units());
  // Threads are woken and waited for twice.
  constexpr double kPhases = 60e-6;
  const double passes = std::ceil(columns * real(w.cells.stride) / kWinogradColumns) * real(d.cells.stride * h.cells.stride);
  const double points = real(t.points_size) * 4;
  if (t.shared) {  // points are written once and read for every product, from behind L2
    const double own = working_set - points;
    const double traffic =
        points * (1.0 / 16 + passes / 40) + share_beyond(0.9 * l2, own) * real(t.sums_size) * 4 * passes / 40;
    const double all_weights = weights * real(p.groups);
    const double times = weights / units + own < 0.7 * l2 ? 1 : blocks;  // that they come from behind L2
    const double cycles = once + rest + traffic;
    const double shares = std::ceil(blocks * units / query.threads) / (blocks * units);
    const double fetched = times * all_weights / (all_weights < 0.6 * l3 ? 20 : 8);
    // What another thread has transformed comes from its cores' caches, a byte a cycle.
    const double from_others = blocks * points * (1 - 1.0 / query.threads);
    const double computing = shares * (blocks * cycles + overlapped(blocks * work.products, fetched));
    return kMargin * (computing + from_others) / kClock + kPhases;
  }
  const double fetched = weights / (weights + working_set < l2 ? 64 : weights < 0.6 * l3 ? 20 : 8);
  // Points beyond the second cache: each line is written on its own, but read in a row. In far more than that they are all
  // over memory.
  const double traffic = points * (share_beyond(0.8 * l2, working_set) * (splits / 4 + passes / 20) +
                                   share_beyond(0.2 * l3, working_set) * (splits / 2 + passes / 2));
  const double cycles =
      once * splits + (overlapped(work.products, fetched) + rest) * longest_split(t, query.threads) + traffic;
  const double tasks = blocks * splits;
  // A task that is cut needs all weights.
  const double cut = 1 - real(d.tiles * h.tiles * w.tiles) / (real(t.blocks.d * t.blocks.h * t.blocks.w) * tiles);
  const double whole = 1 - cut * std::max(0.0, 1 - fetched / cycles);
  return busiest_rounds(tasks, whole, query.threads) * kMargin * cycles / splits / kClock + kStart;
}

double winograd_least_seconds(const WinogradTiling& t, const Query& query) {
  double tile = real(t.ci * t.co_vectors());
  for (const WinogradAxis& axis : t.axes) {
    std::int64_t products = 0;
    for (std::int64_t r = 0; r < axis.cells.stride; ++r) products += axis.products(r);
    tile *= real(products * axis.tiles) * (axis.summed ? inside_share(query.problem, 0) : 1);
  }
  return kMargin * 0.97 / 2 * tile * real(query.problem.n * query.problem.groups) / query.threads / kClock;
}

}  // namespace convt3d
