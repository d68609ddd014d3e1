// Winograd over phases: fewer multiplications for phases of two and more taps on an axis, lanes over channels.
//
// On an axis, the outputs of residue r of m neighbouring cells are a correlation of the inputs from the first cell's lowest
// on with the residue's taps, and all residues read the same inputs (docs/math.md). F(m, taps) replaces the m*taps
// multiplications by m+taps-1 (kernels/cook_toom.hpp), a Fourier transform of 8, 12 or 16 elements those of 9, 13 or 17 -
// taps outputs by 11, 17 or 23 (kernels/fourier.cpp). Done on each axis that has two taps or more:
//
// 1. Tiles are m_d x m_h x m_w cells; a block of tiles is a task. The block's input is packed into panels
//    [vector of ci][d][h][w][lane], and every tile transformed by Bᵀ on w, h, d into V[point][tile][ci].
// 2. For each residue of d and h and each chunk of output channels, column by column (a vector of channels for one residue
//    of w), a product per point:  M[point][tile][column] = Σ_ci V[point][tile][ci] · U[point][ci][column],  U = G w, packed
//    before. Points that differ in d alone come one after the other, and Aᵀ on d follows while they are in the first cache.
// 3. Aᵀ on h and w gives staging rows, interleaved over the residues of w, which are transposed into NCDHW.
//
// Or d is summed: its tiles are single cells, V[point of h, w][plane][tile of h, w][ci] has every plane of inputs that they
// read, and the product sums up the residue's taps on d like channels, each a run of terms some planes on. That takes as
// many multiplications on d as there are taps, which may lie anywhere, but far fewer points and weights: right where weights
// are many and tiles few, kernels large, or a third transform would round too much. Taps beyond the volume's ends are left
// out, and no planes are made there, but where that would leave too few sums at a time (summed_runs.cpp).
//
// Where weights are many and tiles few, all blocks are transformed first, and each unit's weights, read once, then serve all
// of them.
//
// A residue with one tap, where others have two (k3 s2), is not transformed: its m points are the inputs themselves. Points
// of d and h are made for one view after the other (transformed or not), so that V holds one view's only; along w all are
// held, since the residues of w share the staging rows. An axis with one tap throughout (k = s) has the identity, m = 1.
// With dilation, a tile takes every step-th cell.
//
// The transforms are in winograd_transforms.cpp; here is the order of work, with packing, products and stores.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/lane_store.hpp"
#include "convt3d/conv/last_tiling.hpp"
#include "convt3d/conv/packed_epilogue.hpp"
#include "convt3d/conv/winograd_runs.hpp"
#include "convt3d/conv/winograd_tiling.hpp"
#include "convt3d/conv/winograd_transforms.hpp"
#include "convt3d/conv/winograd_weights.hpp"

namespace convt3d {
namespace {

class Winograd final : public Prepared {
 public:
  Winograd(const Plan& plan, const WinogradTiling& tiling, const float* weight, const float* bias, const Epilogue& epilogue)
      : problem_(plan.problem),
        isa_(plan.machine.isa),
        threads_(plan.threads),
        tiling_(tiling),
        transforms_(tiling, plan.machine.isa),
        weights_(plan.problem, tiling, plan.threads, weight, bias),
        epilogue_(epilogue, plan.problem.co, plan.problem.groups, plan.machine.isa),
        pool_(static_cast<std::size_t>(tiling_.scratch_floats()) * sizeof(float)),
        points_pool_(static_cast<std::size_t>(tiling_.shared_floats(plan.problem)) * sizeof(float)) {}

  bool may_spread() const override { return true; }

  void run(const RunArgs& args) const override {
    const WinogradTiling& t = tiling_;
    const std::int64_t blocks = t.block_count(problem_);
    if (!t.shared) {
      run_tasks(threads_, blocks * t.splits, pool_, args.observer, [&](std::int64_t task, void* memory) {
        run_block(args, task / t.splits, task % t.splits, lay_out(static_cast<float*>(memory)));
      });
      return;
    }
    ScratchPool::Lease points(points_pool_);
    const auto lay_out_shared = [&](std::int64_t index, void* memory) {
      Scratch scratch = lay_out(static_cast<float*>(memory));
      scratch.points = static_cast<float*>(points.data()) + index * t.points_size;
      return scratch;
    };
    run_tasks(threads_, blocks * t.ci_vectors, pool_, nullptr, [&](std::int64_t task, void* memory) {
      const std::int64_t index = task / t.ci_vectors;
      const WinogradBlock block = block_of(args, index);
      if (block.tiles.d > 0) transform(args, block, t.views.front(), task % t.ci_vectors, lay_out_shared(index, memory));
    });
    // Unit by unit: its weights stay in the second cache while the blocks pass.
    run_tasks(threads_, t.units() * blocks, pool_, args.observer, [&](std::int64_t task, void* memory) {
      const WinogradBlock block = block_of(args, task % blocks);
      if (block.tiles.d > 0) run_unit(args, block, unit_of(task / blocks), lay_out_shared(task % blocks, memory));
    });
  }

 private:
  struct Scratch {
    float* panels;
    float* points;    ///< V
    float* products;  ///< M at the points of d that share one of h and w: [point d][tile][column]
    float* sums;      ///< these transformed along d: [output d][point h][point w][tile][column]
    float* staging;   ///< [vector of the chunk][cell d][cell h][output w][lane]
    float* lines;     ///< between two axes
  };

  Scratch lay_out(float* memory) const {
    const WinogradTiling& t = tiling_;
    Scratch scratch{};
    scratch.panels = memory;
    scratch.points = scratch.panels + t.panel_size;
    scratch.products = scratch.points + (t.shared ? 0 : t.points_size);
    scratch.sums = scratch.products + t.products_size;
    scratch.staging = scratch.sums + t.sums_size;
    scratch.lines = scratch.staging + t.staging_size;
    return scratch;
  }

  /// What is computed and stored in one go.
  struct Unit {
    std::int64_t rd, rh, chunk;
  };

  Unit unit_of(std::int64_t index) const {
    TaskDigits digits(index);
    Unit unit{};
    unit.rh = digits.next(tiling_.axes[1].cells.stride);
    unit.rd = digits.next(tiling_.axes[0].cells.stride);
    unit.chunk = digits.rest();
    return unit;
  }

  /// A block, cut to what is wanted: without tiles along d where that is nothing.
  WinogradBlock block_of(const RunArgs& args, std::int64_t index) const {
    const WinogradTiling& t = tiling_;
    TaskDigits digits(index);
    WinogradBlock block{};
    for (int a = 2; a >= 0; --a) {
      const WinogradAxis& axis = t.axes[static_cast<std::size_t>(a)];
      block.first_tile[a] = digits.next(t.blocks[a]) * t.block[a];
      block.tiles[a] = std::min(t.block[a], axis.tiles - block.first_tile[a]);
    }
    t.axes[0].cut_to(args.wanted, block.first_tile.d, block.tiles.d);
    for (int a = 0; a < 3; ++a) {
      const WinogradAxis& axis = t.axes[static_cast<std::size_t>(a)];
      block.first_cell[a] = axis.cells.begin + axis.first_of_run(block.first_tile[a]);
    }
    block.group = digits.next(problem_.groups);
    block.n = digits.rest();
    const WinogradAxis& d = t.axes[0];
    const std::int64_t first = block.first_cell.d + d.cells.lowest;
    const std::int64_t cells = d.cells_covered(block.first_tile.d, block.tiles.d);
    block.panel =
        d.summed ? d.planes_read(block.first_cell.d, block.tiles.d) : Planes{first, first + cells + d.cells.shifts() - 1};
    block.panel.end = std::max(block.panel.begin, block.panel.end);
    block.planes = d.summed ? block.panel.end - block.panel.begin : block.tiles.d;
    return block;
  }

  /// One of `splits` shares of the units of a block.
  void run_block(const RunArgs& args, std::int64_t index, std::int64_t split, const Scratch& scratch) const {
    const WinogradTiling& t = tiling_;
    const WinogradBlock block = block_of(args, index);
    if (block.tiles.d <= 0) return;
    for (const WinogradView& view : t.views) {
      for (std::int64_t v = 0; v < t.ci_vectors; ++v) transform(args, block, view, v, scratch);
      for (std::int64_t i = t.units() * split / t.splits; i < t.units() * (split + 1) / t.splits; ++i) {
        const Unit unit = unit_of(i);
        const WinogradView its_view = {t.axes[0].is_single(unit.rd), t.axes[1].is_single(unit.rh)};
        if (view == its_view) run_unit(args, block, unit, scratch);
      }
    }
  }

  /// A view's points of one vector of input channels.
  void transform(const RunArgs& args, const WinogradBlock& block, const WinogradView& view, std::int64_t v,
                 const Scratch& scratch) const {
    const WinogradTiling& t = tiling_;
    float* panel = scratch.panels + v % t.panels * (t.panel_size / t.panels);
    if (t.views.size() == 1 || view == t.views.front()) pack_panel(args, block, v, panel);
    transforms_.input(block, view, v, panel, scratch.points, scratch.lines);
  }

  void run_unit(const RunArgs& args, const WinogradBlock& block, const Unit& unit, const Scratch& scratch) const {
    multiply(block, unit, scratch);
    store(args, block, unit, scratch.staging);
  }

  /// One vector of input channels of the block, zero outside the volume.
  void pack_panel(const RunArgs& args, const WinogradBlock& block, std::int64_t v, float* panel) const {
    const WinogradTiling& t = tiling_;
    const Box3& box = args.input_box;
    const Extent3 have = box.extent();
    const std::int64_t channel_stride = have.d * have.h * have.w;
    const float* source =
        static_cast<const float*>(args.input) + (block.n * problem_.ci + block.group * t.ci + v * t.lanes) * channel_stride;
    const std::int64_t iw = block.first_cell.w + t.axes[2].cells.lowest;
    const std::int64_t first = std::clamp(box.begin.w, iw, iw + t.panel.w);
    const std::int64_t last = std::clamp(box.end.w, first, iw + t.panel.w);
    const std::int64_t rows = (block.panel.end - block.panel.begin) * t.panel.h, row_size = t.panel.w * t.lanes;
    const bool joins_rows = last - first == have.w;  // whole rows lie side by side in the volume
    std::int64_t at_once = 1;
    for (std::int64_t r = 0; r < rows; r += at_once) {
      at_once = 1;
      const std::int64_t id = block.panel.begin + r / t.panel.h;
      const std::int64_t ih = block.first_cell.h + t.axes[1].cells.lowest + r % t.panel.h;
      float* const row = panel + r * row_size;
      if (id < box.begin.d || id >= box.end.d || ih < box.begin.h || ih >= box.end.h || first >= last) {
        std::fill(row, row + row_size, 0.0F);
        continue;
      }
      if (joins_rows) at_once = std::min(t.panel.h - r % t.panel.h, box.end.h - ih);
      pack_({.source = source + ((id - box.begin.d) * have.h + ih - box.begin.h) * have.w + first - box.begin.w,
             .channel_stride = channel_stride,
             .channels = std::min(t.lanes, t.ci - v * t.lanes),
             .padded_channels = t.lanes,
             .count = last - first,
             .target = row + (first - iw) * t.lanes,
             .ld = t.lanes,
             .rows = at_once,
             .row_stride = row_size});
      for (std::int64_t i = 0; i < at_once; ++i) {
        float* const columns = row + i * row_size;
        std::fill(columns, columns + (first - iw) * t.lanes, 0.0F);
        std::fill(columns + (last - iw) * t.lanes, columns + row_size, 0.0F);
      }
      if (!all_within_(row, at_once * row_size, weights_.most_input())) args.mark_spread(block.n, id);
    }
  }

  /// The products of one unit, columns after columns, and their way into the staging rows.
  void multiply(const WinogradBlock& block, const Unit& unit, const Scratch& scratch) const {
    const WinogradTiling& t = tiling_;
    const auto [rd, rh, chunk] = unit;
    const WinogradAxis &d = t.axes[0], &h = t.axes[1], &w = t.axes[2];
    const std::int64_t tiles = block.tile_count();
    const std::int64_t nd = d.points(d.is_single(rd)), nh = h.points(h.is_single(rh));
    const std::int64_t points_size = block.planes * block.tiles.h * block.tiles.w * t.ld();
    const float* u = weights_.unit(block.group, chunk, rd, rh);
    thread_local WinogradRuns runs;
    for (const WinogradColumns& columns : weights_.columns(chunk)) {
      const auto nr = static_cast<std::int64_t>(columns.entries.size());
      const std::int64_t nw = w.points(columns.single), first_w = t.first_point_w(columns.single);
      const std::int64_t size = tiles * nr * t.lanes, product_weights = t.ci * nr * t.lanes;
      runs.list(t, block, rd, nr);
      for (std::int64_t hw = 0; hw < nh * nw; ++hw, u += d.products(rd) * product_weights) {
        const std::int64_t point = hw / nw * t.points_w() + first_w + hw % nw;
        float* const results = d.summed ? scratch.sums + hw * size : scratch.products;
        kernels::ProductArgs<float> args{.a = nullptr,
                                         .lda = t.ld(),
                                         .positions = 0,
                                         .taps = nullptr,
                                         .tap_count = 0,
                                         .k = t.ci,
                                         .part = t.part,
                                         .b = nullptr,
                                         .nr = static_cast<int>(nr),
                                         .init = nullptr,
                                         .c = {},
                                         .ldc = nr * t.lanes};
        for (std::int64_t pd = 0; pd < nd; ++pd) {
          args.a = scratch.points + (pd * nh * t.points_w() + point) * points_size;
          args.b = u + pd * product_weights;
          for (const WinogradRun& run : runs.all()) {
            args.positions = run.tiles;
            args.taps = runs.taps_of(run);
            args.tap_count = run.taps;
            for (std::int64_t j = 0; j < nr; ++j) args.c[j] = results + pd * size + (run.first * nr + j) * t.lanes;
            product_(args);
          }
        }
        if (!d.summed) transforms_.output_on_d(rd, results, scratch.sums + hw * size, size, nh * nw * size);
      }
      for (std::int64_t j = 0; j < nr; ++j) {
        const auto [vector, rw] = columns.entries[static_cast<std::size_t>(j)];
        const float* bias = weights_.bias(block.group, chunk * t.chunk_vectors + vector);
        transforms_.output_on_h_w(block, rh, rw, scratch.sums + j * t.lanes, nr * t.lanes, bias,
                                  scratch.staging + vector * (t.staging_size / t.chunk_vectors) + rw * t.lanes,
                                  scratch.lines);
      }
    }
  }

  void store(const RunArgs& args, const WinogradBlock& block, const Unit& unit, float* staging) const {
    const WinogradTiling& t = tiling_;
    const auto [rd, rh, chunk] = unit;
    const WinogradAxis &d = t.axes[0], &h = t.axes[1], &w = t.axes[2];
    const Box3& box = args.output_box;
    const Extent3 have = box.extent();
    const std::int64_t row = t.span.w * w.cells.stride * t.lanes;
    const std::int64_t row_begin = w.cells.output_of(block.first_cell.w, 0);
    const std::int64_t row_end = row_begin + w.cells_covered(block.first_tile.w, block.tiles.w) * w.cells.stride;
    const std::int64_t first = std::max(row_begin, box.begin.w);
    const std::int64_t last = std::min(row_end, box.end.w);
    const std::int64_t cells_d = d.cells_covered(block.first_tile.d, block.tiles.d);
    const auto oh = [&](std::int64_t ch) { return h.cells.output_of(block.first_cell.h + ch, rh); };
    std::int64_t first_h = 0, end_h = h.cells_covered(block.first_tile.h, block.tiles.h);
    while (first_h < end_h && oh(first_h) < box.begin.h) ++first_h;
    while (first_h < end_h && oh(end_h - 1) >= box.end.h) --end_h;
    // Rows of one residue of h have those of others between them; in the staging rows, what tiles have beyond the volume.
    const bool rows_follow = h.cells.stride == 1 && last - first == have.w;
    const bool stream = args.stream && (rows_follow || (last - first) % t.lanes == 0);
    const std::int64_t rows_at_once = rows_follow && row == have.w * t.lanes ? end_h - first_h : 1;
    for (std::int64_t j = 0; j < t.vectors_in(chunk); ++j) {
      const std::int64_t co = (chunk * t.chunk_vectors + j) * t.lanes;
      LaneStore<float> store(epilogue_, unpack_, t.lanes,
                             lane_target<float>(args, problem_, block.n, block.group, co, t.lanes), stream);
      for (std::int64_t cd = 0; cd < cells_d; ++cd) {
        const std::int64_t od = d.cells.output_of(block.first_cell.d + cd, rd);
        if (od < args.wanted.begin || od >= args.wanted.end) continue;
        for (std::int64_t ch = first_h; ch < end_h; ch += rows_at_once) {
          store.put(staging + ((j * t.span.d + cd) * t.span.h + ch) * row + (first - row_begin) * t.lanes,
                    ((od - box.begin.d) * have.h + oh(ch) - box.begin.h) * have.w + first - box.begin.w,
                    (last - first) * rows_at_once);
        }
      }
    }
  }

  Problem problem_;
  Isa isa_;
  int threads_;
  WinogradTiling tiling_;
  WinogradTransforms transforms_;
  WinogradWeights weights_;
  kernels::ProductFn<float> product_ = kernels::product<float>(isa_);
  kernels::PackFn<float> pack_ = kernels::pack_row<float>(isa_);
  kernels::AllWithinFn<float> all_within_ = kernels::all_within<float>(isa_);
  kernels::UnpackFn<float> unpack_ = kernels::unpack_row<float>(isa_);
  PackedEpilogue<float> epilogue_;
  mutable ScratchPool pool_;
  mutable ScratchPool points_pool_;  ///< of all blocks, where they share them
};

const WinogradTiling& tiling_of(const Query& query) { return last_tiling<winograd_tiling>(query).tiling.value(); }

std::string rejects(const Query& query) { return last_tiling<winograd_tiling>(query).reason; }

double seconds(const Query& query) { return winograd_seconds(tiling_of(query), query); }

std::vector<LedgerEntry> ledger(const Query& query) {
  const WinogradTiling& t = tiling_of(query);
  std::vector<LedgerEntry> entries = {
      {"transformed weights", Buffer::taken(winograd_weights_size(query.problem, t) * 4)},
      {"panels, points, products and staging rows", query.threads * Buffer::taken(t.scratch_floats() * 4)}};
  if (t.shared) entries.push_back({"points of all tiles", Buffer::taken(t.shared_floats(query.problem) * 4)});
  append_fallback(entries, query);
  return entries;
}

PlaneReach reach(const Query& query) {
  const WinogradAxis& d = tiling_of(query).axes[0];
  return reach_of(d.cells, d.run_cells());
}

std::string tiles(const Query& query) {
  const WinogradTiling& t = tiling_of(query);
  std::string text;
  for (const WinogradAxis& axis : t.axes) {
    text += (text.empty() ? "" : " x ") + (axis.summed ? "sum" : to_string(axis.scheme));
  }
  return text + ", blocks of " + to_string(t.block) + " tiles" + (t.shared ? ", all transformed first" : "");
}

std::unique_ptr<Prepared> prepare(const Plan& plan, const void* weight, const void* bias, const Epilogue& epilogue) {
  return std::make_unique<Winograd>(plan, tiling_of({plan.problem, plan.machine, plan.threads}),
                                    static_cast<const float*>(weight), static_cast<const float*>(bias), epilogue);
}

}  // namespace

constexpr Algorithm kWinograd = {"winograd", rejects, seconds, ledger, reach, tiles, prepare};

}  // namespace convt3d
