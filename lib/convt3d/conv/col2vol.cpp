// The col2vol algorithm: products first, then their sums; for kernels hardly smaller than the volume.
//
// The other algorithms gather: an output reads the inputs that it has a tap to, and where the kernel is large and the volume
// small, most of what is read is padding. Here each input is multiplied with all of its taps and channels, and these
// products, the columns (PyTorch's name for them, and for adding them up), are scattered. For one volume and one group:
//
//   for id: for td: od = id*stride - padding + td*dilation; if od lies in the volume:
//     P[ih, iw][th, tw, co] = Σ_ci in[ci, id, ih, iw] * w[ci, co, td, th, tw]
//     for ih, iw, th: for tw, co:  out[co, od, oh(ih, th), ow(iw, tw)] += P[ih, iw][th, tw, co]
//
// Lanes run over (th, tw, co), so that few output channels fill them as well as many, and no product is made for what lies
// outside of the volume along d. No column buffer of the volume exists: P holds a block of input voxels, and is added up
// while it is in the first caches. Rows that are added to have the channel innermost, [ow][co]: what a voxel adds to a row
// by all of its (tw, co) is one run of them. With a dilation it is too if outputs are kept by what they are modulo the
// dilation: u = ow + padding lies at [u mod dilation][u / dilation][co].
//
// A task computes some planes and channels of the output; planes that no input reaches any more are copied out. Sums are
// made in the inputs' order, by blocks of them that depend on the problem alone.
#include <algorithm>
#include <array>
#include <string>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/col2vol_tiling.hpp"
#include "convt3d/conv/col2vol_weights.hpp"
#include "convt3d/conv/direct_tiling.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/packed_epilogue.hpp"

namespace convt3d {
namespace {

using kernels::ColumnSum;

template <typename T>
class Col2Vol final : public Prepared {
 public:
  Col2Vol(const Plan& plan, const Col2VolTiling& tiling, const T* weight, const T* bias, const Epilogue& epilogue)
      : problem_(plan.problem),
        isa_(plan.machine.isa),
        threads_(plan.threads),
        tiling_(tiling),
        weights_(plan.problem, tiling, weight, bias),
        epilogue_(epilogue, plan.problem.co, plan.problem.groups, plan.machine.isa),
        pool_(scratch_bytes(tiling)) {}

  static std::size_t scratch_bytes(const Col2VolTiling& t) {
    const auto lists = t.most_sums() * (sizeof(ColumnSum) + sizeof(std::int64_t)) +
                       static_cast<std::size_t>(t.blocks_h() + t.axes[2].input) * sizeof(std::int64_t);
    return static_cast<std::size_t>(t.scratch_size()) * sizeof(T) + lists;
  }

  void run(const RunArgs& args) const override {
    const std::int64_t tasks = problem_.n * problem_.groups * tiling_.blocks_d * tiling_.chunks;
    run_tasks(threads_, tasks, pool_, args.observer,
              [&](std::int64_t task, void* memory) { run_task(args, task, lay_out(static_cast<T*>(memory))); });
  }

 private:
  struct Scratch {
    T* packed;                 ///< a block's voxels: [position][ci]
    T* columns;                ///< their products with one tap of d: [position][th][tw][co]
    T* sums;                   ///< output planes being added to: [od modulo kept_d][oh][place along w][co]
    T* bias;                   ///< a row of these before anything is added
    ColumnSum* sums_of_rows;   ///< of each row of the input on: which rows of the output its block is added to
    std::int64_t* sources;     ///< and the columns that are
    std::int64_t* sum_counts;  ///< of each block of rows
    std::int64_t* starts;      ///< of each voxel of a row: where in a row of the output its columns are added
  };

  /// Planes [begin, end) of the output of one volume, for one chunk of a group's channels.
  struct Block {
    std::int64_t n, group, chunk;
    std::int64_t begin, end;
  };

  /// Voxels of one plane of the input: whole rows, or a part of one.
  struct Voxels {
    std::int64_t id, ih, iw, rows, columns;

    std::int64_t count() const { return rows * columns; }
  };

  Scratch lay_out(T* memory) const {
    const Col2VolTiling& t = tiling_;
    Scratch scratch{};
    scratch.packed = memory;
    scratch.columns = scratch.packed + t.packed_size();
    scratch.sums = scratch.columns + t.columns_size();
    scratch.bias = scratch.sums + t.sums_size();
    const std::size_t most = t.most_sums(), blocks = static_cast<std::size_t>(t.blocks_h());
    scratch.sums_of_rows = new (memory + t.scratch_size()) ColumnSum[most];
    scratch.sources = new (scratch.sums_of_rows + most) std::int64_t[most];
    scratch.sum_counts = new (scratch.sources + most) std::int64_t[blocks];
    scratch.starts = new (scratch.sum_counts + blocks) std::int64_t[static_cast<std::size_t>(t.axes[2].input)];
    return scratch;
  }

  void run_task(const RunArgs& args, std::int64_t task, const Scratch& scratch) const {
    const ScatterAxis& d = tiling_.axes[0];
    TaskDigits digits(task);
    Block block{};
    block.chunk = digits.next(tiling_.chunks);
    block.begin = digits.next(tiling_.blocks_d) * tiling_.block_d;
    block.end = std::min({block.begin + tiling_.block_d, d.output, args.wanted.end});
    block.begin = std::max(block.begin, args.wanted.begin);
    if (block.begin >= block.end) return;
    block.group = digits.next(problem_.groups);
    block.n = digits.rest();

    const T* bias = weights_.bias(block.group, block.chunk);
    for (std::int64_t i = 0; i < tiling_.row; ++i) scratch.bias[i] = bias[i % tiling_.chunk];
    list_sums(scratch);
    scatter(
        d, {block.begin, block.end}, [&](std::int64_t od) { begin_plane(plane_of(od, scratch), scratch); },
        [&](std::int64_t id) { add_plane(id, args, block, scratch); },
        [&](std::int64_t od) { store(args, block, od, plane_of(od, scratch)); });
  }

  /// What a plane of the input adds to the block.
  void add_plane(std::int64_t id, const RunArgs& args, const Block& block, const Scratch& scratch) const {
    const ScatterAxis &h = tiling_.axes[1], &w = tiling_.axes[2];
    for (std::int64_t ih = 0; ih < h.input; ih += tiling_.block_h) {
      for (std::int64_t iw = 0; iw < w.input; iw += tiling_.block_w) {
        add({.id = id,
             .ih = ih,
             .iw = iw,
             .rows = std::min(tiling_.block_h, h.input - ih),
             .columns = std::min(tiling_.block_w, w.input - iw)},
            args, block, scratch);
      }
    }
  }

  T* plane_of(std::int64_t od, const Scratch& scratch) const {
    return scratch.sums + od % tiling_.kept_d * tiling_.axes[1].output * tiling_.row;
  }

  void begin_plane(T* plane, const Scratch& scratch) const {
    for (std::int64_t oh = 0; oh < tiling_.axes[1].output; ++oh)
      std::copy_n(scratch.bias, tiling_.row, plane + oh * tiling_.row);
  }

  /// Everything that these voxels add to the block.
  void add(const Voxels& voxels, const RunArgs& args, const Block& block, const Scratch& scratch) const {
    const Col2VolTiling& t = tiling_;
    const ScatterAxis& d = t.axes[0];
    pack(voxels, args, block, scratch);
    constexpr kernels::ProductTap kOnlyTap;
    for (std::int64_t td = d.first_tap(voxels.id, block.begin); td < d.kernel; ++td) {
      const std::int64_t od = d.output_of(voxels.id, td);
      if (od >= block.end) break;
      for (std::int64_t first = 0; first < t.vectors(); first += Col2VolWeights<T>::kNr) {
        kernels::ProductArgs<T> product{.a = scratch.packed,
                                        .lda = t.ld,
                                        .positions = voxels.count(),
                                        .taps = &kOnlyTap,
                                        .tap_count = 1,
                                        .k = t.ci,
                                        .b = weights_.columns(block.group, block.chunk, td, first),
                                        .nr = static_cast<int>(std::min(Col2VolWeights<T>::kNr, t.vectors() - first)),
                                        .init = nullptr,
                                        .c = {},
                                        .ldc = t.columns()};
        for (int j = 0; j < product.nr; ++j) product.c[j] = scratch.columns + (first + j) * t.lanes;
        product_(product);
      }
      fold_({.columns = scratch.columns,
             .ld = t.columns(),
             .positions = voxels.columns,
             .sums = scratch.sums_of_rows + voxels.ih * t.axes[1].kernel,
             .sum_count = scratch.sum_counts[voxels.ih / t.block_h],
             .sources = scratch.sources + voxels.ih * t.axes[1].kernel,
             .starts = scratch.starts + voxels.iw,
             .run = t.run(),
             .rows = plane_of(od, scratch)});
    }
  }

  void pack(const Voxels& voxels, const RunArgs& args, const Block& block, const Scratch& scratch) const {
    const Box3& box = args.input_box;
    const Extent3 have = box.extent();
    const std::int64_t channel_stride = have.d * have.h * have.w;
    const T* source =
        static_cast<const T*>(args.input) + (block.n * problem_.ci + block.group * tiling_.ci) * channel_stride;
    pack_({.source = source + ((voxels.id - box.begin.d) * have.h + voxels.ih) * have.w + voxels.iw,
           .channel_stride = channel_stride,
           .channels = tiling_.ci,
           .padded_channels = tiling_.ci,
           .count = voxels.count(),
           .target = scratch.packed,
           .ld = tiling_.ld});
  }

  /// Lists which columns are added where.
  void list_sums(const Scratch& scratch) const {
    const Col2VolTiling& t = tiling_;
    const auto& [d, h, w] = t.axes;
    for (std::int64_t first = 0; first < h.input; first += t.block_h) {
      const std::int64_t end = std::min(first + t.block_h, h.input);
      ColumnSum* sum = scratch.sums_of_rows + first * h.kernel;
      std::int64_t* source = scratch.sources + first * h.kernel;
      for (std::int64_t oh = std::max<std::int64_t>(0, h.output_of(first, 0));
           oh <= std::min(h.output_of(end - 1, h.kernel - 1), h.output - 1); ++oh) {
        const std::int64_t* const begin = source;
        for (std::int64_t ih = std::max(first, h.first_input(oh)); ih < end && h.output_of(ih, 0) <= oh; ++ih) {
          const std::int64_t th = h.first_tap(ih, oh);
          if (h.output_of(ih, th) == oh) *source++ = (ih - first) * w.input * t.columns() + th * t.run();
        }
        if (source > begin) *sum++ = {.target = oh * t.row, .count = source - begin};
      }
      scratch.sum_counts[first / t.block_h] = sum - (scratch.sums_of_rows + first * h.kernel);
    }
    for (std::int64_t iw = 0; iw < w.input; ++iw) scratch.starts[iw] = t.output_place(w.output_of(iw, 0));
  }

  void store(const RunArgs& args, const Block& block, std::int64_t od, const T* plane) const {
    const Col2VolTiling& t = tiling_;
    const Box3& box = args.output_box;
    const Extent3 have = box.extent();
    const std::int64_t channel_stride = have.d * have.h * have.w;
    const std::int64_t first = block.group * t.co + block.chunk * t.chunk;
    const std::int64_t channels = std::min(t.chunk, t.co - block.chunk * t.chunk);
    T* target = static_cast<T*>(args.output) + (block.n * problem_.co + first) * channel_stride +
                (od - box.begin.d) * have.h * have.w;
    for (std::int64_t oh = 0; oh < have.h; ++oh, target += have.w) {
      store_row(plane + oh * t.row, channels, have.w, target, channel_stride);
      for (std::int64_t c = 0; c < channels; ++c) epilogue_.on_row(first + c, target + c * channel_stride, have.w);
    }
  }

  void store_row(const T* row, std::int64_t channels, std::int64_t count, T* target, std::int64_t channel_stride) const {
    const Col2VolTiling& t = tiling_;
    const std::int64_t dilation = t.axes[2].dilation;
    if (dilation == 1) {
      for (std::int64_t c = 0; c < channels; c += t.lanes) {
        unpack_({.staging = row + t.output_place(0) + c,
                 .ld = t.chunk,
                 .channels = std::min(t.lanes, channels - c),
                 .count = count,
                 .target = target + c * channel_stride,
                 .channel_stride = channel_stride});
      }
      return;
    }
    for (std::int64_t c = 0; c < channels; ++c, ++row, target += channel_stride) {
      for (std::int64_t first = 0; first < std::min(dilation, count); ++first) {
        const T* from = row + t.output_place(first);
        for (std::int64_t ow = first; ow < count; ow += dilation, from += t.chunk) target[ow] = *from;
      }
    }
  }

  Problem problem_;
  Isa isa_;
  int threads_;
  Col2VolTiling tiling_;
  Col2VolWeights<T> weights_;
  kernels::PackFn<T> pack_ = kernels::pack_row<T>(isa_);
  kernels::ProductFn<T> product_ = kernels::product<T>(isa_);
  kernels::UnpackFn<T> unpack_ = kernels::unpack_row<T>(isa_);
  kernels::FoldColumnsFn<T> fold_ = kernels::fold_columns<T>(isa_);
  PackedEpilogue<T> epilogue_;
  mutable ScratchPool pool_;
};

/// function(tiling, T{}), with no tiling where the problem cannot be run; `reason` says why.
template <typename Function>
auto with_tiling(const Query& query, std::string& reason, Function&& function) {
  if (query.problem.dtype == DType::kFloat64) return function(col2vol_tiling<double>(query, reason), double{});
  return function(col2vol_tiling<float>(query, reason), float{});
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
  return with_tiling(query, [&](const Col2VolTiling& t, auto zero) { return col2vol_seconds<decltype(zero)>(t, query); });
}

std::vector<LedgerEntry> ledger(const Query& query) {
  return with_tiling(query, [&](const Col2VolTiling& t, auto zero) {
    using T = decltype(zero);
    return std::vector<LedgerEntry>{
        {"packed weights",
         Buffer::taken(Col2VolWeights<T>::elements(query.problem, t) * static_cast<std::int64_t>(sizeof(T)))},
        {"voxels, columns and output planes",
         query.threads * Buffer::taken(static_cast<std::int64_t>(Col2Vol<T>::scratch_bytes(t)))}};
  });
}

PlaneReach reach(const Query& query) { return phase_reach(query.problem); }

std::string tiles(const Query& query) {
  return with_tiling(query, [](const Col2VolTiling& t, auto) {
    return "blocks of " + std::to_string(t.block_d) + " output planes and " + std::to_string(t.chunk) + " channels, " +
           std::to_string(t.columns()) + " columns at a time";
  });
}

std::unique_ptr<Prepared> prepare(const Plan& plan, const void* weight, const void* bias, const Epilogue& epilogue) {
  return with_tiling(
      {plan.problem, plan.machine, plan.threads}, [&](const Col2VolTiling& t, auto zero) -> std::unique_ptr<Prepared> {
        using T = decltype(zero);
        return std::make_unique<Col2Vol<T>>(plan, t, static_cast<const T*>(weight), static_cast<const T*>(bias), epilogue);
      });
}

}  // namespace

constexpr Algorithm kCol2Vol = {"col2vol", rejects, seconds, ledger, reach, tiles, prepare};

}  // namespace convt3d
