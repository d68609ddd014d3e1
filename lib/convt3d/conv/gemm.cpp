// Layers of 1x1x1 kernels as one matrix product a volume: the channels' voxels stand in rows, and rows of results are sums
// of rows of inputs:
//
//   for co: for x: out[co, x] = bias[co] + Σ_ci in[ci, x] · w[ci, co]                      (x: all voxels of a volume)
//
// Lanes along x, so that nothing is transposed: rows are read, and results added up, where they lie. Little is computed with
// what is read, so that all is about the way from memory:
// 1. The voxels are cut into pieces, a piece into strips as wide as registers hold for one set of columns (output channels,
//    kernels/row_product.cpp). Over the inputs of a strip, which stay in L2, go all sets of columns, and ask meanwhile for
//    those of the next strip: all rows are read side by side, a strip at a time, each as one stream.
// 2. Very many channels of the input are taken in chunks, whose sums are added to the results.
// 3. Results that exceed the caches go past them from registers, where the rows of all channels begin with a line.
// 4. Few results are added up along rows instead, a few channels at a time, each of them read in long runs
//    (kernels/long_rows.cpp): the same chains of sums.
// 5. Where the layer has a stride or padding, a piece is whole rows of cells. Its results are kept, then laid into rows of
//    the output with the bias between them, and rows of bias between these rows and planes.
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/direct_tiling.hpp"
#include "convt3d/conv/gemm_tiling.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/long_rows.hpp"
#include "convt3d/conv/packed_epilogue.hpp"
#include "convt3d/conv/row_strips.hpp"

namespace convt3d {
namespace {

template <typename T>
class Gemm final : public Prepared {
 public:
  Gemm(const Plan& plan, const T* weight, const T* bias, const Epilogue& epilogue)
      : problem_(plan.problem),
        isa_(plan.machine.isa),
        threads_(plan.threads),
        tiling_(gemm_tiling<T>({plan.problem, plan.machine, plan.threads})),
        weights_(static_cast<std::size_t>(elements(plan.problem)) * sizeof(T)),
        epilogue_(epilogue, plan.problem.co, plan.problem.groups, plan.machine.isa),
        pool_(scratch_bytes(tiling_)) {
    pack_weights(weight, bias);
  }

  /// Weights [group][set][ci][column], then the bias.
  static std::int64_t elements(const Problem& p) { return p.ci * (p.co / p.groups) + p.co; }

  static std::size_t scratch_bytes(const GemmTiling& t) {
    return static_cast<std::size_t>(t.packed_size() + t.kept_size() + 2 * t.row_size()) * sizeof(T);
  }

  void run(const RunArgs& args) const override {
    const GemmTiling& t = tiling_;
    const Planes planes = planes_of(args.wanted);
    const std::int64_t cells = (planes.end - planes.begin) * problem_.input.h * problem_.input.w;
    // No plane of the input where all that is wanted is bias.
    const std::int64_t pieces = std::max<std::int64_t>(1, ceil_div(cells, t.piece));
    run_tasks(threads_, problem_.n * problem_.groups * pieces * t.blocks, pool_, args.observer,
              [&](std::int64_t task, void* scratch) { run_task(args, planes, task, pieces, static_cast<T*>(scratch)); });
  }

 private:
  /// One task: a piece of one volume, for some output channels of a group. Rows lie `input_stride` and `output_stride`
  /// apart.
  struct Block {
    std::int64_t group;
    std::int64_t first_set, last_set;
    std::int64_t first_channel, channels;  ///< of the group's outputs
    const T* input;
    std::int64_t input_stride;
    const T* input_end;  ///< of all volumes
    T* output;           ///< the first cell's result, or with gaps the volume's first element
    std::int64_t output_stride;
    std::int64_t begin, cells;  ///< counted from the first plane that is read
    T* packed;                  ///< a strip's inputs, where its last vectors would go on behind the input
    T* kept;                    ///< results of the last strip, whose vectors may go on behind its last cell; or all
    T* row;                     ///< and these with the bias between them, then bias alone
    bool stream, from_memory;   ///< results go past the caches, or exceed them otherwise, but those that are kept
  };

  /// Planes of the input whose results are wanted.
  Planes planes_of(const Planes& wanted) const {
    const GemmAxis& d = tiling_.axes[0];
    const std::int64_t first = std::max(d.first, ceil_div(wanted.begin + d.padding, d.stride));
    return {first, std::max(first, std::min(d.end, ceil_div(wanted.end + d.padding, d.stride)))};
  }

  void pack_weights(const T* weight, const T* bias) {
    const GemmTiling& t = tiling_;
    T* target = static_cast<T*>(weights_.data());
    for (std::int64_t group = 0; group < problem_.groups; ++group) {
      for (const RowSet& set : t.sets) {
        for (std::int64_t c = 0; c < t.ci; ++c) {
          for (std::int64_t p = 0; p < set.count; ++p) *target++ = weight[(group * t.ci + c) * t.co + set.first + p];
        }
      }
    }
    for (std::int64_t co = 0; co < problem_.co; ++co) *target++ = bias != nullptr ? bias[co] : T{0};
  }

  const T* weights_of(std::int64_t group, const RowSet& set) const {
    return static_cast<const T*>(weights_.data()) + (group * tiling_.co + set.first) * tiling_.ci;
  }
  const T* bias_of(std::int64_t channel) const {
    return static_cast<const T*>(weights_.data()) + problem_.co * tiling_.ci + channel;
  }

  void run_task(const RunArgs& args, const Planes& planes, std::int64_t task, std::int64_t pieces, T* scratch) const {
    const GemmTiling& t = tiling_;
    TaskDigits digits(task);
    const std::int64_t first_set = digits.next(t.blocks) * t.sets_of_block;
    const std::int64_t piece = digits.next(pieces);
    const std::int64_t group = digits.next(problem_.groups), n = digits.rest();
    const std::int64_t plane = problem_.input.h * problem_.input.w, output_plane = problem_.output.h * problem_.output.w;
    const std::int64_t cells = (planes.end - planes.begin) * plane, begin = t.piece_begin(piece, pieces, cells);
    Block block{};
    block.group = group;
    block.first_set = first_set;
    block.last_set = std::min(std::ssize(t.sets), first_set + t.sets_of_block);
    block.first_channel = t.sets[static_cast<std::size_t>(block.first_set)].first;
    block.channels = t.sets[static_cast<std::size_t>(block.last_set - 1)].end() - block.first_channel;
    block.input_stride = args.input_box.extent().d * plane;
    block.output_stride = args.output_box.extent().d * output_plane;
    block.input = static_cast<const T*>(args.input) + (n * problem_.ci + group * t.ci) * block.input_stride +
                  (planes.begin - args.input_box.begin.d) * plane + begin;
    block.input_end = static_cast<const T*>(args.input) + problem_.n * problem_.ci * block.input_stride;
    block.output =
        static_cast<T*>(args.output) + (n * problem_.co + group * t.co + block.first_channel) * block.output_stride;
    if (!t.gaps) block.output += (args.wanted.begin - args.output_box.begin.d) * plane + begin;
    block.begin = begin;
    block.cells = t.piece_begin(piece + 1, pieces, cells) - begin;
    block.packed = scratch;
    block.kept = scratch + t.packed_size();
    block.row = block.kept + t.kept_size();
    constexpr std::int64_t kLine = 64;
    const auto at = reinterpret_cast<std::uintptr_t>(block.output);
    const bool in_lines = at % kLine == 0 && block.output_stride * static_cast<std::int64_t>(sizeof(T)) % kLine == 0;
    block.stream = args.stream && in_lines && t.chunks == 1 && epilogue_.empty();
    block.from_memory = args.stream && !block.stream;
    if (t.long_rows) {
      run_long_rows(block);
    } else {
      for (std::int64_t chunk = 0; chunk < t.chunks; ++chunk) {
        for (std::int64_t x = 0; x < block.cells; x += t.strip) run_strip(block, chunk, x);
      }
    }
    if (t.gaps) {
      for (std::int64_t c = 0; c < block.channels; ++c) store_with_gaps(args, planes, block, c);
    } else {
      finish(block);
    }
  }

  /// All results of a piece, added up where they lie.
  void run_long_rows(const Block& block) const {
    const RowSet& set = tiling_.sets.front();
    long_rows_({.input = block.input,
                .channel_stride = block.input_stride,
                .channels = tiling_.ci,
                .weights = weights_of(block.group, set),
                .init = bias_of(block.group * tiling_.co),
                .columns = static_cast<int>(set.count),
                .target = block.output,
                .target_stride = block.output_stride,
                .count = block.cells});
  }

  /// A chunk of the input's channels of the strip at x.
  void run_strip(const Block& block, std::int64_t chunk, std::int64_t x) const {
    const GemmTiling& t = tiling_;
    const std::int64_t c = t.chunk_begin(chunk), channels = t.chunk_begin(chunk + 1) - c;
    const std::int64_t count = std::min(t.strip, block.cells - x);
    const bool keeps = t.gaps || count < t.strip;
    const std::span<const RowSet> sets(t.sets.begin() + block.first_set, t.sets.begin() + block.last_set);
    strips_.multiply({.input = block.input + c * block.input_stride + x,
                      .channel_stride = block.input_stride,
                      .channels = channels,
                      .count = count,
                      .input_end = block.input_end},
                     sets, keeps ? t.kept_pitch() : block.output_stride, block.packed, [&](const RowSet& set) {
                       T* const target = !keeps ? block.output + x : block.kept + (t.gaps ? x : 0);
                       const std::int64_t row = set.first - block.first_channel;
                       return RowColumns<T>{.weights = weights_of(block.group, set) + c * set.count,
                                            .init = chunk == 0 ? bias_of(block.group * t.co + set.first) : nullptr,
                                            .target = target + row * (keeps ? t.kept_pitch() : block.output_stride),
                                            .stream = block.stream && !keeps,
                                            .from_memory = block.from_memory && !keeps};
                     });
  }

  void finish(const Block& block) const {
    const std::int64_t tail = tiling_.long_rows ? 0 : block.cells % tiling_.strip;
    for (std::int64_t c = 0; c < block.channels; ++c) {
      T* const row = block.output + c * block.output_stride;
      if (tail > 0) copy_row_(block.kept + c * tiling_.strip, row + block.cells - tail, tail);
      if (!epilogue_.empty()) epilogue_.on_row(block.group * tiling_.co + block.first_channel + c, row, block.cells);
    }
  }

  /// The rows of one channel of a block with gaps, and those of bias that lie between them and the next ones.
  void store_with_gaps(const RunArgs& args, const Planes& planes, const Block& block, std::int64_t c) const {
    const GemmAxis &d = tiling_.axes[0], &h = tiling_.axes[1], &w = tiling_.axes[2];
    const std::int64_t channel = block.group * tiling_.co + block.first_channel + c;
    T* const bias = block.row + tiling_.row_size();
    std::fill(bias, bias + w.output, *bias_of(channel));
    if (!epilogue_.empty()) epilogue_.on_row(channel, bias, w.output);
    const auto store = [&](const T* row, std::int64_t od, std::int64_t oh) {
      copy_row_(row, block.output + c * block.output_stride + ((od - args.output_box.begin.d) * h.output + oh) * w.output,
                w.output);
    };
    if (planes.begin == planes.end) {
      for (std::int64_t od = args.wanted.begin; od < args.wanted.end; ++od) {
        for (std::int64_t oh = 0; oh < h.output; ++oh) store(bias, od, oh);
      }
    }
    const T* results = block.kept + c * tiling_.kept_pitch();
    for (std::int64_t x = 0; x < block.cells; x += problem_.input.w) {
      const std::int64_t row_number = (block.begin + x) / problem_.input.w;
      const std::int64_t qd = planes.begin + row_number / problem_.input.h, qh = row_number % problem_.input.h;
      if (qh < h.first || qh >= h.end) continue;
      std::fill(block.row, block.row + w.output, *bias_of(channel));
      for (std::int64_t qw = w.first; qw < w.end; ++qw) block.row[w.output_of(qw)] = results[x + qw];
      if (!epilogue_.empty()) epilogue_.on_row(channel, block.row, w.output);
      const std::int64_t first = qd == planes.begin ? args.wanted.begin : d.output_of(qd);
      const std::int64_t end = qd == planes.end - 1 ? args.wanted.end : d.output_of(qd + 1);
      for (std::int64_t od = first; od < end; ++od) {
        for (std::int64_t oh = h.begin_of(qh); oh < h.end_of(qh); ++oh)
          store(od == d.output_of(qd) && oh == h.output_of(qh) ? block.row : bias, od, oh);
      }
    }
  }

  Problem problem_;
  Isa isa_;
  int threads_;
  GemmTiling tiling_;
  Buffer weights_;
  RowStrips<T> strips_{isa_, tiling_.strip};
  kernels::LongRowsFn<T> long_rows_ = kernels::long_rows<T>(isa_);
  kernels::CopyRowFn<T> copy_row_ = kernels::copy_row<T>(isa_);
  PackedEpilogue<T> epilogue_;
  mutable ScratchPool pool_;
};

template <typename Function>
auto with_tiling(const Query& query, Function&& function) {
  if (query.problem.dtype == DType::kFloat64) return function(gemm_tiling<double>(query), double{});
  return function(gemm_tiling<float>(query), float{});
}

std::string rejects(const Query& query) { return not_of_one_tap(query.problem); }

double seconds(const Query& query) {
  return with_tiling(query, [&](const GemmTiling& t, auto zero) { return gemm_seconds<decltype(zero)>(t, query); });
}

std::vector<LedgerEntry> ledger(const Query& query) {
  return with_tiling(query, [&](const GemmTiling& t, auto zero) {
    using T = decltype(zero);
    return std::vector<LedgerEntry>{
        {"packed weights", Buffer::taken(Gemm<T>::elements(query.problem) * static_cast<std::int64_t>(sizeof(T)))},
        {"strips", query.threads * Buffer::taken(static_cast<std::int64_t>(Gemm<T>::scratch_bytes(t)))}};
  });
}

PlaneReach reach(const Query& query) { return phase_reach(query.problem); }

std::string tiles(const Query& query) {
  return with_tiling(query, [](const GemmTiling& t, auto) {
    return "pieces of " + std::to_string(t.piece) + " voxels, " + std::to_string(t.sets.front().count) +
           " output channels at a time";
  });
}

}  // namespace

constexpr Algorithm kGemm = {"gemm", rejects, seconds, ledger, reach, tiles, prepare_in_dtype<Gemm>};

}  // namespace convt3d
