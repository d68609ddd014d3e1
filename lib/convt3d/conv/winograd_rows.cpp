// Winograd along rows: fewer multiplications where channels are too few for lanes, as at a network's ends.
//
// As in few_channel.cpp, lanes run along w, and all residues of a cell read the same inputs. As in winograd.cpp, F(m, taps)
// replaces the taps of d and of h, so that a tile of m_d x m_h cells takes n_d*n_h points instead of its taps; w stays as it
// is. All transforms are then sums of whole rows:
//
// 1. Each channel's rows are copied, with their halo along w, and Bᵀ on d makes lines of them.
// 2. For each point of d: Bᵀ on h makes V[point h][ci][tile][x], and a point's products are those of few_channel, with a
//    point's row in place of the rows that a residue reads:
//      M[point][co, rd, rh][x, rw] = Σ_ci Σ_e V[point][ci][x + e] * U[point][ci][e][co, rd, rh, rw]
//    with U = G w over the taps of d and h. All (co, rd, rh, rw) share the loads of V. Aᵀ on h follows.
// 3. Aᵀ on d gives output rows, interleaved over rw, which are copied out in the output's order.
//
// Where stride and dilation have a common factor, or the stride exceeds the kernel, there are residues without taps. They
// take part in none of this: rd, rh and rw run over the residues that have taps, and between these the bias is put into the
// rows as they are copied out, and into rows and planes of its own.
//
// The tiles of a block lie behind one another in V, so that short rows run on: a vector may hold the end of one tile's row
// and the beginning of the next one's. Bᵀ on h makes them so at once, from rows that are kept by their place in a tile: row
// j of all tiles, then row j + 1 (slots).
//
// For three taps and more Bᵀ, G and Aᵀ may be real Fourier transforms (kernels/fourier.cpp), which do not round more the
// more taps there are, and may go around. Their points are frequencies, of which most are complex, a row for each part, and
// are multiplied as complex numbers: two sums of rows each. A frequency that is complex on both axes is first made two, (k,
// l) and (k, -l), and joined after; so points of d are taken by groups, both parts of a frequency at once.
#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/last_tiling.hpp"
#include "convt3d/conv/winograd_rows_output.hpp"
#include "convt3d/conv/winograd_rows_tiling.hpp"
#include "convt3d/conv/winograd_rows_weights.hpp"

namespace convt3d {
namespace {

class WinogradRows final : public Prepared {
 public:
  WinogradRows(const Plan& plan, const WinogradRowsTiling& tiling, const float* weight, const float* bias,
               const Epilogue& epilogue)
      : problem_(plan.problem),
        isa_(plan.machine.isa),
        threads_(plan.threads),
        tiling_(tiling),
        weights_(plan.problem, tiling, plan.threads, weight, bias),
        output_(plan, tiling_, weights_, epilogue),
        pool_(static_cast<std::size_t>(scratch_bytes(tiling))) {}

  static std::int64_t scratch_bytes(const WinogradRowsTiling& t) {
    return t.scratch_floats() * 4 + t.most_places() * static_cast<std::int64_t>(sizeof(kernels::RowPlaces));
  }

  bool may_spread() const override { return true; }

  void run(const RunArgs& args) const override {
    const std::int64_t tasks =
        problem_.n * problem_.groups * tiling_.blocks_d * tiling_.blocks_h * tiling_.blocks_w * tiling_.splits;
    run_tasks(threads_, tasks, pool_, args.observer,
              [&](std::int64_t task, void* memory) { run_task(args, task, lay_out(static_cast<float*>(memory))); });
  }

 private:
  struct Scratch {
    kernels::RowPlaces* places;  ///< of a plane's rows, first of the input, then of the output
    std::int64_t rows;           ///< of the input's
    float* panel;                ///< of a channel: [d][row of a tile, slot][x]
    float* lines;                ///< these transformed along d: [point d][ci][tile d][row of a tile, slot][x]
    float* points;               ///< V of a group of points of d: [point d][point h][ci][tile][x]
    float* products;             ///< M of these and a set: [point d][point h][row of the set][x, rw]
    float* outputs;              ///< these transformed along h: [point d][row][output h][x, rw]
    float* staging;              ///< [output d][rh][output h][x, rw]
    float* output_row;           ///< with the residues of w that have no taps
    float* bias_row;             ///< of those of d and h
  };

  Scratch lay_out(float* memory) const {
    const WinogradRowsTiling& t = tiling_;
    Scratch scratch{};
    scratch.panel = memory;
    scratch.lines = scratch.panel + t.panel_floats();
    scratch.points = scratch.lines + t.lines_floats();
    scratch.products = scratch.points + t.points_floats();
    scratch.outputs = scratch.products + t.products_floats();
    scratch.staging = scratch.outputs + t.outputs_floats();
    scratch.output_row = scratch.staging + t.staging_floats();
    scratch.bias_row = scratch.output_row + round_up(t.output_row_floats(), t.lanes);
    scratch.places = new (memory + t.scratch_floats()) kernels::RowPlaces[static_cast<std::size_t>(t.most_places())];
    return scratch;
  }

  void run_task(const RunArgs& args, std::int64_t task, Scratch scratch) const {
    const WinogradRowsTiling& t = tiling_;
    TaskDigits digits(task);
    WinogradRowsBlock block{};
    const std::int64_t split = digits.next(t.splits);
    block.first_w = t.w.begin + digits.next(t.blocks_w) * t.block_w;
    block.cells_w = std::min(t.block_w, t.w.end - block.first_w);
    block.first_h = digits.next(t.blocks_h) * t.block_h;
    block.tiles_h = std::min(t.block_h, t.h.tiles - block.first_h);
    block.first_d = digits.next(t.blocks_d) * t.block_d;
    block.tiles_d = std::min(t.block_d, t.d.tiles - block.first_d);
    t.d.cut_to(args.wanted, block.first_d, block.tiles_d);
    if (block.tiles_d <= 0) return;
    block.group = digits.next(problem_.groups);
    block.n = digits.rest();
    const auto sets = static_cast<std::int64_t>(t.sets.size());
    block.first_set = static_cast<std::size_t>(sets * split / t.splits);
    block.last_set = static_cast<std::size_t>(sets * (split + 1) / t.splits);

    std::fill_n(scratch.panel, t.panel_floats(), 0.0F);
    scratch.rows = place_input_rows(args.input_box, block, scratch.places);
    for (std::int64_t ci = 0; ci < t.ci; ++ci) {
      pack_panel(args, block, ci, scratch);
      transform_d(block, ci, scratch);
    }
    if (t.by_sets) {
      for (const PointGroup& group : t.groups_d) transform_h(block, group, scratch);
      for (std::size_t s = block.first_set; s < block.last_set; ++s) {
        for (std::size_t g = 0; g < t.groups_d.size(); ++g) multiply(block, g, s, scratch);
        store(args, block, t.sets[s], scratch);
      }
      return;
    }
    for (std::size_t g = 0; g < t.groups_d.size(); ++g) {
      transform_h(block, t.groups_d[g], scratch);
      for (std::size_t s = block.first_set; s < block.last_set; ++s) multiply(block, g, s, scratch);
    }
    for (std::size_t s = block.first_set; s < block.last_set; ++s) store(args, block, t.sets[s], scratch);
  }

  /// Where the rows of a plane of the input that lie in the volume go to in a plane of the panel.
  std::int64_t place_input_rows(const Box3& box, const WinogradRowsBlock& block, kernels::RowPlaces* places) const {
    const WinogradRowsTiling& t = tiling_;
    const std::int64_t first_ih = t.h.cells.begin + t.h.first_of_run(block.first_h) + t.h.cells.lowest;
    const std::int64_t begin_w = block.first_w + t.w.lowest;
    const std::int64_t skip = std::max(box.begin.w, begin_w);
    std::int64_t rows = 0;
    for (std::int64_t j = 0; j < t.h.scheme.outputs; ++j) {
      for (std::int64_t slot = 0; slot < t.slots_of(j, block.tiles_h); ++slot) {
        const std::int64_t ih = first_ih + t.h.first_cell(slot) + j * t.h.step;
        if (ih < box.begin.h || ih >= box.end.h) continue;
        places[rows++] = {.source = (ih - box.begin.h) * box.extent().w + skip - box.begin.w,
                          .target = j * t.kind_stride() + slot * t.slot_stride() + skip - begin_w};
      }
    }
    return rows;
  }

  /// Rows of one channel into a panel whose other elements are zero. Columns begin at input column begin + lowest.
  void pack_panel(const RunArgs& args, const WinogradRowsBlock& block, std::int64_t ci, const Scratch& scratch) const {
    const WinogradRowsTiling& t = tiling_;
    const Box3& box = args.input_box;
    const Extent3 have = box.extent();
    const float* source =
        static_cast<const float*>(args.input) + (block.n * problem_.ci + block.group * t.ci + ci) * have.d * have.h * have.w;
    const std::int64_t begin_w = block.first_w + t.w.lowest, end_w = begin_w + block.cells_w + t.w.shifts() - 1;
    const std::int64_t begin_d = t.d.cells.begin + t.d.first_of_run(block.first_d) + t.d.cells.lowest;
    const std::int64_t planes = t.d.cells_covered(block.first_d, block.tiles_d) + t.d.cells.shifts() - 1;
    kernels::CopyRowsArgs<float> copy{.places = scratch.places,
                                      .rows = scratch.rows,
                                      .count = std::min(box.end.w, end_w) - std::max(box.begin.w, begin_w),
                                      .limit = weights_.most_input(),
                                      .ahead = ci + 1 < t.ci ? have.d * have.h * have.w : 0};
    for (std::int64_t id = std::max(begin_d, box.begin.d); id < std::min(begin_d + planes, box.end.d); ++id) {
      copy.source = source + (id - box.begin.d) * have.h * have.w;
      copy.target = scratch.panel + (id - begin_d) * t.plane;
      if (!copy_rows_(copy)) args.mark_spread(block.n, id);
    }
  }

  /// Bᵀ on d of one channel of all tiles.
  void transform_d(const WinogradRowsBlock& block, std::int64_t ci, const Scratch& scratch) const {
    const WinogradRowsTiling& t = tiling_;
    for (std::int64_t td = 0; td < block.tiles_d; ++td) {
      const std::int64_t place = t.d.first_cell(block.first_d + td) - t.d.first_of_run(block.first_d);
      input_d_({.source = scratch.panel + place * t.plane,
                .source_step = t.d.step * t.plane,
                .source_inner = t.lanes,
                .target = scratch.lines + (ci * t.block_d + td) * t.plane,
                .target_step = t.lines_size,
                .target_inner = t.lanes,
                .inner = t.plane / t.lanes});
    }
  }

  /// V of a group of points of d. Frequencies that are complex on both axes are split.
  void transform_h(const WinogradRowsBlock& block, const PointGroup& group, const Scratch& scratch) const {
    const WinogradRowsTiling& t = tiling_;
    const std::int64_t run = block.tiles_h * t.pitch;
    for (std::int64_t ci = 0; ci < t.ci; ++ci) {
      for (std::int64_t td = 0; td < block.tiles_d; ++td) {
        input_h_({.source = scratch.lines + group.first * t.lines_size + (ci * t.block_d + td) * t.plane,
                  .source_step = t.kind_stride(),
                  .source_outer = t.lines_size,
                  .source_inner = t.lanes,
                  .source_fold = t.h.step * t.slot_stride() - t.h.scheme.outputs * t.kind_stride(),
                  .target = points_of(group, scratch) + ci * t.ld + td * run,
                  .target_step = t.point_size,
                  .target_outer = t.h.scheme.points() * t.point_size,
                  .target_inner = t.lanes,
                  .outer = group.count,
                  .inner = ceil_div(run, t.lanes)});
      }
      for (const PointGroup& h : t.groups_h) {
        if (products_of(group, h) == 8)
          split_(quad(points_of(group, scratch) + ci * t.ld, t.point_size, h, block.tiles_d * run));
      }
    }
  }

  void store(const RunArgs& args, const WinogradRowsBlock& block, const WinogradRowsSet& set, const Scratch& scratch) const {
    output_.store(
        args, block, set, outputs_of(set, scratch),
        {.places = scratch.places, .staging = scratch.staging, .row = scratch.output_row, .bias_row = scratch.bias_row});
  }

  float* points_of(const PointGroup& group, const Scratch& scratch) const {
    return scratch.points + (tiling_.by_sets ? group.first * tiling_.h.scheme.points() * tiling_.point_size : 0);
  }

  /// A set's rows of outputs at the first point of d.
  float* outputs_of(const WinogradRowsSet& set, const Scratch& scratch) const {
    return scratch.outputs + (tiling_.by_sets ? 0 : set.first * tiling_.h.scheme.outputs * tiling_.row);
  }

  /// The four rows of a frequency that is complex on both axes; rows of [point d][point h] are `size` apart.
  kernels::QuadArgs quad(float* rows, std::int64_t size, const PointGroup& h, std::int64_t count) const {
    float* const first = rows + h.first * size;
    float* const second = first + tiling_.h.scheme.points() * size;
    return {.rows = {first, first + size, second, second + size}, .count = count};
  }

  /// The products of a group of points of d and one set, and Aᵀ on h.
  void multiply(const WinogradRowsBlock& block, std::size_t g, std::size_t s, const Scratch& scratch) const {
    const WinogradRowsTiling& t = tiling_;
    const WinogradRowsSet& set = t.sets[s];
    const PointGroup& group = t.groups_d[g];
    const std::int64_t nh = t.h.scheme.points(), size = set.count * t.row;
    const float* weights = weights_.of(block.group, g, set);
    const float* points = points_of(group, scratch);
    for (const PointGroup& h : t.groups_h) {
      const std::int64_t first = h.first, second = h.count == 2 ? first + 1 : nh + first;  // the two parts of a complex one
      switch (products_of(group, h)) {
        case 1: multiply_rows(block, set, points, {first, first}, 1, first, weights, scratch); break;
        case 4: multiply_complex(block, set, points, first, second, weights, scratch); break;
        default:
          multiply_complex(block, set, points, first, second, weights, scratch);
          multiply_complex(block, set, points, nh + first, nh + second, weights, scratch);
          join_(quad(scratch.products, size, h, size));
      }
    }
    for (std::int64_t r = 0; r < set.count; ++r) {
      output_h_({.source = scratch.products + r * t.row,
                 .source_step = size,
                 .source_outer = nh * size,
                 .source_inner = t.lanes,
                 .target = outputs_of(set, scratch) + group.first * t.outputs_size + r * t.h.scheme.outputs * t.row,
                 .target_step = t.row,
                 .target_outer = t.outputs_size,
                 .target_inner = t.lanes,
                 .outer = group.count,
                 .inner = t.row / t.lanes});
    }
  }

  /// The real part, then the imaginary one.
  void multiply_complex(const WinogradRowsBlock& block, const WinogradRowsSet& set, const float* points, std::int64_t real,
                        std::int64_t imaginary, const float*& weights, const Scratch& scratch) const {
    multiply_rows(block, set, points, {real, imaginary}, 2, real, weights, scratch);
    multiply_rows(block, set, points, {real, imaginary}, 2, imaginary, weights, scratch);
  }

  /// The sum of products of `count` of these points into one point of M. Moves the weights on.
  void multiply_rows(const WinogradRowsBlock& block, const WinogradRowsSet& set, const float* points,
                     const std::array<std::int64_t, 2>& from, std::int64_t count, std::int64_t to, const float*& weights,
                     const Scratch& scratch) const {
    const WinogradRowsTiling& t = tiling_;
    constexpr std::array<float, kernels::kMostCellColumns> kZeros{};
    const std::array rows = {from[0] * t.point_size, from[1] * t.point_size};
    std::array<float*, kernels::kMostCellColumns> targets{};
    for (std::int64_t r = 0; r < set.count; ++r)
      targets[static_cast<std::size_t>(r)] = scratch.products + (to * set.count + r) * t.row;
    cell_row_({.input = points,
               .rows = rows.data(),
               .row_count = count,
               .channels = t.ci,
               .channel_stride = t.ld,
               .shifts = t.w.shifts(),
               .weights = weights,
               .init = kZeros.data(),
               .columns = t.columns(set),
               .cells = (block.tiles() - 1) * t.pitch + block.cells_w,
               .interleave = static_cast<int>(t.residues_w.count()),
               .step = t.residues_w.count(),
               .targets = targets.data()});
    weights += count * t.weights_of_point(set);
  }

  Problem problem_;
  Isa isa_;
  int threads_;
  WinogradRowsTiling tiling_;
  WinogradRowsWeights weights_;
  kernels::LinesFn input_d_ = kernels::winograd_input(isa_, tiling_.d.scheme);
  kernels::LinesFn input_h_ = kernels::winograd_input(isa_, tiling_.h.scheme);
  kernels::LinesFn output_h_ = kernels::winograd_output(isa_, tiling_.h.scheme);
  kernels::QuadFn split_ = kernels::split_frequencies(isa_);
  kernels::QuadFn join_ = kernels::join_frequencies(isa_);
  kernels::CellRowFn<float> cell_row_ = kernels::cell_row<float>(isa_);
  kernels::CopyRowsFn<float> copy_rows_ = kernels::copy_rows<float>(isa_);
  WinogradRowsOutput output_;
  mutable ScratchPool pool_;
};

const WinogradRowsTiling& tiling_of(const Query& query) { return last_tiling<winograd_rows_tiling>(query).tiling.value(); }

std::string rejects(const Query& query) { return last_tiling<winograd_rows_tiling>(query).reason; }

double seconds(const Query& query) { return winograd_rows_seconds(tiling_of(query), query); }

std::vector<LedgerEntry> ledger(const Query& query) {
  const WinogradRowsTiling& t = tiling_of(query);
  std::vector<LedgerEntry> entries = {
      {"transformed weights", Buffer::taken(winograd_rows_weights_size(query.problem, t) * 4)},
      {"panels, points, products and staging rows", query.threads * Buffer::taken(WinogradRows::scratch_bytes(t))}};
  append_fallback(entries, query);
  return entries;
}

PlaneReach reach(const Query& query) {
  const WinogradAxis& d = tiling_of(query).d;
  return reach_of(d.cells, d.run_cells());
}

std::string tiles(const Query& query) {
  const WinogradRowsTiling& t = tiling_of(query);
  return to_string(t.d.scheme) + " x " + to_string(t.h.scheme) + ", blocks of " + std::to_string(t.block_d) + " x " +
         std::to_string(t.block_h) + " tiles" + (t.blocks_w > 1 ? " x " + std::to_string(t.block_w) + " cells, " : ", ") +
         std::to_string(t.columns(t.sets.front())) + " columns at a time";
}

std::unique_ptr<Prepared> prepare(const Plan& plan, const void* weight, const void* bias, const Epilogue& epilogue) {
  return std::make_unique<WinogradRows>(plan, tiling_of({plan.problem, plan.machine, plan.threads}),
                                        static_cast<const float*>(weight), static_cast<const float*>(bias), epilogue);
}

}  // namespace

constexpr Algorithm kWinogradRows = {"winograd_rows", rejects, seconds, ledger, reach, tiles, prepare};

}  // namespace convt3d
