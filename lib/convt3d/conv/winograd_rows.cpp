// Winograd along rows: fewer multiplications where channels are too few for lanes, as at a network's ends.
//
// As in few_channel.cpp, lanes run along w, and all residues of a cell read the same inputs. As in winograd.cpp, F(m, taps)
// replaces the taps of d and of h, so that a tile of m_d x m_h cells takes n_d*n_h points instead of its taps; w stays as it
// is. All transforms are then sums of whole rows:
//
// 1. Each channel's rows are copied, with their halo along w, and Bᵀ on d and on h makes V[point][ci][tile][x].
// 2. A point's products are those of few_channel, with a point's row in place of the rows that a residue reads:
//      M[point][co, rd, rh][x, rw] = Σ_ci Σ_e V[point][ci][x + e] * U[point][ci][e][co, rd, rh, rw]
//    with U = G w over the taps of d and h. All (co, rd, rh, rw) share the loads of V. Points that differ in d alone come
//    one after the other, and Aᵀ on d follows while they are in the first cache.
// 3. Aᵀ on h gives output rows, interleaved over rw, which are copied out in the output's order.
//
// The tiles of a block lie behind one another in V, so that short rows run on: a vector may hold the end of one tile's row
// and the beginning of the next one's. Bᵀ on h makes them so at once, from rows that are kept by their place in a tile: row
// j of all tiles, then row j + 1 (slots).
#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/packed_epilogue.hpp"
#include "convt3d/conv/winograd_rows_tiling.hpp"

namespace convt3d {
namespace {

using RowStream = kernels::RowStream<float>;

class WinogradRows final : public Prepared {
 public:
  WinogradRows(const Plan& plan, const WinogradRowsTiling& tiling, const float* weight, const float* bias,
               const Epilogue& epilogue)
      : problem_(plan.problem),
        isa_(plan.machine.isa),
        threads_(plan.threads),
        tiling_(tiling),
        epilogue_(epilogue, plan.problem.co, plan.problem.groups, plan.machine.isa),
        pool_(static_cast<std::size_t>(scratch_bytes(tiling))) {
    pack_weights(weight);
    pack_bias(bias);
    most_input_ = largest_input(weight);
  }

  static std::int64_t scratch_bytes(const WinogradRowsTiling& t) {
    return t.scratch_floats() * 4 + t.most_places() * static_cast<std::int64_t>(sizeof(kernels::RowPlaces));
  }

  static std::int64_t packed_floats(const Problem& p, const WinogradRowsTiling& t) {
    return p.groups * (t.rows() * t.w.stride * t.points() * t.ci * t.w.shifts() + t.co * t.lanes);
  }

  bool may_spread() const override { return true; }

  void run(const RunArgs& args) const override {
    const std::int64_t tasks = problem_.n * problem_.groups * tiling_.blocks_d * tiling_.blocks_h * tiling_.splits;
    run_tasks(threads_, tasks, pool_, args.observer,
              [&](std::int64_t task, void* memory) { run_task(args, task, lay_out(static_cast<float*>(memory))); });
  }

 private:
  struct Scratch {
    kernels::RowPlaces* places;  ///< of a plane's rows
    std::int64_t rows;           ///< of these
    float* panel;                ///< of a channel: [d][row of a tile][slot][x]
    float* lines;                ///< these transformed along d: [point d][row of a tile][slot][x]
    float* points;               ///< V
    float* products;             ///< M at the points of d that share one of h: [point d][row of the set][x, rw]
    float* sums;                 ///< these transformed along d: [output d][point h][row of the set][x, rw]
    float* staging;              ///< [rh][output h][x, rw]
  };

  /// A block of tiles of one volume and group, cut to what is wanted.
  struct Block {
    std::int64_t n, group;
    std::int64_t first_d, first_h;  ///< tiles
    std::int64_t tiles_d, tiles_h;
    std::size_t first_set, last_set;

    std::int64_t tiles() const { return tiles_d * tiles_h; }
  };

  Scratch lay_out(float* memory) const {
    const WinogradRowsTiling& t = tiling_;
    Scratch scratch{};
    scratch.panel = memory;
    scratch.lines = scratch.panel + t.panel_size();
    scratch.points = scratch.lines + t.lines_size();
    scratch.products = scratch.points + t.points_size();
    scratch.sums = scratch.products + t.products_size();
    scratch.staging = scratch.sums + t.sums_size();
    scratch.places = new (scratch.staging + t.staging_size()) kernels::RowPlaces[static_cast<std::size_t>(t.most_places())];
    return scratch;
  }

  void run_task(const RunArgs& args, std::int64_t task, Scratch scratch) const {
    const WinogradRowsTiling& t = tiling_;
    TaskDigits digits(task);
    Block block{};
    const std::int64_t split = digits.next(t.splits);
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

    std::fill_n(scratch.panel, t.panel_size(), 0.0F);
    scratch.rows = place_rows(args.input_box, block, scratch.places);
    for (std::int64_t ci = 0; ci < t.ci; ++ci) {
      pack_panel(args, block, ci, scratch);
      transform(block, ci, scratch);
    }
    for (std::size_t s = block.first_set; s < block.last_set; ++s) {
      multiply(block, s, scratch);
      store(args, block, t.sets[s], scratch);
    }
  }

  /// Where the rows of a plane of the input that lie in the volume go to in a plane of the panel.
  std::int64_t place_rows(const Box3& box, const Block& block, kernels::RowPlaces* places) const {
    const WinogradRowsTiling& t = tiling_;
    const std::int64_t first_ih = t.h.cells.begin + t.h.first_of_run(block.first_h) + t.h.cells.lowest;
    const std::int64_t begin_w = t.w.begin + t.w.lowest;
    const std::int64_t skip = std::max(box.begin.w, begin_w);
    std::int64_t rows = 0;
    for (std::int64_t j = 0; j < t.h.scheme.outputs; ++j) {
      for (std::int64_t slot = 0; slot < t.slots_of(j, block.tiles_h); ++slot) {
        const std::int64_t ih = first_ih + t.h.first_cell(slot) + j * t.h.step;
        if (ih < box.begin.h || ih >= box.end.h) continue;
        places[rows++] = {.source = (ih - box.begin.h) * box.extent().w + skip - box.begin.w,
                          .target = (j * t.slots + slot) * t.pitch + skip - begin_w};
      }
    }
    return rows;
  }

  /// Rows of one channel into a panel whose other elements are zero. Columns begin at input column begin + lowest.
  void pack_panel(const RunArgs& args, const Block& block, std::int64_t ci, const Scratch& scratch) const {
    const WinogradRowsTiling& t = tiling_;
    const Box3& box = args.input_box;
    const Extent3 have = box.extent();
    const float* source =
        static_cast<const float*>(args.input) + (block.n * problem_.ci + block.group * t.ci + ci) * have.d * have.h * have.w;
    const std::int64_t begin_w = t.w.begin + t.w.lowest;
    const std::int64_t begin_d = t.d.cells.begin + t.d.first_of_run(block.first_d) + t.d.cells.lowest;
    const std::int64_t planes = t.d.cells_covered(block.first_d, block.tiles_d) + t.d.cells.shifts() - 1;
    kernels::CopyRowsArgs<float> copy{.places = scratch.places,
                                      .rows = scratch.rows,
                                      .count = std::min(box.end.w, begin_w + t.pitch) - std::max(box.begin.w, begin_w),
                                      .limit = most_input_,
                                      .ahead = ci + 1 < t.ci ? have.d * have.h * have.w : 0};
    for (std::int64_t id = std::max(begin_d, box.begin.d); id < std::min(begin_d + planes, box.end.d); ++id) {
      copy.source = source + (id - box.begin.d) * have.h * have.w;
      copy.target = scratch.panel + (id - begin_d) * t.plane;
      if (!copy_rows_(copy)) args.mark_spread(block.n, id);
    }
  }

  /// Bᵀ on d, then on h, of one channel of all tiles.
  void transform(const Block& block, std::int64_t ci, const Scratch& scratch) const {
    const WinogradRowsTiling& t = tiling_;
    const std::int64_t kind = t.slots * t.pitch;
    const std::int64_t run = block.tiles_h * t.pitch, nh = t.h.scheme.points();
    for (std::int64_t td = 0; td < block.tiles_d; ++td) {
      const std::int64_t place = t.d.first_cell(block.first_d + td) - t.d.first_of_run(block.first_d);
      input_d_({.source = scratch.panel + place * t.plane,
                .source_step = t.d.step * t.plane,
                .source_inner = t.lanes,
                .target = scratch.lines,
                .target_step = t.plane,
                .target_inner = t.lanes,
                .inner = t.plane / t.lanes});
      input_h_({.source = scratch.lines,
                .source_step = kind,
                .source_outer = t.plane,
                .source_inner = t.lanes,
                .source_fold = t.h.step * t.pitch - t.h.scheme.outputs * kind,
                .target = scratch.points + ci * t.ld + td * run,
                .target_step = t.point_size,
                .target_outer = nh * t.point_size,
                .target_inner = t.lanes,
                .outer = t.d.scheme.points(),
                .inner = ceil_div(run, t.lanes)});
    }
  }

  /// The products of one set, and Aᵀ on d.
  void multiply(const Block& block, std::size_t s, const Scratch& scratch) const {
    const WinogradRowsTiling& t = tiling_;
    const WinogradRowsSet& set = t.sets[s];
    const std::int64_t nd = t.d.scheme.points(), nh = t.h.scheme.points();
    const std::int64_t size = set.count * t.row;
    const std::int64_t only_row = 0;
    constexpr std::array<float, kernels::kMostCellColumns> kZeros{};
    std::array<float*, kernels::kMostCellColumns> targets{};
    kernels::CellRowArgs<float> args{.input = nullptr,
                                     .rows = &only_row,
                                     .row_count = 1,
                                     .channels = t.ci,
                                     .channel_stride = t.ld,
                                     .shifts = t.w.shifts(),
                                     .weights = weights_of(block.group, s),
                                     .init = kZeros.data(),
                                     .columns = t.columns(set),
                                     .cells = t.run_cells(block.tiles()),
                                     .interleave = static_cast<int>(t.w.stride),
                                     .step = t.w.stride,
                                     .targets = targets.data()};
    for (std::int64_t ph = 0; ph < nh; ++ph) {
      for (std::int64_t pd = 0; pd < nd; ++pd, args.weights += t.ci * t.w.shifts() * args.columns) {
        args.input = scratch.points + (pd * nh + ph) * t.point_size;
        for (std::int64_t r = 0; r < set.count; ++r)
          targets[static_cast<std::size_t>(r)] = scratch.products + pd * size + r * t.row;
        cell_row_(args);
      }
      output_d_({.source = scratch.products,
                 .source_step = size,
                 .source_inner = t.lanes,
                 .target = scratch.sums + ph * size,
                 .target_step = nh * size,
                 .target_inner = t.lanes,
                 .inner = size / t.lanes});
    }
  }

  /// Aᵀ on h, and the rows of one set to their places, in the output's order.
  void store(const RunArgs& args, const Block& block, const WinogradRowsSet& set, const Scratch& scratch) const {
    const WinogradRowsTiling& t = tiling_;
    const std::int64_t sd = t.d.cells.stride, sh = t.h.cells.stride;
    const std::int64_t nh = t.h.scheme.points();
    for (std::int64_t first = set.first, end = 0; first < set.first + set.count; first = end) {
      end = std::min((first / sh + 1) * sh, set.first + set.count);  // rows that differ in rh alone
      const std::int64_t co = block.group * t.co + first / (sh * sd), rd = first / sh % sd;
      for (std::int64_t i = 0; i < t.d.scheme.outputs; ++i) {
        for (std::int64_t r = first; r < end; ++r) {
          output_h_({.source = scratch.sums + (i * nh * set.count + r - set.first) * t.row,
                     .source_step = set.count * t.row,
                     .source_inner = t.lanes,
                     .target = scratch.staging + (r - first) * t.h.scheme.outputs * t.row,
                     .target_step = t.row,
                     .target_inner = t.lanes,
                     .inner = t.row / t.lanes,
                     .init = bias_ + co * t.lanes});
        }
        for (std::int64_t td = 0; td < block.tiles_d; ++td) {
          const std::int64_t cell = t.d.cells.begin + t.d.first_cell(block.first_d + td) + i * t.d.step;
          const std::int64_t od = t.d.cells.output_of(cell, rd);
          if (od < args.wanted.begin || od >= args.wanted.end) continue;
          store_rows(args, block, co, od, first % sh, end - first,
                     scratch.staging + td * block.tiles_h * t.pitch * t.w.stride);
        }
      }
    }
  }

  /// Rows of residues rh_begin and those after it of one row of tiles: staging [rh][output h][tile, x, rw].
  void store_rows(const RunArgs& args, const Block& block, std::int64_t co, std::int64_t od, std::int64_t rh_begin,
                  std::int64_t rh_count, float* staging) const {
    const WinogradRowsTiling& t = tiling_;
    const Box3& box = args.output_box;
    const Extent3 have = box.extent();
    float* const plane =
        static_cast<float*>(args.output) + ((block.n * problem_.co + co) * have.d + od - box.begin.d) * have.h * have.w;
    staging += box.begin.w - t.w.output_of(t.w.begin, 0);
    RowStream stream;
    for (std::int64_t th = 0; th < block.tiles_h; ++th) {
      for (std::int64_t j = 0; j < t.h.scheme.outputs; ++j) {
        const std::int64_t cell = t.h.cells.begin + t.h.first_cell(block.first_h + th) + j * t.h.step;
        for (std::int64_t rh = 0; rh < rh_count; ++rh) {
          const std::int64_t oh = t.h.cells.output_of(cell, rh_begin + rh);
          if (oh < box.begin.h || oh >= box.end.h) continue;
          float* const from = staging + (rh * t.h.scheme.outputs + j) * t.row + th * t.pitch * t.w.stride;
          epilogue_.on_row(co, from, have.w);
          float* const to = plane + (oh - box.begin.h) * have.w;
          if (args.stream) {
            stream_row_(from, to, have.w, stream);
          } else {
            copy_row_(from, to, have.w);
          }
        }
      }
    }
    kernels::flush(stream);
  }

  const float* weights_of(std::int64_t group, std::size_t s) const {
    const WinogradRowsTiling& t = tiling_;
    return static_cast<const float*>(packed_.data()) +
           (group * t.rows() + t.sets[s].first) * t.w.stride * t.points() * t.ci * t.w.shifts();
  }

  /// [group][set][point h][point d][ci][e][column]
  void pack_weights(const float* weight) {
    const WinogradRowsTiling& t = tiling_;
    packed_ = Buffer(static_cast<std::size_t>(packed_floats(problem_, t)) * sizeof(float));
    auto* const packed = static_cast<float*>(packed_.data());
    const auto sets = static_cast<std::int64_t>(t.sets.size());
    parallel_for(threads_, problem_.groups * sets, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto s = static_cast<std::size_t>(i % sets);
        pack_set(weight, i / sets, t.sets[s], packed + (weights_of(i / sets, s) - packed));
      }
    });
  }

  void pack_set(const float* weight, std::int64_t group, const WinogradRowsSet& set, float* target) const {
    const WinogradRowsTiling& t = tiling_;
    const std::int64_t columns = t.columns(set);
    const std::int64_t per_point = t.ci * t.w.shifts() * columns;
    const Extent3& kernel = problem_.kernel;
    for (std::int64_t at = 0; at < per_point; ++at) {
      TaskDigits digits(at);
      const std::int64_t column = digits.next(columns);
      const std::int64_t e = t.w.lowest + digits.next(t.w.shifts());
      const std::int64_t ci = group * t.ci + digits.rest();
      TaskDigits row(set.first + column / t.w.stride);
      const std::int64_t rh = row.next(t.h.cells.stride), rd = row.next(t.d.cells.stride), co = row.rest();
      const std::int64_t tw = t.w.kernel_index(column % t.w.stride, e);
      const float* taps = weight + (ci * t.co + co) * kernel.d * kernel.h * kernel.w;
      const auto tap_at = [&](std::int64_t i, std::int64_t j) {
        const std::int64_t td = t.d.kernel_index(rd, i), th = t.h.kernel_index(rh, j);
        return td >= 0 && th >= 0 && tw >= 0 ? static_cast<double>(taps[(td * kernel.h + th) * kernel.w + tw]) : 0.0;
      };
      transform_taps(tap_at, target + at, per_point);
    }
  }

  /// G on h and d of one column's taps tap_at(d, h), to points [h][d] that are `stride` apart.
  template <typename TapAt>
  void transform_taps(const TapAt& tap_at, float* target, std::int64_t stride) const {
    const auto& [d, h] = std::tie(tiling_.d.scheme, tiling_.h.scheme);
    constexpr std::size_t kMost = kernels::kMostWinogradPoints;
    std::array<double, kMost> taps{}, points{};
    std::array<double, kMost * kMost> after_h{};  // [tap d][point h]
    for (int i = 0; i < d.taps; ++i) {
      for (int j = 0; j < h.taps; ++j) taps[static_cast<std::size_t>(j)] = tap_at(i, j);
      kernels::winograd_weights(h, taps.data(), 1, &after_h[static_cast<std::size_t>(i) * kMost], 1);
    }
    for (int ph = 0; ph < h.points(); ++ph) {
      kernels::winograd_weights(d, &after_h[static_cast<std::size_t>(ph)], kMost, points.data(), 1);
      for (int pd = 0; pd < d.points(); ++pd)
        target[(ph * d.points() + pd) * stride] = static_cast<float>(points[static_cast<std::size_t>(pd)]);
    }
  }

  /// Behind the weights, a vector for each channel.
  void pack_bias(const float* bias) {
    const std::int64_t channels = problem_.co, lanes = tiling_.lanes;
    float* const target = static_cast<float*>(packed_.data()) + packed_floats(problem_, tiling_) - channels * lanes;
    for (std::int64_t co = 0; co < channels; ++co) {
      std::fill_n(target + co * lanes, lanes, bias != nullptr ? bias[co] : 0.0F);
    }
    bias_ = target;
  }

  /// Inputs up to this magnitude overflow in no transform and no sum; negative where a weight is not finite.
  float largest_input(const float* weight) const {
    const std::array schemes = {tiling_.d.scheme, tiling_.h.scheme};
    return winograd_most_input(schemes, tiling_.ci * tiling_.w.shifts(), weight, weight_size(problem_));
  }

  Problem problem_;
  Isa isa_;
  int threads_;
  WinogradRowsTiling tiling_;
  kernels::LinesFn input_d_ = kernels::winograd_input(isa_, tiling_.d.scheme);
  kernels::LinesFn input_h_ = kernels::winograd_input(isa_, tiling_.h.scheme);
  kernels::LinesFn output_d_ = kernels::winograd_output(isa_, tiling_.d.scheme);
  kernels::LinesFn output_h_ = kernels::winograd_output(isa_, tiling_.h.scheme);
  kernels::CellRowFn<float> cell_row_ = kernels::cell_row<float>(isa_);
  kernels::CopyRowsFn<float> copy_rows_ = kernels::copy_rows<float>(isa_);
  kernels::CopyRowFn<float> copy_row_ = kernels::copy_row<float>(isa_);
  kernels::StreamRowFn<float> stream_row_ = kernels::stream_row<float>(isa_);
  Buffer packed_;
  const float* bias_ = nullptr;
  float most_input_ = 0;
  PackedEpilogue<float> epilogue_;
  mutable ScratchPool pool_;
};

WinogradRowsTiling tiling_of(const Query& query) {
  std::string reason;
  return winograd_rows_tiling(query, reason).value();
}

std::string rejects(const Query& query) {
  std::string reason;
  winograd_rows_tiling(query, reason);
  return reason;
}

double seconds(const Query& query) { return winograd_rows_seconds(tiling_of(query), query); }

std::vector<LedgerEntry> ledger(const Query& query) {
  const WinogradRowsTiling t = tiling_of(query);
  std::vector<LedgerEntry> entries = {
      {"transformed weights", Buffer::taken(WinogradRows::packed_floats(query.problem, t) * 4)},
      {"panels, points, products and staging rows", query.threads * Buffer::taken(WinogradRows::scratch_bytes(t))}};
  append_fallback(entries, query);
  return entries;
}

PlaneReach reach(const Query& query) {
  const WinogradAxis d = tiling_of(query).d;
  return reach_of(d.cells, d.run_cells());
}

std::string tiles(const Query& query) {
  const WinogradRowsTiling t = tiling_of(query);
  return to_string(t.d.scheme) + " x " + to_string(t.h.scheme) + ", blocks of " + std::to_string(t.block_d) + " x " +
         std::to_string(t.block_h) + " tiles, " + std::to_string(t.columns(t.sets.front())) + " columns at a time";
}

std::unique_ptr<Prepared> prepare(const Plan& plan, const void* weight, const void* bias, const Epilogue& epilogue) {
  return std::make_unique<WinogradRows>(plan, tiling_of({plan.problem, plan.machine, plan.threads}),
                                        static_cast<const float*>(weight), static_cast<const float*>(bias), epilogue);
}

}  // namespace

constexpr Algorithm kWinogradRows = {"winograd_rows", rejects, seconds, ledger, reach, tiles, prepare};

}  // namespace convt3d
