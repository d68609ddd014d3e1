// The direct algorithm, lanes along w, for layers whose kernels have one tap along w, without strides there and along h:
// those over time or across slices, (3, 1, 1) or (1, 5, 1). Rows of outputs are sums of rows of inputs, which lie as the
// outputs do:
//
//   for (od, oh): for co: for w: out[co, od, oh, w] = bias[co] + Σ_td,th Σ_ci in[ci, d(od, td), h(oh, th), w] · w[ci, co,
//   td, th]
//
// So nothing is packed, transposed or kept: rows are read, and results written, where they lie.
// 1. Rows of a plane follow one another in the input as in the output: those that have the same taps inside the volume, all
//    but the first and last ones, are one long row.
// 2. A long row is cut into strips, as wide as registers hold for one set of columns (output channels,
//    kernels/row_product.cpp). What would go on behind its end is computed with some of what stands before, once more and
//    to the same results, so that nothing is read or written behind it. A set goes over several strips before the next one
//    does, so that it writes long runs.
// 3. Taps outside the volume are left out; what has none is the bias.
// 4. Tasks are pieces of planes, planes first: a piece of the next output plane reads most of what this one read.
#include <algorithm>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/direct_rows_tiling.hpp"
#include "convt3d/conv/direct_tiling.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/row_product.hpp"
#include "convt3d/conv/packed_epilogue.hpp"

namespace convt3d {
namespace {

using kernels::RowTap;

template <typename T>
class DirectRows final : public Prepared {
 public:
  DirectRows(const Plan& plan, const T* weight, const T* bias, const Epilogue& epilogue)
      : problem_(plan.problem),
        isa_(plan.machine.isa),
        threads_(plan.threads),
        tiling_(direct_rows_tiling<T>({plan.problem, plan.machine, plan.threads})),
        weights_(static_cast<std::size_t>(elements(plan.problem)) * sizeof(T)),
        epilogue_(epilogue, plan.problem.co, plan.problem.groups, plan.machine.isa),
        pool_(scratch_bytes(plan.problem)) {
    pack_weights(weight, bias);
  }

  /// Weights [group][set][td][th][ci][column], then the bias.
  static std::int64_t elements(const Problem& p) { return weight_size(p) + p.co; }

  /// A list of taps.
  static std::size_t scratch_bytes(const Problem& p) {
    return static_cast<std::size_t>(p.kernel.d * p.kernel.h) * sizeof(RowTap);
  }

  void run(const RunArgs& args) const override {
    const std::int64_t planes = ceil_div(args.wanted.count(), tiling_.planes);
    const std::int64_t tasks = problem_.n * problem_.groups * tiling_.blocks * tiling_.pieces * planes;
    run_tasks(threads_, tasks, pool_, args.observer,
              [&](std::int64_t task, void* scratch) { run_task(args, task, scratch); });
  }

 private:
  /// A piece of an output plane, for some output channels of a group.
  struct Block {
    std::int64_t group = 0, od = 0;
    std::span<const RowSet> sets;
    const T* input = nullptr;  ///< the group's first channel
    std::int64_t input_stride = 0;
    std::int64_t first_id = 0;  ///< the plane that `input` points to
    T* output = nullptr;        ///< the plane of the group's first channel
    std::int64_t output_stride = 0;
    bool stream = false;     ///< past the caches, where runs begin with a line
    bool exceeds = false;    ///< the caches
    RowTap* taps = nullptr;  ///< room for all
  };

  /// Voxels of rows that have these taps.
  struct Run {
    std::span<const RowTap> taps;
    std::int64_t first = 0;  ///< in the output plane
    std::int64_t count = 0;
  };

  void pack_weights(const T* weight, const T* bias) {
    const DirectRowsTiling& t = tiling_;
    const std::int64_t taps = problem_.kernel.d * problem_.kernel.h;
    T* target = static_cast<T*>(weights_.data());
    for (std::int64_t group = 0; group < problem_.groups; ++group) {
      for (const RowSet& set : t.sets) {
        for (std::int64_t tap = 0; tap < taps; ++tap) {
          for (std::int64_t c = 0; c < t.ci; ++c) {
            for (std::int64_t p = 0; p < set.count; ++p)
              *target++ = weight[((group * t.ci + c) * t.co + set.first + p) * taps + tap];
          }
        }
      }
    }
    for (std::int64_t co = 0; co < problem_.co; ++co) *target++ = bias != nullptr ? bias[co] : T{0};
  }

  const T* weights_of(std::int64_t group, const RowSet& set) const {
    const std::int64_t terms = tiling_.ci * problem_.kernel.d * problem_.kernel.h;
    return static_cast<const T*>(weights_.data()) + (group * tiling_.co + set.first) * terms;
  }
  const T* bias_of(std::int64_t channel) const {
    return static_cast<const T*>(weights_.data()) + weight_size(problem_) + channel;
  }

  void run_task(const RunArgs& args, std::int64_t task, void* scratch) const {
    const DirectRowsTiling& t = tiling_;
    TaskDigits digits(task);
    Block block{};
    const std::int64_t first_od = args.wanted.begin + digits.next(ceil_div(args.wanted.count(), t.planes)) * t.planes;
    const std::int64_t begin = digits.next(t.pieces) * t.piece;
    const auto first_set = digits.next(t.blocks) * t.sets_of_block;
    block.group = digits.next(problem_.groups);
    const std::int64_t n = digits.rest();
    block.sets =
        std::span(t.sets).subspan(static_cast<std::size_t>(first_set),
                                  static_cast<std::size_t>(std::min(t.sets_of_block, std::ssize(t.sets) - first_set)));
    const std::int64_t plane = problem_.output.h * problem_.output.w;
    block.input_stride = args.input_box.extent().d * problem_.input.h * problem_.input.w;
    block.output_stride = args.output_box.extent().d * plane;
    block.input = static_cast<const T*>(args.input) + (n * problem_.ci + block.group * t.ci) * block.input_stride;
    block.first_id = args.input_box.begin.d;
    block.exceeds = args.stream;
    block.stream = args.stream && t.chunks == 1 && epilogue_.empty();
    block.taps = static_cast<RowTap*>(scratch);
    for (block.od = first_od; block.od < std::min(first_od + t.planes, args.wanted.end); ++block.od) {
      block.output = static_cast<T*>(args.output) + (n * problem_.co + block.group * t.co) * block.output_stride +
                     (block.od - args.output_box.begin.d) * plane;
      run_piece(block, begin, std::min(begin + t.piece, plane));
    }
  }

  /// Where these rows are cut, if at x: nowhere in the first or last vector of theirs.
  std::int64_t cut(const AlikePositions& rows, std::int64_t x) const {
    const std::int64_t begin = rows.begin * problem_.input.w, end = rows.end * problem_.input.w;
    if (x < begin + tiling_.lanes) return begin;
    return x > end - tiling_.lanes ? end : x;
  }

  void run_piece(const Block& block, std::int64_t begin, std::int64_t end) const {
    for (const AlikePositions& rows : tiling_.alike) {
      const std::int64_t first = cut(rows, begin), last = cut(rows, end);
      if (first == last) continue;
      run_voxels(block, {.taps = list_taps(block, rows.taps, first), .first = first, .count = last - first});
    }
  }

  /// These taps along h of those inside along d, for voxels of the output plane from `first` on.
  std::span<const RowTap> list_taps(const Block& block, const TapRange& range_h, std::int64_t first) const {
    const DirectRowsTiling& t = tiling_;
    const AxisPhase& d = t.phases_d[static_cast<std::size_t>(block.od) % t.phases_d.size()];
    const std::int64_t zero_d = block.od / d.out_step * problem_.input_stride.d;
    const TapRange range_d = inside_taps(d, zero_d, problem_.input.d);
    std::size_t count = 0;
    for (std::int64_t i = range_d.begin; i < range_d.end; ++i) {
      for (std::int64_t j = range_h.begin; j < range_h.end; ++j) {
        const Tap &td = d.taps[static_cast<std::size_t>(i)], &th = t.h.taps[static_cast<std::size_t>(j)];
        const std::int64_t row = (zero_d + td.offset - block.first_id) * problem_.input.h + th.offset;
        new (block.taps + count++)
            RowTap{.input = row * problem_.input.w + first, .weights = (td.kernel * problem_.kernel.h + th.kernel) * t.ci};
      }
    }
    return {block.taps, count};
  }

  void run_voxels(const Block& block, const Run& run) const {
    const DirectRowsTiling& t = tiling_;
    T* const target = block.output + run.first;
    constexpr std::int64_t kLine = 64;
    const bool in_lines = reinterpret_cast<std::uintptr_t>(target) % kLine == 0 &&
                          block.output_stride * static_cast<std::int64_t>(sizeof(T)) % kLine == 0;
    const bool stream = block.stream && in_lines && std::ssize(run.taps) <= t.taps_at_once;
    const std::int64_t stretch = t.strips_at_once * t.strip;
    for (std::int64_t first = 0; first < run.count; first += stretch) {
      const std::int64_t end = std::min(run.count, first + stretch);
      for (const RowSet& set : block.sets) {
        for (std::int64_t x = first; x < end;) {
          std::int64_t length = std::min(t.strip, round_up(end - x, t.lanes));
          bool again = false;  // some of what is before
          if (length > run.count) {
            length = run.count / t.lanes * t.lanes;
          } else if (x + length > end) {
            x = end - length;
            again = true;
          }
          multiply(block, run, set, target + x,
                   {.input = block.input + x,
                    .channel_stride = block.input_stride,
                    .vectors = length / t.lanes,
                    .target_stride = block.output_stride,
                    .stream = stream && !again,
                    .from_memory = block.exceeds && !stream,
                    .ahead = run.taps.empty() ? nullptr : block.input + run.taps.front().input + x + t.strip + t.lanes,
                    .ahead_end = &set == &block.sets.front() && !run.taps.empty() ? std::min(t.ci, kMostRowTerms) : 0});
          x += length;
        }
      }
    }
    if (epilogue_.empty()) return;
    const RowSet all{block.sets.front().first, block.sets.back().end() - block.sets.front().first};
    for (std::int64_t co = all.first; co < all.end(); ++co)
      epilogue_.on_row(block.group * t.co + co, target + co * block.output_stride, run.count);
  }

  /// One strip and set: taps and channels in parts that are added up one after the other.
  void multiply(const Block& block, const Run& run, const RowSet& set, T* target, kernels::RowProductArgs<T> args) const {
    const DirectRowsTiling& t = tiling_;
    const T* const input = args.input;
    const T* const weights = weights_of(block.group, set);
    args.init = bias_of(block.group * t.co + set.first);
    args.columns = static_cast<int>(set.count);
    args.target = target + set.first * block.output_stride;
    args.taps = run.taps.data();
    const std::int64_t taps = std::ssize(run.taps);
    for (std::int64_t tap = 0; tap == 0 || tap < taps; tap += t.taps_at_once, args.taps += t.taps_at_once) {
      args.tap_count = std::min(t.taps_at_once, taps - tap);
      for (std::int64_t chunk = 0; chunk < t.chunks; ++chunk) {
        const std::int64_t c = t.chunk_begin(chunk);
        args.channels = t.chunk_begin(chunk + 1) - c;
        args.input = input + c * block.input_stride;
        args.weights = weights + c * set.count;
        row_product_(args);
        args.init = nullptr;
      }
    }
  }

  Problem problem_;
  Isa isa_;
  int threads_;
  DirectRowsTiling tiling_;
  Buffer weights_;
  kernels::RowProductFn<T> row_product_ = kernels::row_product<T>(isa_);
  PackedEpilogue<T> epilogue_;
  mutable ScratchPool pool_;
};

template <typename Function>
auto with_tiling(const Query& query, Function&& function) {
  if (query.problem.dtype == DType::kFloat64) return function(direct_rows_tiling<double>(query), double{});
  return function(direct_rows_tiling<float>(query), float{});
}

double seconds(const Query& query) {
  return with_tiling(query,
                     [&](const DirectRowsTiling& t, auto zero) { return direct_rows_seconds<decltype(zero)>(t, query); });
}

std::vector<LedgerEntry> ledger(const Query& query) {
  const Problem& p = query.problem;
  const auto element = static_cast<std::int64_t>(size_of(p.dtype));
  return {{"packed weights", Buffer::taken(DirectRows<float>::elements(p) * element)},
          {"lists of taps", query.threads * Buffer::taken(static_cast<std::int64_t>(DirectRows<float>::scratch_bytes(p)))}};
}

PlaneReach reach(const Query& query) { return phase_reach(query.problem); }

std::string tiles(const Query& query) {
  return with_tiling(query, [](const DirectRowsTiling& t, auto) {
    return "pieces of " + std::to_string(t.piece) + " voxels of a plane, " + std::to_string(t.sets.front().count) +
           " output channels at a time";
  });
}

}  // namespace

constexpr Algorithm kDirectRows = {"direct_rows", not_in_rows, seconds, ledger, reach, tiles, prepare_in_dtype<DirectRows>};

}  // namespace convt3d
