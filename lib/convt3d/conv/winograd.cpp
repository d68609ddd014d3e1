// Winograd over phases: fewer multiplications for phases of two and more taps on an axis, lanes over channels.
//
// On an axis, the outputs of residue r of the cells c0 ... c0+m-1 are a short correlation of the inputs c0+lowest ... with
// the residue's taps, and all residues read the same inputs (docs/math.md). F(m, taps) replaces its m*taps multiplications
// by n = m+taps-1 (kernels/cook_toom.hpp). Done on each axis that has two taps or more:
//
// 1. Tiles of m_d x m_h x m_w cells; a block of T tiles is a task. For each vector of input channels, the block's input is
//    packed into a panel [row][w][lane], and each tile transformed by Bᵀ on w, h, d into V[point][tile][ci].
// 2. For each residue of d and h and each chunk of output channels (columns: channels x residues of w), a product per point:
//      M[point][tile][column] = Σ_ci V[point][tile][ci] · U[point][ci][column],    U = G w, made when weights are packed.
// 3. Aᵀ on d, h, w takes M to staging rows, interleaved over the residues of w, which are transposed into NCDHW.
//
// A residue with one tap, where others have two (k3 s2), is not transformed: its m "points" are the inputs themselves. An
// axis with one tap throughout (k = s) has the identity, m = 1. With dilation, tiles take every step-th cell.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/cells.hpp"
#include "convt3d/conv/kernels/kernels.hpp"

namespace convt3d {
namespace {

using kernels::WinogradScheme;

/// How one axis is cut into tiles and transformed. Points are numbered: first the scheme's, then, with `has_single`, the
/// inputs at cell + single_tap for the residues of one tap.
struct WinogradAxis {
  CellAxis cells;
  WinogradScheme scheme;
  std::int64_t step = 1;  ///< cells from one output of a tile to the next, and from one tap to the next
  bool has_single = false;
  std::int64_t single_tap = 0;  ///< index of the tap, from the lowest, that single-tap residues have
  std::vector<bool> single;     ///< of each residue
  std::int64_t tiles = 1;

  std::int64_t scheme_points() const { return scheme.points(); }
  std::int64_t points() const { return scheme_points() + (has_single ? scheme.outputs : 0); }
  std::int64_t first_point(std::int64_t residue) const {
    return single[static_cast<std::size_t>(residue)] ? scheme_points() : 0;
  }
  std::int64_t points_of(std::int64_t residue) const {
    return single[static_cast<std::size_t>(residue)] ? scheme.outputs : scheme_points();
  }
  /// First cell of a tile, from the axis's first. Runs of `step` tiles interleave.
  std::int64_t first_cell(std::int64_t tile) const { return tile / step * step * scheme.outputs + tile % step; }
  /// Cells, from the first of `tile`, that `count` tiles span, and inputs that they read.
  std::int64_t cells_spanned(std::int64_t tile, std::int64_t count) const {
    std::int64_t last = 0;
    for (std::int64_t t = tile; t < tile + count; ++t) last = std::max(last, first_cell(t) + (scheme.outputs - 1) * step);
    return last + 1 - tile / step * step * scheme.outputs;
  }
};

/// Why an axis cannot be transformed; else "" and the number of taps of its longest residue, the tap step and single taps.
std::string examine(const CellAxis& cells, WinogradAxis& axis, int& taps) {
  axis.cells = cells;
  axis.single.assign(static_cast<std::size_t>(cells.stride), false);
  axis.step = cells.dilation / std::gcd(cells.dilation, cells.stride);
  taps = 0;
  for (std::int64_t r = 0; r < cells.stride; ++r) {
    int count = 0;
    for (std::int64_t e = cells.lowest; e <= cells.highest; ++e) {
      if (cells.kernel_index(r, e) < 0) continue;
      if ((e - cells.lowest) % axis.step != 0) return "residues whose taps do not line up";
      ++count;
    }
    if (count == 0) return "a residue without taps";
    taps = std::max(taps, count);
  }
  // All residues' taps lie at lowest + k*step; the span tells how many such places there are.
  const auto places = static_cast<int>((cells.highest - cells.lowest) / axis.step + 1);
  if (places != taps) return "residues whose taps do not line up";
  if (taps == 1) return "";
  std::int64_t single_e = 0;
  for (std::int64_t r = 0; r < cells.stride; ++r) {
    int count = 0;
    std::int64_t at = 0;
    for (std::int64_t e = cells.lowest; e <= cells.highest; ++e) {
      if (cells.kernel_index(r, e) < 0) continue;
      at = e;
      ++count;
    }
    if (count != 1) continue;
    if (axis.has_single && at != single_e) return "residues of one tap that do not line up";
    axis.has_single = true;
    axis.single[static_cast<std::size_t>(r)] = true;
    single_e = at;
  }
  axis.single_tap = axis.has_single ? (single_e - cells.lowest) / axis.step : 0;
  return "";
}

struct Tiling {
  std::array<WinogradAxis, 3> axes;
  std::int64_t lanes = 1;
  std::int64_t ci = 1, co = 1;  ///< per group
  std::int64_t ci_vectors = 1;
  Extent3 block;  ///< tiles of a task
  Extent3 blocks;
  std::int64_t chunk_vectors = 1;  ///< vectors of output channels that are stored together
  std::int64_t chunks = 1;
  std::int64_t splits = 1;  ///< tasks that share a block, each with its own units (rd, rh, chunk)
  Extent3 span;             ///< cells of a block
  Extent3 panel;            ///< inputs of a block
  std::int64_t panel_size = 0, points_size = 0, products_size = 0, staging_size = 0, lines_size = 0;  ///< floats

  std::int64_t tiles() const { return block.d * block.h * block.w; }
  std::int64_t ld() const { return (ci_vectors + (ci_vectors % 4 == 0 ? 1 : 0)) * lanes; }  // off powers of two
  std::int64_t all_points() const { return axes[0].points() * axes[1].points() * axes[2].points(); }
  std::int64_t units() const { return axes[0].cells.stride * axes[1].cells.stride * chunks; }
  std::int64_t vectors_in(std::int64_t chunk) const {
    return std::min(chunk_vectors, ceil_div(co, lanes) - chunk * chunk_vectors);
  }
  std::int64_t scratch_floats() const { return panel_size + points_size + products_size + staging_size + lines_size; }
};

/// Residues along w that share a view: those of one tap, or the others.
std::vector<std::int64_t> residues_w(const Tiling& t, bool single) {
  std::vector<std::int64_t> residues;
  for (std::int64_t r = 0; r < t.axes[2].cells.stride; ++r) {
    if (t.axes[2].single[static_cast<std::size_t>(r)] == single) residues.push_back(r);
  }
  return residues;
}

constexpr std::int64_t kMostColumns = 2;  // vectors per product: 14 x 2 accumulators fill the registers best

void set_block(Tiling& t, const Extent3& block, const Query& query) {
  t.block = block;
  for (int a = 0; a < 3; ++a) {
    const WinogradAxis& axis = t.axes[static_cast<std::size_t>(a)];
    t.blocks[a] = ceil_div(axis.tiles, block[a]);
    t.span[a] = 0;
    for (std::int64_t b = 0; b < std::min<std::int64_t>(t.blocks[a], axis.step + 1); ++b) {
      t.span[a] = std::max(t.span[a], axis.cells_spanned(b * block[a], block[a]));
    }
    t.panel[a] = t.span[a] + axis.cells.shifts() - 1;
  }
  t.panel_size = t.panel.d * t.panel.h * t.panel.w * t.lanes;
  t.points_size = t.all_points() * t.tiles() * t.ld();
  t.products_size = t.all_points() * t.tiles() * kMostColumns * t.lanes;
  t.staging_size = t.chunk_vectors * t.span.d * t.span.h * t.span.w * t.axes[2].cells.stride * t.lanes;
  t.lines_size = 2 * 12 * 12 * 12 * t.lanes;
  const std::int64_t tasks =
      std::max<std::int64_t>(1, query.problem.n) * query.problem.groups * t.blocks.d * t.blocks.h * t.blocks.w;
  const std::int64_t wanted = query.threads == 1 ? 1 : 3 * query.threads;
  t.splits = std::clamp<std::int64_t>(wanted / tasks, 1, t.units());
}

/// Estimated seconds of one run: multiplications at the rate of the product kernel, transforms by their loads and stores,
/// weights streamed from behind L2 once per task, and the slowest thread's share of tasks.
double estimate(const Tiling& t, const Query& query) {
  const Problem& p = query.problem;
  const double lanes = static_cast<double>(t.lanes);
  const double tiles = static_cast<double>(t.tiles());
  double multiplied = 0;  // (points, columns) pairs of all units
  double output_lines = 0;
  for (std::int64_t rd = 0; rd < t.axes[0].cells.stride; ++rd) {
    for (std::int64_t rh = 0; rh < t.axes[1].cells.stride; ++rh) {
      for (std::int64_t rw = 0; rw < t.axes[2].cells.stride; ++rw) {
        const auto nd = static_cast<double>(t.axes[0].points_of(rd));
        const auto nh = static_cast<double>(t.axes[1].points_of(rh));
        const auto nw = static_cast<double>(t.axes[2].points_of(rw));
        multiplied += nd * nh * nw;
        const auto md = static_cast<double>(t.axes[0].scheme.outputs);
        const auto mh = static_cast<double>(t.axes[1].scheme.outputs);
        output_lines +=
            (nd + md) * nh * nw + md * (nh + mh) * nw + md * mh * (nw + static_cast<double>(t.axes[2].scheme.outputs));
      }
    }
  }
  const double columns = static_cast<double>(ceil_div(t.co, t.lanes));
  const double products = multiplied * columns * tiles * static_cast<double>(t.ci) / 2 / 0.85;  // cycles, two FMA a cycle
  const double pd = static_cast<double>(t.axes[0].points());
  const double ph = static_cast<double>(t.axes[1].points());
  const double pw = static_cast<double>(t.axes[2].points());
  const double nd = static_cast<double>(t.axes[0].scheme_points());
  const double nh = static_cast<double>(t.axes[1].scheme_points());
  const double nw = static_cast<double>(t.axes[2].scheme_points());
  const double input_lines = nd * nh * (nw + pw) + nd * pw * (nh + ph) + ph * pw * (nd + pd);
  const double splits = static_cast<double>(t.splits);
  const double ci_vectors = static_cast<double>(t.ci_vectors);
  double cycles = products + 1.2 * input_lines * ci_vectors * tiles * splits + 1.0 * output_lines * columns * tiles;
  cycles += 3.0 * static_cast<double>(t.panel.d * t.panel.h * t.panel.w) * ci_vectors * splits;  // packing
  const double weights = multiplied * columns * lanes * static_cast<double>(t.ci) * 4;
  const double cells =
      static_cast<double>(t.axes[0].scheme.outputs * t.axes[1].scheme.outputs * t.axes[2].scheme.outputs) * tiles;
  const double stored = cells *
                        static_cast<double>(t.axes[0].cells.stride * t.axes[1].cells.stride * t.axes[2].cells.stride) *
                        columns * lanes * 4;
  const bool in_l2 = weights + 4.0 * static_cast<double>(t.scratch_floats()) < static_cast<double>(query.machine.l2_bytes);
  cycles += stored / 8 + weights / (in_l2 ? 48 : 12) * 0.5;
  const auto over =
      static_cast<double>((t.points_size + t.products_size) * 4) / (0.75 * static_cast<double>(query.machine.l2_bytes));
  if (over > 1) cycles *= over;
  const double tasks =
      static_cast<double>(std::max<std::int64_t>(1, p.n) * p.groups * t.blocks.d * t.blocks.h * t.blocks.w) * splits;
  const double rounds = std::ceil(tasks / query.threads);
  return rounds * cycles / splits / 2.5e9 + 5e-6;
}

/// Schemes of one axis worth trying, for residues of up to `taps` taps.
std::vector<WinogradScheme> schemes_for(int taps) {
  std::vector<WinogradScheme> schemes;
  for (const WinogradScheme& scheme : kernels::kWinogradSchemes) {
    if (scheme.taps == taps) schemes.push_back(scheme);
  }
  return schemes;
}

/// Growth of the rounding error, in units of the direct method's, by points of an axis (measured: docs/math.md). The product
/// over the axes must keep below kMostError for the bound on the result to hold.
double error_growth(const WinogradScheme& scheme) {
  constexpr std::array<double, 7> kByPoints = {1, 1, 1, 1, 1.2, 2.5, 4};
  return kByPoints[static_cast<std::size_t>(scheme.points())];
}
constexpr double kMostError = 8;

void set_schemes(Tiling& t, const std::array<WinogradScheme, 3>& schemes) {
  for (std::size_t a = 0; a < 3; ++a) {
    WinogradAxis& axis = t.axes[a];
    axis.scheme = schemes[a];
    axis.tiles = ceil_div(axis.cells.cells(), axis.scheme.outputs * axis.step) * axis.step;
  }
}

/// Sets the block that is fastest by estimate, and returns its seconds.
double choose_block(Tiling& t, const Query& query) {
  constexpr std::int64_t kMostTiles = 256;
  double best = std::numeric_limits<double>::infinity();
  Extent3 chosen;
  // Whole runs of interleaved tiles, so that no two blocks write to one cell.
  const auto whole_runs = [&](std::size_t axis, std::int64_t tiles) {
    return round_up(std::min(tiles, t.axes[axis].tiles), t.axes[axis].step);
  };
  for (std::int64_t cut = 1; cut <= t.axes[2].tiles; cut *= 2) {
    for (std::int64_t bh = 1; bh < 2 * t.axes[1].tiles; bh *= 2) {
      for (std::int64_t bd = 1; bd < 2 * t.axes[0].tiles; bd *= 2) {
        const Extent3 block = {whole_runs(0, bd), whole_runs(1, bh), whole_runs(2, ceil_div(t.axes[2].tiles, cut))};
        const bool smallest = bd == 1 && bh == 1 && cut * 2 > t.axes[2].tiles;
        if (block.d * block.h * block.w > kMostTiles && !smallest) continue;
        set_block(t, block, query);
        const double seconds = estimate(t, query);
        if (seconds < best) {
          best = seconds;
          chosen = block;
        }
      }
    }
  }
  set_block(t, chosen, query);
  return best;
}

/// The fastest tiling by estimate, or none: then `reason` says why. The schemes decide how results are rounded, so they are
/// chosen for one volume, one thread and ordinary caches; the block, which changes no bit, for the query as it is.
std::optional<Tiling> make_tiling(const Query& query, std::string& reason) {
  const Problem& p = query.problem;
  Tiling t;
  t.lanes = kernels::lanes<float>(query.machine.isa);
  t.ci = p.ci / p.groups;
  t.co = p.co / p.groups;
  reason = p.dtype != DType::kFloat32 ? "float64"
           : t.lanes < 4              ? "no vectors"
           : t.ci < 4 || t.co < 4     ? "fewer than 4 channels per group"
                                      : "";
  std::array<int, 3> taps{};
  for (int a = 0; a < 3 && reason.empty(); ++a) {
    const auto i = static_cast<std::size_t>(a);
    reason = examine(make_cell_axis(p, a), t.axes[i], taps[i]);
    if (taps[i] > 5) reason = "phases of more than 5 taps";
  }
  if (reason.empty() && std::max({taps[0], taps[1], taps[2]}) < 2) reason = "one tap per phase: nothing to save";
  if (!reason.empty()) return std::nullopt;

  t.ci_vectors = ceil_div(t.ci, t.lanes);
  const std::size_t most_residues = std::max(residues_w(t, false).size(), residues_w(t, true).size());
  t.chunk_vectors = std::min<std::int64_t>(ceil_div(t.co, t.lanes), most_residues == 1 ? 2 : 1);
  t.chunks = ceil_div(ceil_div(t.co, t.lanes), t.chunk_vectors);

  Problem one_volume = p;
  one_volume.n = 1;
  Machine ordinary;
  ordinary.isa = query.machine.isa;
  const Query canonical{.problem = one_volume, .machine = ordinary, .threads = 1, .separable = false};
  double best = std::numeric_limits<double>::infinity();
  std::array<WinogradScheme, 3> chosen;
  for (const WinogradScheme& d : schemes_for(taps[0])) {
    for (const WinogradScheme& h : schemes_for(taps[1])) {
      for (const WinogradScheme& w : schemes_for(taps[2])) {
        if (error_growth(d) * error_growth(h) * error_growth(w) > kMostError) continue;
        set_schemes(t, {d, h, w});
        const double seconds = choose_block(t, canonical);
        if (seconds < best) {
          best = seconds;
          chosen = {d, h, w};
        }
      }
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

class Winograd final : public Prepared {
 public:
  Winograd(const Plan& plan, Tiling tiling, const float* weight, const float* bias)
      : problem_(plan.problem),
        isa_(plan.machine.isa),
        threads_(plan.threads),
        tiling_(std::move(tiling)),
        pool_(static_cast<std::size_t>(tiling_.scratch_floats()) * sizeof(float)) {
    for (std::size_t a = 0; a < 3; ++a) {
      const WinogradAxis& axis = tiling_.axes[a];
      input_[a] = kernels::winograd_input(isa_, axis.scheme);
      output_[a] = kernels::winograd_output(isa_, axis.scheme);
      copy_[a] = kernels::copy_lines(isa_, axis.scheme.outputs);
    }
    pack_weights(weight, bias);
  }

  static std::int64_t packed_floats(const Problem& p, const Tiling& t) {
    std::int64_t per_channel = 0;
    for (std::int64_t rd = 0; rd < t.axes[0].cells.stride; ++rd) {
      for (std::int64_t rh = 0; rh < t.axes[1].cells.stride; ++rh) {
        for (std::int64_t rw = 0; rw < t.axes[2].cells.stride; ++rw) {
          per_channel += t.axes[0].points_of(rd) * t.axes[1].points_of(rh) * t.axes[2].points_of(rw);
        }
      }
    }
    return p.groups * ceil_div(t.co, t.lanes) * t.lanes * (per_channel * t.ci + 1);
  }

  void run(const RunArgs& args) const override {
    const Tiling& t = tiling_;
    const std::int64_t tasks = problem_.n * problem_.groups * t.blocks.d * t.blocks.h * t.blocks.w * t.splits;
    run_tasks(threads_, tasks, pool_, args.observer,
              [&](std::int64_t task, void* scratch) { run_task(args, task, static_cast<float*>(scratch)); });
  }

 private:
  struct Scratch {
    float* panel;     ///< [d][h][w][lane]
    float* points;    ///< V
    float* products;  ///< M
    float* staging;   ///< [vector of channels][cell d][cell h][output w][lane]
    float* lines;     ///< two intermediates of a tile's transform
  };

  struct Block {
    std::int64_t n, group;
    Extent3 first_tile, tiles;
    Extent3 first_cell;  ///< absolute
  };

  /// Vectors of columns of one product: residues rw of consecutive vectors of output channels, all of one view.
  struct Columns {
    bool single = false;
    std::vector<std::pair<std::int64_t, std::int64_t>> entries;  ///< (vector in the chunk, rw)
  };

  void run_task(const RunArgs& args, std::int64_t task, float* memory) const {
    const Tiling& t = tiling_;
    Scratch scratch{};
    for (auto [pointer, size] : {std::pair{&scratch.panel, t.panel_size}, std::pair{&scratch.points, t.points_size},
                                 std::pair{&scratch.products, t.products_size}, std::pair{&scratch.staging, t.staging_size},
                                 std::pair{&scratch.lines, t.lines_size}}) {
      *pointer = memory;
      memory += size;
    }
    const auto next = [&task](std::int64_t count) {
      const std::int64_t digit = task % count;
      task /= count;
      return digit;
    };
    Block block{};
    const std::int64_t split = next(t.splits);
    for (int a = 2; a >= 0; --a) {
      const WinogradAxis& axis = t.axes[static_cast<std::size_t>(a)];
      block.first_tile[a] = next(t.blocks[a]) * t.block[a];
      block.tiles[a] = std::min(t.block[a], axis.tiles - block.first_tile[a]);
      block.first_cell[a] = axis.cells.begin + block.first_tile[a] / axis.step * axis.step * axis.scheme.outputs;
      if (axis.cells.output_of(block.first_cell[a], 0) >= args.output_box.end[a] ||
          axis.cells.output_of(block.first_cell[a] + t.span[a], 0) <= args.output_box.begin[a]) {
        return;
      }
    }
    block.group = next(problem_.groups);
    block.n = task;

    for (std::int64_t v = 0; v < t.ci_vectors; ++v) {
      pack_panel(args, block, v, scratch.panel);
      transform_input(block, v, scratch);
    }
    for (std::int64_t unit = t.units() * split / t.splits; unit < t.units() * (split + 1) / t.splits; ++unit) {
      const std::int64_t chunk = unit / (t.axes[0].cells.stride * t.axes[1].cells.stride);
      const std::int64_t rh = unit % t.axes[1].cells.stride;
      const std::int64_t rd = unit / t.axes[1].cells.stride % t.axes[0].cells.stride;
      run_unit(block, rd, rh, chunk, scratch);
      store(args, block, rd, rh, chunk, scratch.staging);
    }
  }

  void pack_panel(const RunArgs& args, const Block& block, std::int64_t v, float* panel) const {
    const Tiling& t = tiling_;
    const Box3& box = args.input_box;
    const Extent3 have = box.extent();
    const std::int64_t channel_stride = have.d * have.h * have.w;
    const std::int64_t channels = std::min(t.lanes, t.ci - v * t.lanes);
    const float* source =
        static_cast<const float*>(args.input) + (block.n * problem_.ci + block.group * t.ci + v * t.lanes) * channel_stride;
    const std::int64_t iw = block.first_cell.w + t.axes[2].cells.lowest;
    const std::int64_t first = std::clamp(box.begin.w, iw, iw + t.panel.w);
    const std::int64_t last = std::clamp(box.end.w, first, iw + t.panel.w);
    float* row = panel;
    for (std::int64_t r = 0; r < t.panel.d * t.panel.h; ++r, row += t.panel.w * t.lanes) {
      const std::int64_t id = block.first_cell.d + t.axes[0].cells.lowest + r / t.panel.h;
      const std::int64_t ih = block.first_cell.h + t.axes[1].cells.lowest + r % t.panel.h;
      if (id < box.begin.d || id >= box.end.d || ih < box.begin.h || ih >= box.end.h || first >= last) {
        std::fill(row, row + t.panel.w * t.lanes, 0.0F);
        continue;
      }
      std::fill(row, row + (first - iw) * t.lanes, 0.0F);
      pack_({.source = source + ((id - box.begin.d) * have.h + ih - box.begin.h) * have.w + first - box.begin.w,
             .channel_stride = channel_stride,
             .channels = channels,
             .padded_channels = t.lanes,
             .count = last - first,
             .target = row + (first - iw) * t.lanes,
             .ld = t.lanes});
      std::fill(row + (last - iw) * t.lanes, row + t.panel.w * t.lanes, 0.0F);
    }
  }

  /// Applies one axis's Bᵀ, and copies the inputs of single-tap residues behind the points.
  void input_lines(std::size_t axis, kernels::LinesArgs lines) const {
    const WinogradAxis& a = tiling_.axes[axis];
    input_[axis](lines);
    if (!a.has_single) return;
    lines.source += a.single_tap * lines.source_step;
    lines.target += a.scheme_points() * lines.target_step;
    copy_[axis](lines);
  }

  void transform_input(const Block& block, std::int64_t v, const Scratch& scratch) const {
    const Tiling& t = tiling_;
    const auto& [d, h, w] = t.axes;
    const std::int64_t lanes = t.lanes;
    const std::int64_t nd = d.scheme_points(), nh = h.scheme_points();
    const std::int64_t ph = h.points(), pw = w.points();
    const std::int64_t row = t.panel.w * lanes;
    const std::int64_t point_stride = block.tiles.d * block.tiles.h * block.tiles.w * t.ld();
    float* after_w = scratch.lines;
    float* after_h = scratch.lines + t.lines_size / 2;
    std::int64_t tile = 0;
    for (std::int64_t td = 0; td < block.tiles.d; ++td) {
      for (std::int64_t th = 0; th < block.tiles.h; ++th) {
        for (std::int64_t tw = 0; tw < block.tiles.w; ++tw, ++tile) {
          const std::int64_t cd = d.cells.begin + d.first_cell(block.first_tile.d + td) - block.first_cell.d;
          const std::int64_t ch = h.cells.begin + h.first_cell(block.first_tile.h + th) - block.first_cell.h;
          const std::int64_t cw = w.cells.begin + w.first_cell(block.first_tile.w + tw) - block.first_cell.w;
          const float* patch = scratch.panel + (cd * t.panel.h + ch) * row + cw * lanes;
          input_lines(2, {.source = patch,
                          .source_step = w.step * lanes,
                          .source_outer = d.step * t.panel.h * row,
                          .source_inner = h.step * row,
                          .target = after_w,
                          .target_step = lanes,
                          .target_outer = nh * pw * lanes,
                          .target_inner = pw * lanes,
                          .outer = nd,
                          .inner = nh});
          input_lines(1, {.source = after_w,
                          .source_step = pw * lanes,
                          .source_outer = nh * pw * lanes,
                          .source_inner = lanes,
                          .target = after_h,
                          .target_step = pw * lanes,
                          .target_outer = ph * pw * lanes,
                          .target_inner = lanes,
                          .outer = nd,
                          .inner = pw});
          input_lines(0, {.source = after_h,
                          .source_step = ph * pw * lanes,
                          .source_outer = 0,
                          .source_inner = lanes,
                          .target = scratch.points + tile * t.ld() + v * lanes,
                          .target_step = ph * pw * point_stride,
                          .target_outer = 0,
                          .target_inner = point_stride,
                          .outer = 1,
                          .inner = ph * pw});
        }
      }
    }
  }

  /// Columns of a chunk in the order in which they are multiplied and packed.
  std::vector<Columns> columns_of(std::int64_t chunk) const {
    std::vector<Columns> all;
    for (const bool single : {false, true}) {
      Columns columns{.single = single, .entries = {}};
      for (std::int64_t j = 0; j < tiling_.vectors_in(chunk); ++j) {
        for (const std::int64_t rw : residues_w(tiling_, single)) {
          columns.entries.emplace_back(j, rw);
          if (static_cast<std::int64_t>(columns.entries.size()) == kMostColumns) {
            all.push_back(columns);
            columns.entries.clear();
          }
        }
      }
      if (!columns.entries.empty()) all.push_back(columns);
    }
    return all;
  }

  void run_unit(const Block& block, std::int64_t rd, std::int64_t rh, std::int64_t chunk, const Scratch& scratch) const {
    const Tiling& t = tiling_;
    const auto& [d, h, w] = t.axes;
    const std::int64_t tiles = block.tiles.d * block.tiles.h * block.tiles.w;
    const float* u = weights_at(block.group, chunk, rd, rh);
    for (const Columns& columns : columns_[static_cast<std::size_t>(chunk)]) {
      const auto nr = static_cast<std::int64_t>(columns.entries.size());
      const std::int64_t rw = columns.entries.front().second;
      const std::int64_t nd = d.points_of(rd), nh = h.points_of(rh), nw = w.points_of(rw);
      constexpr kernels::ProductTap kOnlyTap;
      kernels::ProductArgs<float> args{.a = nullptr,
                                       .lda = t.ld(),
                                       .positions = tiles,
                                       .taps = &kOnlyTap,
                                       .tap_count = 1,
                                       .k = t.ci,
                                       .b = u,
                                       .nr = static_cast<int>(nr),
                                       .init = nullptr,
                                       .c = {},
                                       .ldc = nr * t.lanes};
      float* m = scratch.products;
      for (std::int64_t pd = d.first_point(rd); pd < d.first_point(rd) + nd; ++pd) {
        for (std::int64_t ph = h.first_point(rh); ph < h.first_point(rh) + nh; ++ph) {
          for (std::int64_t pw = w.first_point(rw); pw < w.first_point(rw) + nw; ++pw) {
            args.a = scratch.points + ((pd * h.points() + ph) * w.points() + pw) * tiles * t.ld();
            for (std::int64_t j = 0; j < nr; ++j) args.c[j] = m + j * t.lanes;
            product_(args);
            args.b += t.ci * nr * t.lanes;
            m += tiles * nr * t.lanes;
          }
        }
      }
      u = args.b;
      for (std::int64_t j = 0; j < nr; ++j) {
        const auto [vector, residue] = columns.entries[static_cast<std::size_t>(j)];
        transform_output(block, rd, rh, residue, chunk * t.chunk_vectors + vector, vector, nr, j, scratch);
      }
    }
  }

  kernels::LinesFn output_fn(std::size_t axis, std::int64_t residue) const {
    return tiling_.axes[axis].single[static_cast<std::size_t>(residue)] ? copy_[axis] : output_[axis];
  }

  /// Aᵀ on d, h, w for one column of every tile, into the staging rows.
  void transform_output(const Block& block, std::int64_t rd, std::int64_t rh, std::int64_t rw, std::int64_t co_vector,
                        std::int64_t staging_vector, std::int64_t nr, std::int64_t column, const Scratch& scratch) const {
    const Tiling& t = tiling_;
    const auto& [d, h, w] = t.axes;
    const std::int64_t lanes = t.lanes;
    const std::int64_t nh = h.points_of(rh), nw = w.points_of(rw);
    const std::int64_t md = d.scheme.outputs, mh = h.scheme.outputs;
    const std::int64_t tiles = block.tiles.d * block.tiles.h * block.tiles.w;
    const std::int64_t point_stride = tiles * nr * lanes;
    const std::int64_t row = t.span.w * w.cells.stride * lanes;
    const kernels::LinesFn on_d = output_fn(0, rd), on_h = output_fn(1, rh), on_w = output_fn(2, rw);
    float* after_d = scratch.lines;
    float* after_h = scratch.lines + t.lines_size / 2;
    float* staging = scratch.staging + staging_vector * t.span.d * t.span.h * row + rw * lanes;
    std::int64_t tile = 0;
    for (std::int64_t td = 0; td < block.tiles.d; ++td) {
      for (std::int64_t th = 0; th < block.tiles.h; ++th) {
        for (std::int64_t tw = 0; tw < block.tiles.w; ++tw, ++tile) {
          on_d({.source = scratch.products + (tile * nr + column) * lanes,
                .source_step = nh * nw * point_stride,
                .source_outer = 0,
                .source_inner = point_stride,
                .target = after_d,
                .target_step = nh * nw * lanes,
                .target_outer = 0,
                .target_inner = lanes,
                .outer = 1,
                .inner = nh * nw});
          on_h({.source = after_d,
                .source_step = nw * lanes,
                .source_outer = nh * nw * lanes,
                .source_inner = lanes,
                .target = after_h,
                .target_step = nw * lanes,
                .target_outer = mh * nw * lanes,
                .target_inner = lanes,
                .outer = md,
                .inner = nw});
          const std::int64_t cd = d.cells.begin + d.first_cell(block.first_tile.d + td) - block.first_cell.d;
          const std::int64_t ch = h.cells.begin + h.first_cell(block.first_tile.h + th) - block.first_cell.h;
          const std::int64_t cw = w.cells.begin + w.first_cell(block.first_tile.w + tw) - block.first_cell.w;
          on_w({.source = after_h,
                .source_step = lanes,
                .source_outer = mh * nw * lanes,
                .source_inner = nw * lanes,
                .target = staging + (cd * t.span.h + ch) * row + cw * w.cells.stride * lanes,
                .target_step = w.step * w.cells.stride * lanes,
                .target_outer = d.step * t.span.h * row,
                .target_inner = h.step * row,
                .outer = md,
                .inner = mh,
                .init = bias_ + (block.group * ceil_div(t.co, lanes) + co_vector) * lanes});
        }
      }
    }
  }

  void store(const RunArgs& args, const Block& block, std::int64_t rd, std::int64_t rh, std::int64_t chunk,
             const float* staging) const {
    const Tiling& t = tiling_;
    const auto& [d, h, w] = t.axes;
    const Box3& box = args.output_box;
    const Extent3 have = box.extent();
    const std::int64_t channel_stride = have.d * have.h * have.w;
    const std::int64_t row = t.span.w * w.cells.stride * t.lanes;
    const std::int64_t row_begin = w.cells.output_of(block.first_cell.w, 0);
    const Extent3 cells = cells_covered(block);
    const std::int64_t first = std::max(row_begin, box.begin.w);
    const std::int64_t last = std::min(row_begin + cells.w * w.cells.stride, box.end.w);
    if (first >= last) return;
    for (std::int64_t j = 0; j < t.vectors_in(chunk); ++j) {
      const std::int64_t co = (chunk * t.chunk_vectors + j) * t.lanes;
      float* target = static_cast<float*>(args.output) + (block.n * problem_.co + block.group * t.co + co) * channel_stride;
      for (std::int64_t cd = 0; cd < cells.d; ++cd) {
        const std::int64_t od = d.cells.output_of(block.first_cell.d + cd, rd);
        if (od < box.begin.d || od >= box.end.d) continue;
        for (std::int64_t ch = 0; ch < cells.h; ++ch) {
          const std::int64_t oh = h.cells.output_of(block.first_cell.h + ch, rh);
          if (oh < box.begin.h || oh >= box.end.h) continue;
          unpack_({.staging = staging + ((j * t.span.d + cd) * t.span.h + ch) * row + (first - row_begin) * t.lanes,
                   .channels = std::min(t.lanes, t.co - co),
                   .count = last - first,
                   .target = target + ((od - box.begin.d) * have.h + oh - box.begin.h) * have.w + first - box.begin.w,
                   .channel_stride = channel_stride,
                   .stream = args.stream});
        }
      }
    }
  }

  /// Cells, from the block's first, that its tiles make whole.
  Extent3 cells_covered(const Block& block) const {
    Extent3 cells;
    for (int a = 0; a < 3; ++a)
      cells[a] = tiling_.axes[static_cast<std::size_t>(a)].cells_spanned(block.first_tile[a], block.tiles[a]);
    return cells;
  }

  const float* weights_at(std::int64_t group, std::int64_t chunk, std::int64_t rd, std::int64_t rh) const {
    const Tiling& t = tiling_;
    const std::int64_t at = ((group * t.chunks + chunk) * t.axes[0].cells.stride + rd) * t.axes[1].cells.stride + rh;
    return static_cast<const float*>(packed_.data()) + offsets_[static_cast<std::size_t>(at)];
  }

  void pack_weights(const float* weight, const float* bias) {
    const Tiling& t = tiling_;
    for (std::int64_t chunk = 0; chunk < t.chunks; ++chunk) columns_.push_back(columns_of(chunk));
    packed_ = Buffer(static_cast<std::size_t>(packed_floats(problem_, t)) * sizeof(float));
    auto* const packed = static_cast<float*>(packed_.data());
    std::int64_t offset = 0;
    struct Piece {
      std::int64_t group, chunk, rd, rh, offset;
    };
    std::vector<Piece> pieces;
    for (std::int64_t group = 0; group < problem_.groups; ++group) {
      for (std::int64_t chunk = 0; chunk < t.chunks; ++chunk) {
        for (std::int64_t rd = 0; rd < t.axes[0].cells.stride; ++rd) {
          for (std::int64_t rh = 0; rh < t.axes[1].cells.stride; ++rh) {
            offsets_.push_back(offset);
            pieces.push_back({group, chunk, rd, rh, offset});
            for (const Columns& columns : columns_[static_cast<std::size_t>(chunk)]) {
              offset += t.axes[0].points_of(rd) * t.axes[1].points_of(rh) *
                        t.axes[2].points_of(columns.entries.front().second) * t.ci *
                        static_cast<std::int64_t>(columns.entries.size()) * t.lanes;
            }
          }
        }
      }
    }
    parallel_for(threads_, static_cast<std::int64_t>(pieces.size()), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Piece& piece = pieces[static_cast<std::size_t>(i)];
        float* target = packed + piece.offset;
        for (const Columns& columns : columns_[static_cast<std::size_t>(piece.chunk)]) {
          target = pack_columns(weight, piece.group, piece.chunk, piece.rd, piece.rh, columns, target);
        }
      }
    });
    bias_ = packed + offset;
    const std::int64_t width = ceil_div(t.co, t.lanes) * t.lanes;
    for (std::int64_t i = 0; i < problem_.groups * width; ++i) {
      const bool real = bias != nullptr && i % width < t.co;
      packed[offset + i] = real ? bias[i / width * t.co + i % width] : 0.0F;
    }
  }

  /// U of some columns, [point][ci][column][lane], written at `target`; returns its end.
  float* pack_columns(const float* weight, std::int64_t group, std::int64_t chunk, std::int64_t rd, std::int64_t rh,
                      const Columns& columns, float* target) const {
    const Tiling& t = tiling_;
    const auto nr = static_cast<std::int64_t>(columns.entries.size());
    const std::int64_t points =
        t.axes[0].points_of(rd) * t.axes[1].points_of(rh) * t.axes[2].points_of(columns.entries.front().second);
    std::vector<double> u(static_cast<std::size_t>(points));
    for (std::int64_t ci = 0; ci < t.ci; ++ci) {
      for (std::int64_t j = 0; j < nr; ++j) {
        const auto [vector, rw] = columns.entries[static_cast<std::size_t>(j)];
        for (std::int64_t lane = 0; lane < t.lanes; ++lane) {
          const std::int64_t co = (chunk * t.chunk_vectors + vector) * t.lanes + lane;
          if (co < t.co) transform_weights(weight + ((group * t.ci + ci) * t.co + co) * kernel_size(), {rd, rh, rw}, u);
          for (std::int64_t point = 0; point < points; ++point) {
            target[((point * t.ci + ci) * nr + j) * t.lanes + lane] =
                co < t.co ? static_cast<float>(u[static_cast<std::size_t>(point)]) : 0.0F;
          }
        }
      }
    }
    return target + points * t.ci * nr * t.lanes;
  }

  std::int64_t kernel_size() const { return problem_.kernel.d * problem_.kernel.h * problem_.kernel.w; }

  /// The points of one kernel's taps for residues (rd, rh, rw): G on each axis where the residue is transformed.
  void transform_weights(const float* kernel, const std::array<std::int64_t, 3>& residues, std::vector<double>& u) const {
    std::array<std::int64_t, 3> taps{};
    std::array<std::int64_t, 3> points{};
    for (std::size_t a = 0; a < 3; ++a) {
      const bool single = tiling_.axes[a].single[static_cast<std::size_t>(residues[a])];
      taps[a] = single ? 1 : tiling_.axes[a].scheme.taps;
      points[a] = tiling_.axes[a].points_of(residues[a]);
    }
    std::array<double, 6 * 6 * 6> from{};
    std::array<double, 6 * 6 * 6> to{};
    for (std::int64_t kd = 0; kd < taps[0]; ++kd) {
      for (std::int64_t kh = 0; kh < taps[1]; ++kh) {
        for (std::int64_t kw = 0; kw < taps[2]; ++kw) {
          const std::int64_t td = tap_index(0, residues[0], kd), th = tap_index(1, residues[1], kh),
                             tw = tap_index(2, residues[2], kw);
          const bool real = td >= 0 && th >= 0 && tw >= 0;
          from[static_cast<std::size_t>((kd * taps[1] + kh) * taps[2] + kw)] =
              real ? static_cast<double>(kernel[(td * problem_.kernel.h + th) * problem_.kernel.w + tw]) : 0;
        }
      }
    }
    // Axis by axis, w first: each turns its taps into points, strides following.
    const std::int64_t lines_w = taps[0] * taps[1];
    for (std::int64_t i = 0; i < lines_w; ++i)
      weights_line(2, residues[2], &from[static_cast<std::size_t>(i * taps[2])], 1,
                   &to[static_cast<std::size_t>(i * points[2])], 1);
    for (std::int64_t i = 0; i < taps[0]; ++i) {
      for (std::int64_t k = 0; k < points[2]; ++k) {
        weights_line(1, residues[1], &to[static_cast<std::size_t>(i * taps[1] * points[2] + k)], points[2],
                     &from[static_cast<std::size_t>(i * points[1] * points[2] + k)], points[2]);
      }
    }
    for (std::int64_t k = 0; k < points[1] * points[2]; ++k)
      weights_line(0, residues[0], &from[static_cast<std::size_t>(k)], points[1] * points[2],
                   &u[static_cast<std::size_t>(k)], points[1] * points[2]);
  }

  void weights_line(std::size_t axis, std::int64_t residue, const double* taps, std::int64_t tap_stride, double* points,
                    std::int64_t point_stride) const {
    const WinogradAxis& a = tiling_.axes[axis];
    if (a.single[static_cast<std::size_t>(residue)]) {
      for (int i = 0; i < a.scheme.outputs; ++i) points[i * point_stride] = taps[0];
    } else {
      kernels::winograd_weights(a.scheme, taps, tap_stride, points, point_stride);
    }
  }

  /// Kernel index of a residue's k-th tap, or -1: tap k reads cell + lowest + k*step; a single tap is the only one.
  std::int64_t tap_index(std::size_t axis, std::int64_t residue, std::int64_t k) const {
    const WinogradAxis& a = tiling_.axes[axis];
    const bool single = a.single[static_cast<std::size_t>(residue)];
    return a.cells.kernel_index(residue, a.cells.lowest + (single ? a.single_tap : k) * a.step);
  }

  Problem problem_;
  Isa isa_;
  int threads_;
  Tiling tiling_;
  kernels::ProductFn<float> product_ = kernels::product<float>(isa_);
  kernels::PackFn<float> pack_ = kernels::pack_row<float>(isa_);
  kernels::UnpackFn<float> unpack_ = kernels::unpack_row<float>(isa_);
  std::array<kernels::LinesFn, 3> input_{}, output_{}, copy_{};
  std::vector<std::vector<Columns>> columns_;  ///< of each chunk
  Buffer packed_;
  std::vector<std::int64_t> offsets_;  ///< of each group, chunk, rd, rh in packed_
  const float* bias_ = nullptr;
  mutable ScratchPool pool_;
};

std::string rejects(const Query& query) {
  std::string reason;
  make_tiling(query, reason);
  return reason;
}

double seconds(const Query& query) {
  std::string reason;
  return estimate(*make_tiling(query, reason), query);
}

std::vector<LedgerEntry> ledger(const Query& query) {
  std::string reason;
  const Tiling t = *make_tiling(query, reason);
  return {{"transformed weights", Winograd::packed_floats(query.problem, t) * 4},
          {"panels, points, products and staging rows", query.threads * t.scratch_floats() * 4}};
}

std::string tiles(const Query& query) {
  std::string reason;
  const Tiling t = *make_tiling(query, reason);
  std::string text;
  for (const WinogradAxis& axis : t.axes) {
    text += (text.empty() ? "" : " x ") +
            ("F(" + std::to_string(axis.scheme.outputs) + ", " + std::to_string(axis.scheme.taps) + ")");
  }
  return text + ", blocks of " + to_string(t.block) + " tiles";
}

std::unique_ptr<Prepared> prepare(const Plan& plan, const void* weight, const void* bias) {
  std::string reason;
  Tiling t = *make_tiling({plan.problem, plan.machine, plan.threads}, reason);
  return std::make_unique<Winograd>(plan, std::move(t), static_cast<const float*>(weight), static_cast<const float*>(bias));
}

}  // namespace

constexpr Algorithm kWinograd = {"winograd", rejects, seconds, ledger, tiles, prepare};

}  // namespace convt3d
