// The separable algorithm: one channel per group, kernels of rank 1, w[td, th, tw] = u[td] · v[th] · z[tw].
//
// The sums over the three axes can be done one after the other, T_w + T_h/s + T_d/s² multiplications per output in place of
// T_w·T_h·T_d (T taps of a phase, s the stride): d first, where the data is smallest, w last. For a block of cells (see
// cells.hpp):
//
//   for cd:  D[rd][h][x] = Σ_ed panel[cd + ed][h][x] · u        one kernel call over all rows h of the block, halo included
//   for rd:    H[rh][ch][x] = Σ_eh D[rd][ch + eh][x] · v        one call over all cell rows
//   for rh:      row[ch][x*s + rw] = Σ_ew H[rh][ch][x + ew] · z   one call, then rows are copied to the output
//
// All three are the kernel `cell_row`, its columns the residues of the axis; what lies between stays in the first caches.
#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/cells.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/packed_epilogue.hpp"
#include "convt3d/conv/separable_factors.hpp"

namespace convt3d {
namespace {

constexpr std::int64_t kMostResidues = 4;  // per axis: a number of columns there are kernels for

struct Tiling {
  std::array<CellAxis, 3> axes;
  std::int64_t lanes = 1;
  std::int64_t pitch = 1;                 ///< elements of a panel row, halo included
  std::int64_t block_d = 1, block_h = 1;  ///< cell rows of a task
  std::int64_t blocks_d = 1, blocks_h = 1;
  std::int64_t panel_d = 1, panel_h = 1;

  std::int64_t slack() const { return 2 * lanes + axes[2].shifts(); }  ///< for vectors that run past the last row
  std::int64_t panel_size() const { return round_up(panel_d * panel_h * pitch + slack(), lanes); }
  std::int64_t after_d_size() const { return round_up(panel_h * pitch + slack(), lanes); }  ///< of one residue
  std::int64_t after_h_size() const { return round_up(block_h * pitch + slack(), lanes); }
  std::int64_t rows_size() const { return round_up(block_h * pitch, lanes) * axes[2].stride; }  ///< likewise
  std::int64_t scratch_elements() const {
    return panel_size() + axes[0].stride * after_d_size() + axes[1].stride * (after_h_size() + rows_size());
  }
  /// Zero weights stand for taps that some residue of an axis lacks.
  bool has_zeros() const {
    return std::any_of(axes.begin(), axes.end(), [](const CellAxis& axis) {
      for (std::int64_t r = 0; r < axis.stride; ++r) {
        for (std::int64_t e = axis.lowest; e <= axis.highest; ++e) {
          if (axis.kernel_index(r, e) < 0) return true;
        }
      }
      return false;
    });
  }
};

template <typename T>
Tiling make_tiling(const Query& query) {
  Tiling t;
  for (int a = 0; a < 3; ++a) t.axes[static_cast<std::size_t>(a)] = make_cell_axis(query.problem, a);
  const auto& [d, h, w] = t.axes;
  t.lanes = kernels::lanes<T>(query.machine.isa);
  t.pitch = w.cells() + w.shifts() - 1;
  // Rows of the output's width in the first cache; as many planes as keep the panel to a quarter of the second.
  const auto element = static_cast<std::int64_t>(sizeof(T));
  t.block_h = std::clamp<std::int64_t>(query.machine.l1_bytes / 2 / (t.pitch * w.stride * element), 1, h.cells());
  t.panel_h = t.block_h + h.shifts() - 1;
  const std::int64_t planes = query.machine.l2_bytes / 4 / (t.panel_h * t.pitch * element) - (d.shifts() - 1);
  t.block_d = std::clamp<std::int64_t>(planes, 1, d.cells());
  t.blocks_h = ceil_div(h.cells(), t.block_h);
  const std::int64_t wanted = query.threads == 1 ? 1 : 4 * query.threads;
  const std::int64_t tasks = std::max<std::int64_t>(1, query.problem.n) * query.problem.co * t.blocks_h;
  while (t.block_d > 1 && tasks * ceil_div(d.cells(), t.block_d) < wanted) t.block_d = ceil_div(t.block_d, 2);
  t.blocks_d = ceil_div(d.cells(), t.block_d);
  t.panel_d = t.block_d + d.shifts() - 1;
  return t;
}

/// One axis's factor for one channel, [e][residue].
template <typename T>
std::vector<T> axis_weights(const CellAxis& axis, const std::vector<double>& factor) {
  std::vector<T> weights;
  weights.reserve(static_cast<std::size_t>(axis.shifts() * axis.stride));
  for (std::int64_t e = axis.lowest; e <= axis.highest; ++e) {
    for (std::int64_t r = 0; r < axis.stride; ++r) {
      const std::int64_t t = axis.kernel_index(r, e);
      weights.push_back(t >= 0 ? static_cast<T>(factor[static_cast<std::size_t>(t)]) : T{0});
    }
  }
  return weights;
}

template <typename T>
class Separable final : public Prepared {
 public:
  Separable(const Plan& plan, const T* weight, const T* bias, const Epilogue& epilogue)
      : problem_(plan.problem),
        isa_(plan.machine.isa),
        threads_(plan.threads),
        tiling_(make_tiling<T>({plan.problem, plan.machine, plan.threads})),
        has_zeros_(tiling_.has_zeros()),
        epilogue_(epilogue, plan.problem.co, plan.problem.groups, plan.machine.isa),
        pool_(static_cast<std::size_t>(tiling_.scratch_elements()) * sizeof(T)) {
    const std::int64_t size = problem_.kernel.d * problem_.kernel.h * problem_.kernel.w;
    channels_.reserve(static_cast<std::size_t>(problem_.ci));
    for (std::int64_t c = 0; c < problem_.ci; ++c) {
      const std::optional<SeparableFactors> factors = separable_factors(weight + c * size, problem_.kernel);
      if (!factors) {
        throw Error(ErrorKind::kShape,
                    "the kernel of channel " + std::to_string(c) + " is not separable, though the plan says so");
      }
      Channel channel;
      for (std::size_t a = 0; a < 3; ++a) channel.weights[a] = axis_weights<T>(tiling_.axes[a], (*factors)[a]);
      channel.bias.fill(bias != nullptr ? bias[c] : T{0});
      channels_.push_back(std::move(channel));
    }
    const std::array<std::int64_t, 2> strides = {tiling_.panel_h * tiling_.pitch, tiling_.pitch};
    for (std::size_t a = 0; a < 2; ++a) {
      for (std::int64_t e = 0; e < tiling_.axes[a].shifts(); ++e) rows_[a].push_back(e * strides[a]);
    }
  }

  static std::int64_t factor_bytes(const Problem& problem, const Tiling& t) {
    std::int64_t weights = 0;
    for (const CellAxis& axis : t.axes) weights += axis.shifts() * axis.stride;
    return problem.ci * (weights * static_cast<std::int64_t>(sizeof(T)) + static_cast<std::int64_t>(sizeof(Channel)));
  }

  bool may_spread() const override { return has_zeros_; }

  void run(const RunArgs& args) const override {
    run_tasks(threads_, problem_.n * problem_.co * tiling_.blocks_d * tiling_.blocks_h, pool_, args.observer,
              [&](std::int64_t task, void* scratch) { run_task(args, task, static_cast<T*>(scratch)); });
  }

 private:
  static constexpr T kLargest = std::numeric_limits<T>::max();

  struct Channel {
    std::array<std::vector<T>, 3> weights;  ///< per axis [e][residue]
    std::array<T, kMostResidues> bias{};
  };

  void run_task(const RunArgs& args, std::int64_t task, T* panel) const {
    const Tiling& t = tiling_;
    const auto& [d, h, w] = t.axes;
    const std::int64_t h_begin = h.begin + task % t.blocks_h * t.block_h;
    const std::int64_t block_begin = d.begin + task / t.blocks_h % t.blocks_d * t.block_d;
    const std::int64_t volume = task / t.blocks_h / t.blocks_d;  // n and channel
    const std::int64_t rows = std::min(t.block_h, h.end - h_begin);
    const Planes& wanted = args.wanted;
    const std::int64_t d_begin = std::max(block_begin, d.cell_of(wanted.begin));
    const std::int64_t d_end = std::min({block_begin + t.block_d, d.end, d.cell_of(wanted.end - 1) + 1});
    if (d_begin >= d_end) return;

    pack_panel(args, volume, {d_begin, d_end}, h_begin, panel);
    T* after_d = panel + t.panel_size();
    T* after_h = after_d + d.stride * t.after_d_size();
    T* output_rows = after_h + h.stride * t.after_h_size();
    kernels::RowStream<T> stream;
    const Channel& channel = channels_[static_cast<std::size_t>(volume % problem_.co)];
    for (std::int64_t cd = d_begin; cd < d_end; ++cd) {
      sum_rows(0, channel, panel + (cd - d_begin) * t.panel_h * t.pitch, t.panel_h * t.pitch, after_d, t.after_d_size());
      for (std::int64_t rd = 0; rd < d.stride; ++rd) {
        const std::int64_t od = d.output_of(cd, rd);
        if (od < wanted.begin || od >= wanted.end) continue;
        sum_rows(1, channel, after_d + rd * t.after_d_size(), rows * t.pitch, after_h, t.after_h_size());
        for (std::int64_t rh = 0; rh < h.stride; ++rh) {
          sum_along_w(channel, after_h + rh * t.after_h_size(), (rows - 1) * t.pitch + w.cells(),
                      output_rows + rh * t.rows_size());
        }
        store(args, volume, od, h_begin, rows, output_rows, stream);
      }
    }
    kernels::flush(stream);
  }

  /// The sums of axis d or h: residue r of x to targets[r*target_pitch + x], x < count.
  void sum_rows(std::size_t axis, const Channel& channel, const T* input, std::int64_t count, T* target,
                std::int64_t target_pitch) const {
    static constexpr std::array<T, kMostResidues> kNoBias{};
    const auto residues = static_cast<int>(tiling_.axes[axis].stride);
    std::array<T*, kMostResidues> targets{};
    for (int r = 0; r < residues; ++r) targets[static_cast<std::size_t>(r)] = target + r * target_pitch;
    cell_row_({.input = input,
               .rows = rows_[axis].data(),
               .row_count = static_cast<std::int64_t>(rows_[axis].size()),
               .channels = 1,
               .channel_stride = 0,
               .shifts = 1,
               .weights = channel.weights[axis].data(),
               .init = kNoBias.data(),
               .columns = residues,
               .cells = count,
               .interleave = 1,
               .step = 1,
               .targets = targets.data()});
  }

  void sum_along_w(const Channel& channel, const T* input, std::int64_t cells, T* row) const {
    static constexpr std::int64_t kOnlyRow = 0;
    const CellAxis& w = tiling_.axes[2];
    cell_row_({.input = input,
               .rows = &kOnlyRow,
               .row_count = 1,
               .channels = 1,
               .channel_stride = 0,
               .shifts = w.shifts(),
               .weights = channel.weights[2].data(),
               .init = channel.bias.data(),
               .columns = static_cast<int>(w.stride),
               .cells = cells,
               .interleave = static_cast<int>(w.stride),
               .step = w.stride,
               .targets = &row});
  }

  /// The rows of all residues along h, in the output's order, so that the stream goes on.
  void store(const RunArgs& args, std::int64_t volume, std::int64_t od, std::int64_t h_begin, std::int64_t rows,
             T* output_rows, kernels::RowStream<T>& stream) const {
    const auto& [d, h, w] = tiling_.axes;
    const Box3& box = args.output_box;
    const Extent3 have = box.extent();
    T* const source = output_rows + box.begin.w - w.output_of(w.begin, 0);
    T* plane = static_cast<T*>(args.output) + (volume * have.d + od - box.begin.d) * have.h * have.w;
    for (std::int64_t i = 0; i < rows * h.stride; ++i) {
      const std::int64_t r = i / h.stride, rh = i % h.stride;
      const std::int64_t oh = h.output_of(h_begin + r, rh);
      if (oh < box.begin.h || oh >= box.end.h) continue;
      T* const from = source + rh * tiling_.rows_size() + r * tiling_.pitch * w.stride;
      epilogue_.on_row(volume % problem_.co, from, have.w);
      T* const to = plane + (oh - box.begin.h) * have.w;
      if (args.stream) {
        stream_row_(from, to, have.w, stream);
      } else {
        copy_row_(from, to, have.w);
      }
    }
  }

  /// Panel row (d, h) holds input row (cells.begin + lowest + d, h_begin + lowest + h) from column begin + lowest on, with
  /// zeros outside the volume.
  void pack_panel(const RunArgs& args, std::int64_t volume, const Planes& cells, std::int64_t h_begin, T* panel) const {
    const Tiling& t = tiling_;
    const Box3& box = args.input_box;
    const Extent3 have = box.extent();
    const T* source = static_cast<const T*>(args.input) + volume * have.d * have.h * have.w;
    const std::int64_t iw = t.axes[2].begin + t.axes[2].lowest;
    const std::int64_t first = std::clamp(box.begin.w, iw, iw + t.pitch);
    const std::int64_t last = std::clamp(box.end.w, first, iw + t.pitch);
    const std::int64_t rows = (cells.count() + t.axes[0].shifts() - 1) * t.panel_h;
    T* row = panel;
    for (std::int64_t r = 0; r < rows; ++r, row += t.pitch) {
      const std::int64_t id = cells.begin + t.axes[0].lowest + r / t.panel_h;
      const std::int64_t ih = h_begin + t.axes[1].lowest + r % t.panel_h;
      if (id < box.begin.d || id >= box.end.d || ih < box.begin.h || ih >= box.end.h || first >= last) {
        std::fill(row, row + t.pitch, T{0});
        continue;
      }
      const T* from = source + ((id - box.begin.d) * have.h + ih - box.begin.h) * have.w + first - box.begin.w;
      std::fill(row, row + first - iw, T{0});
      std::copy(from, from + last - first, row + first - iw);
      std::fill(row + last - iw, row + t.pitch, T{0});
      if (has_zeros_ && !all_within_(from, last - first, kLargest)) args.mark_spread(volume / problem_.co, id);
    }
  }

  Problem problem_;
  Isa isa_;
  int threads_;
  Tiling tiling_;
  bool has_zeros_;
  kernels::CellRowFn<T> cell_row_ = kernels::cell_row<T>(isa_);
  kernels::AllWithinFn<T> all_within_ = kernels::all_within<T>(isa_);
  kernels::CopyRowFn<T> copy_row_ = kernels::copy_row<T>(isa_);
  kernels::StreamRowFn<T> stream_row_ = kernels::stream_row<T>(isa_);
  std::vector<Channel> channels_;
  std::array<std::vector<std::int64_t>, 2> rows_;  ///< of axes d and h, each e's offset
  PackedEpilogue<T> epilogue_;
  mutable ScratchPool pool_;
};

template <typename Function>
auto with_tiling(const Query& query, Function&& function) {
  if (query.problem.dtype == DType::kFloat64) return function(make_tiling<double>(query), double{});
  return function(make_tiling<float>(query), float{});
}

std::string rejects(const Query& query) {
  const Problem& p = query.problem;
  if (is_strided(p)) return kNoInputStride;
  if (p.ci != p.groups || p.co != p.groups) return "more than one channel per group";
  if (!query.separable) return "kernels that are not separable";
  for (int axis = 0; axis < 3; ++axis) {
    if (p.stride[axis] > kMostResidues || p.dilation[axis] > 16) return "a stride above 4 or a dilation above 16";
  }
  return "";
}

double seconds(const Query& query) {
  return with_tiling(query, [&](const Tiling& t, auto zero) {
    const auto& [d, h, w] = t.axes;
    const auto real = [](std::int64_t value) { return static_cast<double>(value); };
    const Problem& p = query.problem;
    const double outputs = real(output_size(p));
    const double per_output =
        real(w.shifts()) + real(h.shifts()) / real(w.stride) + real(d.shifts()) / real(w.stride * h.stride);
    const double compute = outputs * (per_output + 3) / real(t.lanes) / (kClock * query.threads);
    const double memory = outputs * sizeof(zero) / (12e9 * query.threads);
    return std::max(compute, memory) + 5e-6;
  });
}

std::vector<LedgerEntry> ledger(const Query& query) {
  return with_tiling(query, [&](const Tiling& t, auto zero) {
    const auto element = static_cast<std::int64_t>(sizeof(zero));
    std::vector<LedgerEntry> entries = {{"factors", Separable<decltype(zero)>::factor_bytes(query.problem, t)},
                                        {"panels and rows", query.threads * Buffer::taken(t.scratch_elements() * element)}};
    if (t.has_zeros()) append_fallback(entries, query);
    return entries;
  });
}

PlaneReach reach(const Query& query) { return reach_of(make_cell_axis(query.problem, 0), 1); }

std::string tiles(const Query& query) {
  return with_tiling(query, [](const Tiling& t, auto) {
    return "axis by axis, blocks of " + std::to_string(t.block_d) + " x " + std::to_string(t.block_h) + " cell rows";
  });
}

}  // namespace

constexpr Algorithm kSeparable = {"separable", rejects, seconds, ledger, reach, tiles, prepare_in_dtype<Separable>};

}  // namespace convt3d
