// The direct algorithm: any problem, lanes over output channels.
//
// The naive program, for one volume and one group, after docs/math.md's regrouping of outputs into phases f:
//
//   for f: for q: for co:
//     out[co, f.out_begin + q*stride] = bias[co] + Σ_tap Σ_ci in[ci, q + tap.offset] · w[ci, co, tap.kernel]
//
// Steps from there to here:
// 1. Output positions q are cut into blocks. A block's input, halo included, is packed once into a panel [row][w][ci], with
//    zeros where the volume ends, and serves every phase and every output channel. A strided convolution has one phase,
//    whose positions lie input_stride columns apart.
// 2. For a phase and a chunk of output channels, the sums over (tap, ci) are matrix products of panel positions with packed
//    weights [tap][ci][co lanes]: the kernel `product`.
// 3. Few channels are few terms, and the kernel should not start anew for each tap of w: where a phase's taps along w read
//    neighbouring columns, which lie side by side in the panel, their offsets descend one by one, so that with the weights
//    of w turned round the terms of w and ci are one run, from the last tap's input on. Dilated taps, and those of so many
//    channels that columns are padded, remain runs of their own.
// 4. Rows with the same taps are one call of the kernel, which multiplies several short ones at once: positions of one alone
//    are too few sums to hide the multiply-add's latency, and load each weight for a few multiplications.
// 5. The phases along h and w write interleaved into staging rows [oh][ow][co lanes]; when complete they are transposed into
//    NCDHW rows: every output is written once, by one task. Whole rows run on in both, as one long row: short ones fill
//    vectors, and past the caches go whole lines, however long a row is (lane_store.hpp).
// 6. Taps outside the volume along d and h are left out of a row's sums. Along w the panel's zeros are multiplied, but where
//    kernels reach far over the ends of short rows: there direct_cropped.cpp takes the place of steps 1 and 2.
//
// gemm_bfloat16 is the same of half as many channels, each of them a word of two rounded to bfloat16.
#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/direct_cropped.hpp"
#include "convt3d/conv/direct_tiling.hpp"
#include "convt3d/conv/direct_weights.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/lane_store.hpp"
#include "convt3d/conv/packed_epilogue.hpp"
#include "convt3d/conv/phases.hpp"
#include "convt3d/conv/thread_taps.hpp"

namespace convt3d {
namespace {

using kernels::ProductArgs;
using kernels::ProductTap;

/// The problem as its products are of words of two bfloat16.
Problem in_pairs(Problem problem) {
  problem.ci = ceil_div(problem.ci / problem.groups, 2) * problem.groups;
  return problem;
}

template <typename T>
class Direct final : public Prepared {
 public:
  /// With `pairs`, T = float, the tiling's channels are words of two.
  Direct(const Plan& plan, const T* weight, const T* bias, const Epilogue& epilogue, bool pairs = false)
      : problem_(plan.problem),
        isa_(plan.machine.isa),
        threads_(plan.threads),
        pairs_(pairs),
        tiling_(direct_tiling<T>({pairs ? in_pairs(plan.problem) : plan.problem, plan.machine, plan.threads})),
        weights_(plan.problem, tiling_, weight, bias, pairs),
        epilogue_(epilogue, plan.problem.co, plan.problem.groups, plan.machine.isa),
        pool_(scratch_bytes(tiling_, pairs)) {
    if constexpr (std::is_same_v<T, float>) {
      if (pairs_) product_ = kernels::product_bfloat16();
    }
  }

  static std::size_t scratch_bytes(const DirectTiling& t, bool pairs) {
    const std::int64_t wide_row = pairs ? 2 * t.ci * t.panel.w : 0;
    return static_cast<std::size_t>(round_up(t.panel_size, t.lanes) + t.staging_size + wide_row) * sizeof(T);
  }

  void run(const RunArgs& args) const override {
    const std::int64_t tasks =
        problem_.n * problem_.groups * tiling_.blocks.d * tiling_.blocks.h * tiling_.blocks.w * tiling_.splits;
    run_tasks(threads_, tasks, pool_, args.observer, [&](std::int64_t task, void* scratch) {
      T* panel = static_cast<T*>(scratch);
      run_task(args, task, panel, panel + round_up(tiling_.panel_size, tiling_.lanes));
    });
  }

 private:
  using Block = DirectBlock;

  void run_task(const RunArgs& args, std::int64_t task, T* panel, T* staging) const {
    const DirectTiling& t = tiling_;
    TaskDigits digits(task);
    Block block{};
    const std::int64_t split = digits.next(t.splits);
    for (int axis = 2; axis >= 0; --axis) {
      block.begin[axis] = digits.next(t.blocks[axis]) * t.block[axis];
      block.end[axis] = std::min(block.begin[axis] + t.block[axis], t.axes[static_cast<std::size_t>(axis)].positions);
    }
    block.begin.d = std::max(block.begin.d, args.wanted.begin / problem_.stride.d);
    block.end.d = std::min(block.end.d, ceil_div(args.wanted.end, problem_.stride.d));
    if (block.begin.d >= block.end.d) return;
    block.group = digits.next(problem_.groups);
    block.n = digits.rest();
    block.first_chunk = t.chunks * split / t.splits;
    block.last_chunk = t.chunks * (split + 1) / t.splits;

    if (t.crop) {
      cropped_.pack(args, block, panel);
    } else {
      pack_panel(args, block, panel);
    }
    for (std::size_t fd = 0; fd < t.axes[0].phases.size(); ++fd) {
      for (std::int64_t chunk = block.first_chunk; chunk < block.last_chunk; ++chunk) {
        for (std::size_t fh = 0; fh < t.axes[1].phases.size(); ++fh) {
          for (std::size_t fw = 0; fw < t.axes[2].phases.size(); ++fw) {
            if (t.crop) {
              cropped_.multiply(block, {fd, fh, fw}, chunk, panel, staging);
            } else {
              run_phase(block, {fd, fh, fw}, chunk, panel, staging);
            }
          }
        }
        store(args, block, fd, chunk, staging);
      }
    }
  }

  /// Rows of input into columns of the panel, a row of the panel apart; into words of two channels by way of `wide_row`.
  void pack_columns(const T* source, std::int64_t channel_stride, std::int64_t rows, std::int64_t columns, T* target,
                    T* wide_row) const {
    const DirectTiling& t = tiling_;
    kernels::PackArgs<T> args = {.source = source,
                                 .channel_stride = channel_stride,
                                 .channels = channels_,
                                 .padded_channels = channels_,
                                 .count = columns,
                                 .target = target,
                                 .ld = t.ld,
                                 .rows = rows,
                                 .row_stride = t.panel.w * t.ld};
    if constexpr (std::is_same_v<T, float>) {
      if (pairs_) {
        args.padded_channels = args.ld = 2 * t.ci;
        args.target = wide_row;
        pack_(args);
        return narrow_({.source = wide_row,
                        .source_ld = args.ld,
                        .columns = columns,
                        .pairs = t.ci,
                        .target = target,
                        .target_ld = t.ld});
      }
    }
    pack_(args);
  }

  void pack_panel(const RunArgs& args, const Block& block, T* panel) const {
    const DirectTiling& t = tiling_;
    const Box3& box = args.input_box;
    const Extent3 have = box.extent();
    const std::int64_t channel_stride = have.d * have.h * have.w;
    const T* source = static_cast<const T*>(args.input) + (block.n * problem_.ci + block.group * channels_) * channel_stride;
    T* const wide_row = panel + round_up(t.panel_size, t.lanes) + t.staging_size;
    const std::int64_t rows = t.axes[0].span(block.end.d - block.begin.d) * t.panel.h;
    const std::int64_t row_size = t.panel.w * t.ld;
    const std::int64_t first = block.begin.w * t.axes[2].stride + t.axes[2].lowest;  // input of column 0
    const std::int64_t begin = std::clamp<std::int64_t>(box.begin.w - first, 0, t.panel.w);
    const std::int64_t end = std::clamp<std::int64_t>(box.end.w - first, begin, t.panel.w);
    // Rows that lie side by side in the volume are packed together.
    const bool joins_rows = !pairs_ && t.axes[1].stride == 1 && end - begin == have.w;
    std::int64_t at_once = 1;
    for (std::int64_t r = 0; r < rows; r += at_once) {
      at_once = 1;
      if (!t.axes[0].reads(r / t.panel.h) || !t.axes[1].reads(r % t.panel.h)) continue;
      const std::int64_t id = block.begin.d * t.axes[0].stride + t.axes[0].lowest + r / t.panel.h;
      const std::int64_t ih = block.begin.h * t.axes[1].stride + t.axes[1].lowest + r % t.panel.h;
      T* const row = panel + r * row_size;
      if (id < box.begin.d || id >= box.end.d || ih < box.begin.h || ih >= box.end.h || begin == end) {
        std::fill(row, row + row_size, T{0});
        continue;
      }
      if (joins_rows) at_once = std::min(t.panel.h - r % t.panel.h, box.end.h - ih);
      const T* const from = source + ((id - box.begin.d) * have.h + ih - box.begin.h) * have.w + first + begin - box.begin.w;
      pack_columns(from, channel_stride, at_once, end - begin, row + begin * t.ld, wide_row);
      for (std::int64_t i = 0; i < at_once; ++i) {
        T* const its_row = row + i * row_size;
        std::fill(its_row, its_row + begin * t.ld, T{0});
        std::fill(its_row + end * t.ld, its_row + row_size, T{0});
      }
    }
  }

  /// The product's taps: of these ranges along d and h and all along w, where `run` at a time are one, of `run_weights`
  /// weights.
  void list_taps(const std::array<const AxisPhase*, 3>& f, TapRange range_d, TapRange range_h, std::int64_t run,
                 std::int64_t run_weights, std::vector<ProductTap>& taps) const {
    const DirectTiling& t = tiling_;
    const auto offset = [&](int axis, std::int64_t tap) { return f[axis]->taps[static_cast<std::size_t>(tap)].offset; };
    const std::int64_t taps_h = std::ssize(f[1]->taps), taps_w = std::ssize(f[2]->taps);
    taps.clear();
    for (std::int64_t td = range_d.begin; td < range_d.end; ++td) {
      for (std::int64_t th = range_h.begin; th < range_h.end; ++th) {
        const std::int64_t row = (offset(0, td) - t.axes[0].lowest) * t.panel.h + offset(1, th) - t.axes[1].lowest;
        for (std::int64_t tw = taps_w - 1; tw >= 0; tw -= run) {  // from the lowest offset on
          const std::int64_t before = (td * taps_h + th) * taps_w + taps_w - 1 - tw;
          const std::int64_t column = row * t.panel.w + offset(2, tw) - t.axes[2].lowest;
          taps.push_back({column * t.ld, before / run * run_weights});
        }
      }
    }
  }

  /// The products of one phase into its places of the staging rows.
  void run_phase(const Block& block, const std::array<std::size_t, 3>& f, std::int64_t chunk, const T* panel,
                 T* staging) const {
    const DirectTiling& t = tiling_;
    const AxisPhase& d = t.axes[0].phases[f[0]];
    const AxisPhase& h = t.axes[1].phases[f[1]];
    const AxisPhase& w = t.axes[2].phases[f[2]];
    const std::int64_t vectors = t.chunk_vectors(chunk);
    const std::int64_t columns = std::min(w.count, block.end.w) - block.begin.w;
    const std::int64_t rows_d = std::min(d.count, block.end.d) - block.begin.d;
    if (columns <= 0) return;

    std::vector<ProductTap>& taps = thread_taps();
    const std::int64_t run = t.joins_w ? std::ssize(w.taps) : 1;  // taps that are one to the product
    const std::int64_t run_weights = run * t.ci * vectors * t.lanes;
    ProductArgs<T> args{.a = nullptr,
                        .lda = t.ld * t.axes[2].stride,
                        .positions = 0,
                        .row_a = t.axes[1].stride * t.panel.w * t.ld,
                        .taps = nullptr,
                        .tap_count = 0,
                        .k = run * t.ci,
                        .b = weights_.phase(block.group, chunk, f),
                        .nr = static_cast<int>(vectors),
                        .init = weights_.bias(block.group, chunk),
                        .c = {},
                        .ldc = w.out_step * t.lanes,
                        .row_c = h.out_step * t.staging_row()};
    // Rows of the same taps are one product, and one row where they follow one another in the panel and the staging rows.
    const bool joins_rows = columns == t.panel.w && t.axes[1].stride == 1 && h.out_step == 1;
    std::optional<std::array<TapRange, 2>> listed;
    for (std::int64_t qd = 0; qd < rows_d; ++qd) {
      const TapRange range_d = inside_taps(d, (block.begin.d + qd) * t.axes[0].stride, problem_.input.d);
      for (const AlikePositions& alike : t.alike_h[f[1]]) {
        const std::int64_t first = std::max(alike.begin, block.begin.h), end = std::min(alike.end, block.end.h);
        if (first >= end) continue;
        if (const std::array ranges = {range_d, alike.taps}; listed != ranges) {
          list_taps({&d, &h, &w}, range_d, alike.taps, run, run_weights, taps);
          listed = ranges;
          args.taps = taps.data();
          args.tap_count = std::ssize(taps);
        }
        const std::int64_t qh = first - block.begin.h;
        args.a = panel + qd * t.axes[0].stride * t.panel.h * t.panel.w * t.ld + qh * args.row_a;
        args.positions = joins_rows ? (end - first) * columns : columns;
        args.rows = joins_rows ? 1 : end - first;
        T* const row =
            staging + (qd * t.staging_rows() + h.out_begin) * t.staging_row() + qh * args.row_c + w.out_begin * t.lanes;
        for (std::int64_t j = 0; j < vectors; ++j) args.c[j] = row + j * t.staging_vector();
        product_(args);
      }
    }
  }

  /// The staging rows into the output, as many at once as follow one another in both.
  void store(const RunArgs& args, const Block& block, std::size_t fd, std::int64_t chunk, T* staging) const {
    const DirectTiling& t = tiling_;
    const AxisPhase& d = t.axes[0].phases[fd];
    const Box3& box = args.output_box;
    const Extent3 have = box.extent();
    const std::int64_t zero_w = block.begin.w * problem_.stride.w, zero_h = block.begin.h * problem_.stride.h;
    const std::int64_t first_w = std::max(zero_w, box.begin.w), first_h = std::max(zero_h, box.begin.h);
    const std::int64_t columns = std::min(block.end.w * problem_.stride.w, box.end.w) - first_w;
    const std::int64_t rows = std::min(block.end.h * problem_.stride.h, box.end.h) - first_h;
    const auto od = [&](std::int64_t qd) { return d.out_begin + qd * d.out_step; };
    std::int64_t first_d = block.begin.d, end_d = std::min(d.count, block.end.d);
    while (first_d < end_d && od(first_d) < args.wanted.begin) ++first_d;
    while (first_d < end_d && od(end_d - 1) >= args.wanted.end) --end_d;

    const bool joins_rows = columns == have.w && columns * t.lanes == t.staging_row();
    const bool joins_planes = joins_rows && rows == have.h && rows == t.staging_rows() && d.out_step == 1;
    const std::int64_t rows_at_once = joins_rows ? rows : 1, planes_at_once = joins_planes ? end_d - first_d : 1;
    const std::int64_t count = columns * rows_at_once * planes_at_once;
    constexpr std::int64_t kLongRun = 128;
    const bool stream = args.stream && (count >= kLongRun || count % t.lanes == 0);
    for (std::int64_t j = 0; j < t.chunk_vectors(chunk); ++j) {
      const std::int64_t co = (chunk * t.nr + j) * t.lanes;
      LaneStore<T> store(epilogue_, unpack_, t.lanes, lane_target<T>(args, problem_, block.n, block.group, co, t.lanes),
                         stream);
      for (std::int64_t qd = first_d; qd < end_d; qd += planes_at_once) {
        for (std::int64_t i = 0; i < rows; i += rows_at_once) {
          const std::int64_t oh = first_h + i;
          const std::int64_t row = (qd - block.begin.d) * t.staging_rows() + oh - zero_h;
          T* const from = staging + j * t.staging_vector() + row * t.staging_row() + (first_w - zero_w) * t.lanes;
          store.put(from, ((od(qd) - box.begin.d) * have.h + oh - box.begin.h) * have.w + first_w - box.begin.w, count);
        }
      }
    }
  }

  Problem problem_;
  Isa isa_;
  int threads_;
  bool pairs_;
  DirectTiling tiling_;
  DirectWeights<T> weights_;
  CroppedProducts<T> cropped_{problem_, tiling_, weights_, isa_};  ///< in use with tiling_.crop
  std::int64_t channels_ = problem_.ci / problem_.groups;
  kernels::ProductFn<T> product_ = kernels::product<T>(isa_);
  kernels::PackFn<T> pack_ = kernels::pack_row<T>(isa_);
  kernels::UnpackFn<T> unpack_ = kernels::unpack_row<T>(isa_);
  kernels::NarrowFn narrow_ = kernels::narrow_to_bfloat16();
  PackedEpilogue<T> epilogue_;
  mutable ScratchPool pool_;
};

template <typename Function>
auto with_tiling(const Query& query, Function&& function) {
  if (query.problem.dtype == DType::kFloat64) return function(direct_tiling<double>(query), double{});
  return function(direct_tiling<float>(query), float{});
}

std::string rejects(const Query&) { return ""; }

double seconds(const Query& query) {
  return with_tiling(query, [&](const DirectTiling& t, auto zero) { return direct_seconds<decltype(zero)>(t, query); });
}

std::vector<LedgerEntry> ledger(const Query& query) {
  return with_tiling(query, [&](const DirectTiling& t, auto zero) {
    using T = decltype(zero);
    return std::vector<LedgerEntry>{
        {"packed weights",
         Buffer::taken(DirectWeights<T>::elements(query.problem, t) * static_cast<std::int64_t>(sizeof(T)))},
        {"panels and staging rows",
         query.threads * Buffer::taken(static_cast<std::int64_t>(Direct<T>::scratch_bytes(t, false)))}};
  });
}

PlaneReach reach(const Query& query) { return phase_reach(query.problem); }

std::string tiles(const Query& query) {
  return with_tiling(query, [](const DirectTiling& t, auto) {
    return "blocks of " + to_string(t.block) + " positions, " + std::to_string(t.nr * t.lanes) +
           " output channels at a time" + (t.crop ? ", each tap along w where its input is inside" : "");
  });
}

std::string rejects_pairs(const Query& query) {
  const Problem& p = query.problem;
  if (is_strided(p)) return kNoInputStride;
  if (!p.bfloat16) return "the layer does not ask for bfloat16";
  if (!query.machine.bfloat16) return "this machine has no AVX-512 BF16";
  return "";
}

/// The tiling of words.
DirectTiling tiling_in_pairs(const Query& query) {
  return direct_tiling<float>({in_pairs(query.problem), query.machine, query.threads});
}

double seconds_in_pairs(const Query& query) {
  return direct_seconds<float>(tiling_in_pairs(query), {in_pairs(query.problem), query.machine, query.threads});
}

std::vector<LedgerEntry> ledger_in_pairs(const Query& query) {
  const DirectTiling t = tiling_in_pairs(query);
  const auto element = static_cast<std::int64_t>(sizeof(float));
  return {{"packed weights", Buffer::taken(DirectWeights<float>::elements(query.problem, t) * element)},
          {"panels and staging rows",
           query.threads * Buffer::taken(static_cast<std::int64_t>(Direct<float>::scratch_bytes(t, true)))}};
}

std::unique_ptr<Prepared> prepare_pairs(const Plan& plan, const void* weight, const void* bias, const Epilogue& epilogue) {
  return std::make_unique<Direct<float>>(plan, static_cast<const float*>(weight), static_cast<const float*>(bias), epilogue,
                                         /*pairs=*/true);
}

}  // namespace

constexpr Algorithm kDirect = {"direct", rejects, seconds, ledger, reach, tiles, prepare_in_dtype<Direct>};
constexpr Algorithm kGemmBfloat16 = {"gemm_bfloat16", rejects_pairs, seconds_in_pairs, ledger_in_pairs,
                                     reach,           tiles,         prepare_pairs};

}  // namespace convt3d
