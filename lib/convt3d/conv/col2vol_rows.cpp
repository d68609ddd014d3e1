// col2vol with lanes along w, for few output channels made from many.
//
// Where hardly any outputs are made from what is read, the algorithms that gather load a vector of inputs, or a weight, for
// each multiplication. Here, as in col2vol, inputs are multiplied with all of their taps and channels at once, and the
// products added up where they belong. For one volume and one group:
//
//   for id: for all columns, which are (td, co, th, tw):  P[column][ih, iw] = Σ_ci in[ci, id, ih, iw] * w[ci, column]
//           for ih, th, tw, td, co:  out[co, od(id, td), oh(ih, th), ow(iw, tw)] += P[column][ih, iw]  for all iw
//
// 1. P is made as gemm makes its results: rows of voxels are read where they lie, a strip of them at a time for all columns,
//    so that a load serves up to nine multiplications and short rows fill the lanes as well as long ones. Up to three
//    columns are added up a few channels at a time, as gemm's few results are (kernels/long_rows.cpp).
// 2. P holds some rows of the input, in the second cache, and is added up row by row: a row of outputs gets all that these
//    add to it at once (kernels/add_rows.cpp). Outputs of a row that are equal modulo the stride lie side by side, so that
//    what a tap along w adds is a run of them: u = ow + padding lies at [u mod stride][u / stride].
// 3. A task computes some planes of the output; planes that no input reaches any more are copied out.
// 4. Where kernels are as large as their strides and nothing is cut off, each output is one product and the bias: nothing is
//    added up, products are taken in turn to where they belong.
//
// An output's sum is its bias, then its taps' products in the order of id, ih and tw, whatever is held at once.
#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/col2vol_rows_sums.hpp"
#include "convt3d/conv/col2vol_rows_tiling.hpp"
#include "convt3d/conv/direct_tiling.hpp"
#include "convt3d/conv/kernels/add_rows.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/long_rows.hpp"
#include "convt3d/conv/packed_epilogue.hpp"
#include "convt3d/conv/row_strips.hpp"

namespace convt3d {
namespace {

template <typename T>
class Col2VolRows final : public Prepared {
 public:
  Col2VolRows(const Plan& plan, const Col2VolRowsTiling& tiling, const T* weight, const T* bias, const Epilogue& epilogue)
      : problem_(plan.problem),
        isa_(plan.machine.isa),
        threads_(plan.threads),
        tiling_(tiling),
        weights_(static_cast<std::size_t>(elements(plan.problem, tiling)) * sizeof(T)),
        epilogue_(epilogue, plan.problem.co, plan.problem.groups, plan.machine.isa),
        pool_(scratch_bytes(tiling)) {
    pack_weights(weight, bias);
  }

  /// Weights [group][set][ci][column], zeros for the products to begin with, the bias.
  static std::int64_t elements(const Problem& p, const Col2VolRowsTiling& t) {
    return p.ci * t.columns() + kMostColumns + p.co;
  }

  static std::size_t scratch_bytes(const Col2VolRowsTiling& t) {
    return static_cast<std::size_t>(t.scratch_size()) * sizeof(T);
  }

  void run(const RunArgs& args) const override {
    run_tasks(threads_, problem_.n * problem_.groups * tiling_.blocks_d, pool_, args.observer,
              [&](std::int64_t task, void* memory) { run_task(args, task, lay_out(static_cast<T*>(memory))); });
  }

 private:
  static constexpr std::int64_t kMostColumns = kernels::most_row_columns(true);

  struct Scratch {
    T* packed;    ///< a strip's inputs, where its last vectors would go on behind the input
    T* products;  ///< of some rows: [column][ih][iw]
    T* sums;      ///< output planes being added to: [od modulo kept_d][co][oh][residue][place]
  };

  /// Planes of the output of one volume and group.
  struct Block {
    std::int64_t n = 0, group = 0;
    Planes planes;
    const T* input = nullptr;  ///< plane first_id of the volume
    std::int64_t first_id = 0;
    std::int64_t channel_stride = 0;
    const T* input_end = nullptr;  ///< of all volumes
  };

  /// Rows of the input: so many of plane id from ih on, which reach the block by taps [first_tap, end_tap) of d.
  struct Rows {
    std::int64_t id, ih, count;
    std::int64_t first_tap, end_tap;
  };

  Scratch lay_out(T* memory) const {
    const Col2VolRowsTiling& t = tiling_;
    Scratch scratch{};
    scratch.packed = memory;
    scratch.products = scratch.packed + t.packed_size() + t.lanes;
    scratch.sums = memory + t.packed_size() + t.products_size();
    return scratch;
  }

  void pack_weights(const T* weight, const T* bias) {
    const Col2VolRowsTiling& t = tiling_;
    const Extent3& kernel = problem_.kernel;
    T* target = static_cast<T*>(weights_.data());
    for (std::int64_t group = 0; group < problem_.groups; ++group) {
      for (const RowSet& set : t.sets) {
        for (std::int64_t ci = 0; ci < t.ci; ++ci) {
          for (std::int64_t column = set.first; column < set.end(); ++column) {
            TaskDigits digits(column);
            const std::int64_t thw = digits.next(t.channel_columns()), co = digits.next(t.co), td = digits.rest();
            *target++ = weight[(((group * t.ci + ci) * t.co + co) * kernel.d + td) * kernel.h * kernel.w + thw];
          }
        }
      }
    }
    target = std::fill_n(target, kMostColumns, T{0});
    for (std::int64_t co = 0; co < problem_.co; ++co) *target++ = bias != nullptr ? bias[co] : T{0};
  }

  const T* weights_of(std::int64_t group, const RowSet& set) const {
    return static_cast<const T*>(weights_.data()) + (group * tiling_.columns() + set.first) * tiling_.ci;
  }
  const T* zeros() const { return static_cast<const T*>(weights_.data()) + problem_.ci * tiling_.columns(); }
  const T* bias_of(std::int64_t channel) const { return zeros() + kMostColumns + channel; }

  void run_task(const RunArgs& args, std::int64_t task, const Scratch& scratch) const {
    const auto& [d, h, w] = tiling_.axes;
    TaskDigits digits(task);
    Block block{};
    block.planes.begin = digits.next(tiling_.blocks_d) * tiling_.block_d;
    block.planes.end = std::min({block.planes.begin + tiling_.block_d, d.output, args.wanted.end});
    block.planes.begin = std::max(block.planes.begin, args.wanted.begin);
    if (block.planes.begin >= block.planes.end) return;
    block.group = digits.next(problem_.groups);
    block.n = digits.rest();
    block.channel_stride = args.input_box.extent().d * h.input * w.input;
    block.input =
        static_cast<const T*>(args.input) + (block.n * problem_.ci + block.group * tiling_.ci) * block.channel_stride;
    block.first_id = args.input_box.begin.d;
    block.input_end = static_cast<const T*>(args.input) + problem_.n * problem_.ci * block.channel_stride;

    if (tiling_.one_tap()) {
      for (std::int64_t id = block.planes.begin / d.stride; id < ceil_div(block.planes.end, d.stride); ++id)
        add_plane(args, block, id, scratch);
      return;
    }
    scatter(
        d, block.planes, [&](std::int64_t od) { begin_plane(block, od, scratch); },
        [&](std::int64_t id) { add_plane(args, block, id, scratch); },
        [&](std::int64_t od) { store(args, block, od, scratch); });
  }

  /// What a plane of the input adds to the block, or is of the output.
  void add_plane(const RunArgs& args, const Block& block, std::int64_t id, const Scratch& scratch) const {
    const auto& [d, h, w] = tiling_.axes;
    Rows rows{.id = id, .ih = 0, .count = 0, .first_tap = d.first_tap(id, block.planes.begin), .end_tap = 0};
    rows.end_tap = rows.first_tap;
    while (rows.end_tap < d.kernel && d.output_of(id, rows.end_tap) < block.planes.end) ++rows.end_tap;
    if (rows.first_tap == rows.end_tap) return;
    for (; rows.ih < h.input; rows.ih += tiling_.block_h) {
      rows.count = std::min(tiling_.block_h, h.input - rows.ih);
      multiply(block, rows, scratch);
      if (tiling_.one_tap()) {
        take_turns(args, block, rows, scratch);
      } else {
        add(rows, scratch);
      }
    }
  }

  T* row_of(std::int64_t od, std::int64_t co, std::int64_t oh, const Scratch& scratch) const {
    const Col2VolRowsTiling& t = tiling_;
    return scratch.sums + ((od % t.kept_d * t.co + co) * t.axes[1].output + oh) * t.row();
  }

  void begin_plane(const Block& block, std::int64_t od, const Scratch& scratch) const {
    const std::int64_t size = tiling_.axes[1].output * tiling_.row();
    for (std::int64_t co = 0; co < tiling_.co; ++co)
      std::fill_n(row_of(od, co, 0, scratch), size, *bias_of(block.group * tiling_.co + co));
  }

  /// The products of these rows.
  void multiply(const Block& block, const Rows& rows, const Scratch& scratch) const {
    const Col2VolRowsTiling& t = tiling_;
    const ScatterAxis &h = t.axes[1], &w = t.axes[2];
    const std::int64_t voxels = rows.count * w.input;
    const T* const input = block.input + ((rows.id - block.first_id) * h.input + rows.ih) * w.input;
    if (t.long_rows()) {
      return long_rows_({.input = input,
                         .channel_stride = block.channel_stride,
                         .channels = t.ci,
                         .weights = weights_of(block.group, t.sets.front()),
                         .init = zeros(),
                         .columns = static_cast<int>(t.columns()),
                         .target = scratch.products,
                         .target_stride = t.pitch(),
                         .count = voxels});
    }
    const auto first_set = std::upper_bound(t.sets.begin(), t.sets.end(), rows.first_tap * t.tap_columns(),
                                            [](std::int64_t column, const RowSet& set) { return column < set.end(); });
    const auto last_set = std::lower_bound(t.sets.begin(), t.sets.end(), rows.end_tap * t.tap_columns(),
                                           [](const RowSet& set, std::int64_t column) { return set.first < column; });
    const std::span<const RowSet> sets(first_set, last_set);
    for (std::int64_t chunk = 0; chunk < t.chunks; ++chunk) {
      const std::int64_t ci = t.chunk_begin(chunk), channels = t.chunk_begin(chunk + 1) - ci;
      for (std::int64_t x = 0; x < voxels; x += t.strip) {
        strips_.multiply({.input = input + ci * block.channel_stride + x,
                          .channel_stride = block.channel_stride,
                          .channels = channels,
                          .count = std::min(t.strip, voxels - x),
                          .input_end = block.input_end},
                         sets, t.pitch(), scratch.packed, [&](const RowSet& set) {
                           return RowColumns<T>{.weights = weights_of(block.group, set) + ci * set.count,
                                                .init = chunk == 0 ? zeros() : nullptr,
                                                .target = scratch.products + set.first * t.pitch() + x};
                         });
      }
    }
  }

  /// These products to the rows of outputs that they are parts of: to those of all channels at once, or to as many of one
  /// channel as are made alike, whichever are more.
  void add(const Rows& rows, const Scratch& scratch) const {
    const Col2VolRowsTiling& t = tiling_;
    const auto& [d, h, w] = t.axes;
    for (std::int64_t td = rows.first_tap; td < rows.end_tap; ++td) {
      const T* const products = scratch.products + td * t.tap_columns() * t.pitch();
      T* const plane = row_of(d.output_of(rows.id, td), 0, 0, scratch);
      const std::int64_t channel_products = t.channel_columns() * t.pitch(), channel_outputs = h.output * t.row();
      for (const RowSum& sum : sums_.of_block(rows.ih)) {
        kernels::AddRowsArgs<T> args{.sources = products,
                                     .source_step = w.input,
                                     .rows = sums_.rows(sum),
                                     .count = sum.count,
                                     .lowest = sum.lowest,
                                     .highest = sum.highest,
                                     .length = w.input,
                                     .target = plane + sum.oh * t.row() + sum.residue * t.line(),
                                     .target_step = h.stride * t.row(),
                                     .targets = sum.rows_of_outputs};
        std::int64_t others = t.co, next_source = channel_products, next_target = channel_outputs;
        if (others > args.targets) {
          std::swap(others, args.targets);
          std::swap(next_source, args.source_step);
          std::swap(next_target, args.target_step);
        }
        for (std::int64_t i = 0; i < others; ++i, args.sources += next_source, args.target += next_target) add_rows_(args);
      }
    }
  }

  /// These products, each of which is an output but for the bias, to the output.
  void take_turns(const RunArgs& args, const Block& block, const Rows& rows, const Scratch& scratch) const {
    const Col2VolRowsTiling& t = tiling_;
    const auto& [d, h, w] = t.axes;
    // Where h has no stride, all rows are one.
    const std::int64_t at_once = h.stride == 1 ? rows.count : 1;
    for (std::int64_t td = rows.first_tap; td < rows.end_tap; ++td) {
      for (std::int64_t co = 0; co < t.co; ++co) {
        const std::int64_t channel = block.group * t.co + co;
        T* const plane = static_cast<T*>(args.output) + ((block.n * problem_.co + channel) * args.output_box.extent().d +
                                                         d.output_of(rows.id, td) - args.output_box.begin.d) *
                                                            h.output * w.output;
        for (std::int64_t i = 0; i < rows.count; i += at_once) {
          for (std::int64_t th = 0; th < h.kernel; ++th) {
            const std::int64_t column = (td * t.co + co) * t.channel_columns() + th * w.kernel;
            T* const target = plane + h.output_of(rows.ih + i, th) * w.output;
            interleave_({.sources = scratch.products + column * t.pitch() + i * w.input,
                         .source_step = t.pitch(),
                         .rows = w.kernel,
                         .added = *bias_of(channel),
                         .length = at_once * w.input,
                         .target = target});
            if (!epilogue_.empty()) epilogue_.on_row(channel, target, at_once * w.output);
          }
        }
      }
    }
  }

  void store(const RunArgs& args, const Block& block, std::int64_t od, const Scratch& scratch) const {
    const Col2VolRowsTiling& t = tiling_;
    const ScatterAxis &h = t.axes[1], &w = t.axes[2];
    const std::int64_t first_channel = block.group * t.co;
    T* target = static_cast<T*>(args.output) +
                ((block.n * problem_.co + first_channel) * args.output_box.extent().d + od - args.output_box.begin.d) *
                    h.output * w.output;
    for (std::int64_t co = 0; co < t.co; ++co) {
      T* row = target + co * args.output_box.extent().d * h.output * w.output;
      const T* const plane = row_of(od, co, 0, scratch);
      for (std::int64_t oh = 0; oh < h.output; ++oh, row += w.output) {
        const T* const from = plane + oh * t.row();
        if (w.stride == 1) {
          copy_row_(from + w.padding, row, w.output);
        } else {
          for (std::int64_t first = 0; first < std::min(w.stride, w.output); ++first) {
            const std::int64_t u = first + w.padding;
            const T* place = from + u % w.stride * t.line() + u / w.stride;
            for (std::int64_t ow = first; ow < w.output; ow += w.stride) row[ow] = *place++;
          }
        }
        if (!epilogue_.empty()) epilogue_.on_row(first_channel + co, row, w.output);
      }
    }
  }

  Problem problem_;
  Isa isa_;
  int threads_;
  Col2VolRowsTiling tiling_;
  Buffer weights_;
  RowSums sums_{tiling_};
  RowStrips<T> strips_{isa_, tiling_.strip};
  kernels::LongRowsFn<T> long_rows_ = kernels::long_rows<T>(isa_);
  kernels::InterleaveFn<T> interleave_ = kernels::interleave<T>(isa_);
  kernels::AddRowsFn<T> add_rows_ = kernels::add_rows<T>(isa_);
  kernels::CopyRowFn<T> copy_row_ = kernels::copy_row<T>(isa_);
  PackedEpilogue<T> epilogue_;
  mutable ScratchPool pool_;
};

/// function(tiling, T{}), with no tiling where the problem cannot be run; `reason` says why.
template <typename Function>
auto with_tiling(const Query& query, std::string& reason, Function&& function) {
  if (query.problem.dtype == DType::kFloat64) return function(col2vol_rows_tiling<double>(query, reason), double{});
  return function(col2vol_rows_tiling<float>(query, reason), float{});
}

template <typename Function>
auto with_tiling(const Query& query, Function&& function) {
  std::string reason;
  return with_tiling(query, reason, [&](const auto& tiling, auto zero) { return function(*tiling, zero); });
}

std::string rejects(const Query& query) {
  std::string reason;
  with_tiling(query, reason, [](const auto&, auto) {});
  return reason;
}

double seconds(const Query& query) {
  return with_tiling(query,
                     [&](const Col2VolRowsTiling& t, auto zero) { return col2vol_rows_seconds<decltype(zero)>(t, query); });
}

std::vector<LedgerEntry> ledger(const Query& query) {
  return with_tiling(query, [&](const Col2VolRowsTiling& t, auto zero) {
    using T = decltype(zero);
    return std::vector<LedgerEntry>{
        {"packed weights", Buffer::taken(Col2VolRows<T>::elements(query.problem, t) * static_cast<std::int64_t>(sizeof(T)))},
        {"lists of rows", RowSums::bytes(t)},
        {"products and output planes",
         query.threads * Buffer::taken(static_cast<std::int64_t>(Col2VolRows<T>::scratch_bytes(t)))}};
  });
}

PlaneReach reach(const Query& query) { return phase_reach(query.problem); }

std::string tiles(const Query& query) {
  return with_tiling(query, [](const Col2VolRowsTiling& t, auto) {
    return "blocks of " + std::to_string(t.block_d) + " output planes, products of " + std::to_string(t.block_h) +
           " rows with " + std::to_string(t.columns()) + " taps and channels";
  });
}

std::unique_ptr<Prepared> prepare(const Plan& plan, const void* weight, const void* bias, const Epilogue& epilogue) {
  const Query query{plan.problem, plan.machine, plan.threads};
  return with_tiling(query, [&](const Col2VolRowsTiling& t, auto zero) -> std::unique_ptr<Prepared> {
    using T = decltype(zero);
    return std::make_unique<Col2VolRows<T>>(plan, t, static_cast<const T*>(weight), static_cast<const T*>(bias), epilogue);
  });
}

}  // namespace

constexpr Algorithm kCol2VolRows = {"col2vol_rows", rejects, seconds, ledger, reach, tiles, prepare};

}  // namespace convt3d
