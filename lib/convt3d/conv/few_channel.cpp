// The few-channel algorithm: lanes along w, for scans, depthwise layers and the narrow ends of networks.
//
// Along an axis, cell c is the input's neighbourhood that the outputs o = c*stride + r - padding, 0 <= r < stride, are made
// from: residue r is reached by the taps t with t*dilation ≡ r (mod stride), which read input c + e, e = (r -
// t*dilation)/stride (docs/math.md). Cells are numbered alike for all residues, so a vector of inputs along w serves all of
// them:
//
//   for cell row (cd, ch): for rd: for co: for x: for rh, rw: for taps: for ci:
//     out[co, o(cd, rd), o(ch, rh), o(x, rw)] += in[ci, cd + ed, ch + eh, x + ew] * w[ci, co, td, th, tw]
//
// The (co, rh, rw) that share their inputs are the columns of one kernel call (kernels/cell_row.cpp): all rw, and as many rh
// and co as registers allow. A residue without a tap at some e has a zero weight there. Rows come out interleaved over rw in
// a buffer of the first cache, wait there for those of the other rh, and are then copied to the output in its order, past
// the caches where it is large.
#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/few_channel_tiling.hpp"
#include "convt3d/conv/few_channel_weights.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/packed_epilogue.hpp"

namespace convt3d {
namespace {

template <typename T>
class FewChannel final : public Prepared {
 public:
  FewChannel(const Plan& plan, const T* weight, const T* bias, const Epilogue& epilogue)
      : problem_(plan.problem),
        isa_(plan.machine.isa),
        threads_(plan.threads),
        tiling_(few_channel_tiling<T>({plan.problem, plan.machine, plan.threads})),
        weights_(plan.problem, tiling_, weight, bias),
        epilogue_(epilogue, plan.problem.co, plan.problem.groups, plan.machine.isa),
        pool_(scratch_bytes(tiling_)) {}

  using RowStream = kernels::RowStream<T>;
  static constexpr T kLargest = std::numeric_limits<T>::max();

  /// Elements before the streams, which begin with a line of cache.
  static std::int64_t elements(const FewChannelTiling& t) {
    constexpr auto kLine = static_cast<std::int64_t>(64 / sizeof(T));
    return round_up(round_up(t.panel_size(), t.lanes) + t.row_buffers * t.row_size, kLine);
  }

  static std::size_t scratch_bytes(const FewChannelTiling& t) {
    return static_cast<std::size_t>(elements(t)) * sizeof(T) + static_cast<std::size_t>(t.co) * sizeof(RowStream);
  }

  bool may_spread() const override { return has_zeros_; }

  void run(const RunArgs& args) const override {
    const std::int64_t tasks = problem_.n * problem_.groups * tiling_.blocks_d * tiling_.blocks_h * tiling_.set_splits;
    run_tasks(threads_, tasks, pool_, args.observer,
              [&](std::int64_t task, void* scratch) { run_task(args, task, static_cast<T*>(scratch)); });
  }

 private:
  /// A block of cell rows of one volume and group.
  struct Block {
    std::int64_t n, group;
    std::int64_t d_begin, d_end, h_begin, h_end;  ///< cells
    std::size_t first_set, last_set;
  };

  /// Where the input's rows lie, in elements.
  struct InputRows {
    const T* first = nullptr;
    std::int64_t row_stride = 0, plane_stride = 0, channel_stride = 0;

    InputRows at(std::int64_t plane, std::int64_t row) const {
      InputRows rows = *this;
      rows.first += plane * plane_stride + row * row_stride;
      return rows;
    }
  };

  void run_task(const RunArgs& args, std::int64_t task, T* panel) const {
    const FewChannelTiling& t = tiling_;
    TaskDigits digits(task);
    Block block{};
    const std::int64_t split = digits.next(t.set_splits);
    block.h_begin = t.axes[1].begin + digits.next(t.blocks_h) * t.block_h;
    block.h_end = std::min(block.h_begin + t.block_h, t.axes[1].end);
    block.d_begin = t.axes[0].begin + digits.next(t.blocks_d) * t.block_d;
    block.d_end = std::min(block.d_begin + t.block_d, t.axes[0].end);
    block.group = digits.next(problem_.groups);
    block.n = digits.rest();
    block.first_set = static_cast<std::size_t>(t.stores() * split / t.set_splits * t.sets_per_store());
    block.last_set = static_cast<std::size_t>(t.stores() * (split + 1) / t.set_splits * t.sets_per_store());
    block.d_begin = std::max(block.d_begin, t.axes[0].cell_of(args.wanted.begin));
    block.d_end = std::min(block.d_end, t.axes[0].cell_of(args.wanted.end - 1) + 1);
    if (block.d_begin >= block.d_end) return;

    auto* const streams = new (panel + elements(t)) RowStream[static_cast<std::size_t>(t.co)];
    // Vectors go on behind the last row, which they may not behind the input: there only the last plane is packed.
    Block all_but_last = block;
    --all_but_last.d_end;
    if (all_but_last.d_begin < all_but_last.d_end && !in_place(args, block) && in_place(args, all_but_last)) {
      run_block(args, all_but_last, panel, streams);
      block.d_begin = all_but_last.d_end;
    }
    run_block(args, block, panel, streams);
    for (std::int64_t co = 0; co < t.co; ++co) kernels::flush(streams[co]);
  }

  void run_block(const RunArgs& args, const Block& block, T* panel, RowStream* streams) const {
    const FewChannelTiling& t = tiling_;
    const InputRows input = in_place(args, block) ? rows_in_place(args, block) : rows_of(panel);
    if (input.first == panel) pack_panel(args, block, panel);
    T* rows = panel + round_up(t.panel_size(), t.lanes);
    for (std::int64_t cd = block.d_begin; cd < block.d_end; ++cd) {
      for (std::int64_t rd = 0; rd < t.axes[0].stride; ++rd) {
        const std::int64_t od = t.axes[0].output_of(cd, rd);
        if (od < args.wanted.begin || od >= args.wanted.end) continue;
        for (std::int64_t ch = block.h_begin; ch < block.h_end; ch += t.run_h) {
          const std::int64_t count = std::min(t.run_h, block.h_end - ch);
          for (std::size_t s = block.first_set; s < block.last_set; ++s)
            run_rows_of(args, block, s, cd, rd, input.at(cd - block.d_begin, ch - block.h_begin), ch, count, rows, streams);
        }
      }
    }
  }

  InputRows rows_of(const T* panel) const {
    const FewChannelTiling& t = tiling_;
    return {.first = panel,
            .row_stride = t.pitch,
            .plane_stride = t.panel_h * t.pitch,
            .channel_stride = t.panel_d * t.panel_h * t.pitch};
  }

  InputRows rows_in_place(const RunArgs& args, const Block& block) const {
    const auto& [d, h, w] = tiling_.axes;
    const Box3& box = args.input_box;
    const Extent3 have = box.extent();
    const InputRows rows{.first = static_cast<const T*>(args.input) +
                                  (block.n * problem_.ci + block.group * tiling_.ci) * have.d * have.h * have.w + w.begin +
                                  w.lowest - box.begin.w,
                         .row_stride = have.w,
                         .plane_stride = have.h * have.w,
                         .channel_stride = have.d * have.h * have.w};
    return rows.at(block.d_begin + d.lowest - box.begin.d, block.h_begin + h.lowest - box.begin.h);
  }

  /// Whether the block's rows can be read where they lie: there is no halo, every cell lies in the volume, short rows run
  /// on, the vectors that go on behind the last row stay within the input, and channels do not compete for one set of a
  /// cache.
  bool in_place(const RunArgs& args, const Block& block) const {
    const FewChannelTiling& t = tiling_;
    const auto& [d, h, w] = t.axes;
    const Box3& box = args.input_box;
    const Extent3 have = box.extent();
    if (has_zeros_ || d.shifts() * h.shifts() * w.shifts() > 1 || (t.run_h > 1 && t.pitch != have.w)) return false;
    const bool inside = block.d_begin + d.lowest >= box.begin.d && block.d_end + d.lowest <= box.end.d &&
                        block.h_begin + h.lowest >= box.begin.h && block.h_end + h.lowest <= box.end.h &&
                        w.begin + w.lowest >= box.begin.w && w.end + w.lowest <= box.end.w;
    if (!inside || channels_compete(t.ci, have.d * have.h * have.w)) return false;
    const InputRows rows = rows_in_place(args, block);
    const T* const last = rows.at(block.d_end - block.d_begin - 1, block.h_end - block.h_begin - 1).first +
                          (t.ci - 1) * rows.channel_stride + w.cells();
    return static_cast<const T*>(args.input) + problem_.n * problem_.ci * rows.channel_stride - last >= t.lanes;
  }

  /// Panel row (d, h) of channel c holds input row (d_begin + lowest + d, h_begin + lowest + h), its column x input column
  /// axes[2].begin + lowest + x, with zeros outside the volume.
  void pack_panel(const RunArgs& args, const Block& block, T* panel) const {
    const FewChannelTiling& t = tiling_;
    const Box3& box = args.input_box;
    const Extent3 have = box.extent();
    const T* source =
        static_cast<const T*>(args.input) + (block.n * problem_.ci + block.group * t.ci) * have.d * have.h * have.w;
    const std::int64_t iw = t.axes[2].begin + t.axes[2].lowest;
    const std::int64_t first = std::clamp(box.begin.w, iw, iw + t.pitch);
    const std::int64_t last = std::clamp(box.end.w, first, iw + t.pitch);
    const std::int64_t planes = block.d_end - block.d_begin + t.axes[0].shifts() - 1;
    // Whole rows of the volume follow one another in the panel too: from `first_h` to `last_h`.
    const bool joins_rows = first == iw && last == iw + t.pitch && t.pitch == have.w;
    const std::int64_t ih = block.h_begin + t.axes[1].lowest;
    const std::int64_t first_h = std::clamp(box.begin.h, ih, ih + t.panel_h) - ih;
    const std::int64_t last_h = std::clamp(box.end.h, ih + first_h, ih + t.panel_h) - ih;
    for (std::int64_t c = 0; c < t.ci; ++c) {
      T* plane = panel + c * t.panel_d * t.panel_h * t.pitch;
      for (std::int64_t p = 0; p < planes; ++p, plane += t.panel_h * t.pitch) {
        const std::int64_t id = block.d_begin + t.axes[0].lowest + p;
        const bool inside = id >= box.begin.d && id < box.end.d && first < last;
        const std::int64_t begin = inside ? first_h : t.panel_h, end = inside ? last_h : t.panel_h;
        std::fill(plane, plane + begin * t.pitch, T{0});
        std::fill(plane + end * t.pitch, plane + t.panel_h * t.pitch, T{0});
        const std::int64_t at_once = joins_rows ? end - begin : 1;
        for (std::int64_t r = begin; r < end; r += at_once) {
          T* const row = plane + r * t.pitch;
          const T* const from =
              source + ((c * have.d + id - box.begin.d) * have.h + ih + r - box.begin.h) * have.w + first - box.begin.w;
          const std::int64_t count = (at_once - 1) * t.pitch + last - first;
          std::fill(row, row + first - iw, T{0});
          std::copy(from, from + count, row + first - iw);
          if (has_zeros_ && !all_within_(from, count, kLargest)) args.mark_spread(block.n, id);
          std::fill(row + (first - iw) + count, row + at_once * t.pitch, T{0});
        }
      }
    }
  }

  /// The output rows of one set from `count` cell rows, ch and those after it.
  void run_rows_of(const RunArgs& args, const Block& block, std::size_t s, std::int64_t cd, std::int64_t rd,
                   const InputRows& input, std::int64_t ch, std::int64_t count, T* buffers, RowStream* streams) const {
    const FewChannelTiling& t = tiling_;
    const ColumnSet& set = t.sets[s];
    const CellAxis& w = t.axes[2];
    const FewChannelReduction<T>& reduction = weights_.reduction(block.group, s, rd);
    const std::int64_t rh_begin = set.rh / t.stored_h * t.stored_h;
    const auto buffer_of = [&](std::int64_t c, std::int64_t rh) {
      return buffers + (c * t.stored_h + rh - rh_begin) * t.row_size;
    };
    std::array<T*, kernels::kMostCellColumns> targets{};
    for (std::int64_t i = 0; i < set.co_count * set.rh_count; ++i)
      targets[static_cast<std::size_t>(i)] = buffer_of(i / set.rh_count, set.rh + i % set.rh_count) + set.rw;
    // Planes outside the volume are left out, wherever the block lies.
    const std::int64_t first = reduction.planes_before(-cd), last = reduction.planes_before(problem_.input.d - cd);
    const std::int64_t rows_h = reduction.rows_of_plane();
    cell_row_({.input = input.first,
               .rows = reduction.rows.data() + first * rows_h,
               .row_count = (last - first) * rows_h,
               .channels = t.ci,
               .channel_stride = input.channel_stride,
               .shifts = w.shifts(),
               .weights = reduction.weights + first * rows_h * t.ci * w.shifts() * set.columns(),
               .init = weights_.init(block.group, s),
               .columns = set.columns(),
               .cells = t.run_cells(count),
               .interleave = static_cast<int>(set.rw_count),
               .step = w.stride,
               .targets = targets.data()});
    // Rows are complete with the last residue of w, and stored together with the last one of h.
    if (set.rw + set.rw_count < w.stride || set.rh + set.rh_count < rh_begin + t.stored_h) return;
    const std::int64_t od = t.axes[0].output_of(cd, rd);
    for (std::int64_t c = 0; c < set.co_count; ++c) {
      T* const rows = buffer_of(c, rh_begin);
      RowStream& stream = streams[set.co + c];
      if (t.stored_h == t.axes[1].stride) {
        store_rows_of(args, block, set.co + c, od, t.axes[1].output_of(ch, 0), count * t.stored_h, rows, stream);
        continue;
      }
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t oh = t.axes[1].output_of(ch + i, rh_begin);
        store_rows_of(args, block, set.co + c, od, oh, t.stored_h, rows + i * t.pitch * w.stride, stream);
      }
    }
  }

  /// Output rows from oh on, those that there are of `count`, of one channel.
  void store_rows_of(const RunArgs& args, const Block& block, std::int64_t c, std::int64_t od, std::int64_t oh,
                     std::int64_t count, T* buffers, RowStream& stream) const {
    const FewChannelTiling& t = tiling_;
    const CellAxis& w = t.axes[2];
    const Box3& box = args.output_box;
    const Extent3 have = box.extent();
    const std::int64_t first = std::max<std::int64_t>(0, box.begin.h - oh), last = std::min(count, box.end.h - oh);
    if (first >= last) return;
    const std::int64_t co = block.group * t.co + c;
    T* const plane =
        static_cast<T*>(args.output) + ((block.n * problem_.co + co) * have.d + od - box.begin.d) * have.h * have.w;
    T* const source = buffers + box.begin.w - w.output_of(w.begin, 0);
    const std::int64_t stride = t.pitch * w.stride;
    if (!epilogue_.empty()) {
      for (std::int64_t i = first; i < last; ++i)
        epilogue_.on_row(co, source + i % t.stored_h * t.row_size + i / t.stored_h * stride, have.w);
    }
    store_rows_({.source = source,
                 .sides = t.stored_h,
                 .side_stride = t.row_size,
                 .stride = stride,
                 .first = first,
                 .rows = last - first,
                 .count = have.w,
                 .target = plane + (oh + first - box.begin.h) * have.w,
                 .stream = args.stream ? &stream : nullptr});
  }

  Problem problem_;
  Isa isa_;
  int threads_;
  FewChannelTiling tiling_;
  bool has_zeros_ = has_zeros(tiling_);
  kernels::CellRowFn<T> cell_row_ = kernels::cell_row<T>(isa_);
  kernels::AllWithinFn<T> all_within_ = kernels::all_within<T>(isa_);
  kernels::StoreRowsFn<T> store_rows_ = kernels::store_rows<T>(isa_);
  FewChannelWeights<T> weights_;
  PackedEpilogue<T> epilogue_;
  mutable ScratchPool pool_;
};

template <typename Function>
auto with_tiling(const Query& query, Function&& function) {
  if (query.problem.dtype == DType::kFloat64) return function(few_channel_tiling<double>(query), double{});
  return function(few_channel_tiling<float>(query), float{});
}

/// Terms of an output's sum, at most.
std::int64_t most_terms(const Problem& p) {
  std::int64_t terms = p.ci / p.groups;
  for (int axis = 0; axis < 3; ++axis) {
    terms *= ceil_div(p.kernel[axis], p.stride[axis] / std::gcd(p.stride[axis], p.dilation[axis]));
  }
  return terms;
}

std::string rejects(const Query& query) {
  // Residues are enumerated, and a zero weight stands for every tap that a residue lacks.
  const Problem& p = query.problem;
  if (is_strided(p)) return kNoInputStride;
  for (int axis = 0; axis < 3; ++axis) {
    if (p.stride[axis] > 16 || p.dilation[axis] > 16) return "a stride or dilation above 16";
  }
  // Terms are added one after the other, and so many err by 1.5e-6 of their sum; direct adds them in parts.
  constexpr std::int64_t kMostTerms = 8000;
  if (most_terms(p) > kMostTerms) return "sums of over " + std::to_string(kMostTerms) + " terms, which would round too much";
  return "";
}

double seconds(const Query& query) {
  return with_tiling(query,
                     [&](const FewChannelTiling& t, auto zero) { return few_channel_seconds<decltype(zero)>(t, query); });
}

std::vector<LedgerEntry> ledger(const Query& query) {
  return with_tiling(query, [&](const FewChannelTiling& t, auto zero) {
    using T = decltype(zero);
    const auto element = static_cast<std::int64_t>(sizeof(T));
    std::vector<LedgerEntry> entries = {
        {"packed weights", Buffer::taken(FewChannelWeights<T>::elements(query.problem, t) * element)},
        {"lists of rows", FewChannelWeights<T>::list_bytes(query.problem, t)},
        {"panels and row buffers",
         query.threads * Buffer::taken(static_cast<std::int64_t>(FewChannel<T>::scratch_bytes(t)))}};
    if (has_zeros(t)) append_fallback(entries, query);
    return entries;
  });
}

PlaneReach reach(const Query& query) { return reach_of(make_cell_axis(query.problem, 0), 1); }

std::string tiles(const Query& query) {
  return with_tiling(query, [](const FewChannelTiling& t, auto) {
    return "blocks of " + std::to_string(t.block_d) + " x " + std::to_string(t.block_h) + " cell rows, " +
           std::to_string(t.sets.front().columns()) + " columns at a time";
  });
}

}  // namespace

constexpr Algorithm kFewChannel = {"few_channel", rejects, seconds, ledger, reach, tiles, prepare_in_dtype<FewChannel>};

}  // namespace convt3d
