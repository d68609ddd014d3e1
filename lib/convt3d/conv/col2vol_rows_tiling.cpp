#include "convt3d/conv/col2vol_rows_tiling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/row_product.hpp"

namespace convt3d {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

/// Why the problem cannot be run, or "".
std::string rejects(const Problem& p) {
  if (std::string reason = not_scattered(p); !reason.empty()) return reason;
  if (p.kernel == Extent3(1)) return "one tap: nothing to add up";
  constexpr std::int64_t kMostColumns = std::int64_t{1} << 14;
  if (p.co / p.groups > kMostColumns / (p.kernel.d * p.kernel.h * p.kernel.w))
    return "over " + std::to_string(kMostColumns) + " taps and channels";
  const ScatterAxis h = scatter_axis(p, 1), w = scatter_axis(p, 2);
  if (std::max({w.input, w.output, w.stride, h.output, w.reach()}) > kMostScatterBytes) return kScatterTooLarge;
  return "";
}

void set_block(Col2VolRowsTiling& t, std::int64_t block_d) {
  t.block_d = block_d;
  t.blocks_d = ceil_div(t.axes[0].output, block_d);
  t.kept_d = std::min(block_d, t.axes[0].reach());
}

}  // namespace

// The cycles of all tasks together, then the slowest thread's share of them.
template <typename T>
double col2vol_rows_seconds(const Col2VolRowsTiling& t, const Query& query) {
  const auto& [d, h, w] = t.axes;
  // Planes of the input are read by every block that they reach; products are made of the taps that meet it.
  const double planes = real(d.input) + real(t.blocks_d - 1) * real(d.reach() - 1) / real(d.stride);
  const double strips =
      real(h.input / t.block_h * ceil_div(t.block_h * w.input, t.strip) + ceil_div(h.input % t.block_h * w.input, t.strip));
  const double products = d.pairs() / real(d.kernel) * strips * strip_cycles(t.sets, t.strip / t.lanes, t.ci, t.chunks);

  // Each row of products is added to a row of outputs, by vectors that are all inside of it and others; the stride's
  // residues are rows of their own.
  const std::int64_t beyond = std::min(w.input, (w.reach() - 1) / w.stride);  // a row's ends, where others begin or end
  const double whole = real((w.input - beyond) / t.lanes), part = real(ceil_div(w.input, t.lanes)) + 1 - whole;
  const double rows = real(ceil_div(h.input, t.block_h)) * real(std::min(h.output, (t.block_h - 1) * h.stride + h.reach())) *
                      real(std::min(w.stride, w.kernel));
  const std::int64_t alike = std::max<std::int64_t>(1, t.block_h - (h.reach() - 1) / h.stride);  // rows of outputs
  const std::int64_t targets = std::max(t.co, alike);                                            // of a call
  const double at_once = real(std::min<std::int64_t>(targets, 4));
  const double calls = rows * real(t.co) / real(targets) * real(ceil_div(targets, 4));
  const double adding = d.pairs() * (20 * calls + 5 * rows * real(t.co) +
                                     real(t.co) * h.pairs() * real(w.kernel) * (2.2 * whole + (1.2 + 2 / at_once) * part));

  const double outputs = real(d.output * h.output * t.co);
  const double taking_turns = outputs * (45 + real(w.output) * (w.stride > 2 ? 1.5 : 0.3));
  const double storing = outputs * (20 + 1.5 * real(t.row()) / real(t.lanes) +
                                    (w.stride == 1 ? 2.5 * real(ceil_div(w.output, t.lanes)) : 1.6 * real(w.output)));

  const double volumes = real(std::max<std::int64_t>(1, query.problem.n) * query.problem.groups), blocks = real(t.blocks_d);
  constexpr double kTask = 1500, kMargin = 1.3;
  const double start = t.one_tap() ? 3e-6 : 4e-6;
  const double scratch = real(t.scratch_size()) * sizeof(T), l2 = real(query.machine.l2_bytes);
  const double summing = t.one_tap() ? taking_turns : adding + storing;
  const double computing = products + summing * std::max(1.0, scratch / (0.7 * l2));
  // What exceeds the caches comes while products are made, but not quite.
  const double read = planes * real(h.input * w.input * t.ci);
  const double memory = real(input_size(query.problem)) * sizeof(T) > 16 * l2 ? 0.45 * read * sizeof(T) / 4 : 0;
  const double cycles = (std::max(computing, memory) + 0.35 * std::min(computing, memory)) / blocks + kTask;
  const double all = std::ceil(volumes * blocks / query.threads) * kMargin * cycles;
  return (all + output_memory_cycles<T>(query) / query.threads) / kClock + start;
}

template <typename T>
std::optional<Col2VolRowsTiling> col2vol_rows_tiling(const Query& query, std::string& reason) {
  const Problem& p = query.problem;
  reason = rejects(p);
  if (!reason.empty()) return std::nullopt;
  const bool wide = is_wide(query.machine.isa);
  Col2VolRowsTiling t;
  for (int axis = 0; axis < 3; ++axis) t.axes[static_cast<std::size_t>(axis)] = scatter_axis(p, axis);
  const auto& [d, h, w] = t.axes;
  t.lanes = kernels::lanes<T>(query.machine.isa);
  t.ci = p.ci / p.groups;
  t.co = p.co / p.groups;
  t.sets = even_row_sets(t.columns(), wide);
  const std::int64_t most = ceil_div(t.columns(), static_cast<std::int64_t>(t.sets.size()));
  t.strip = kernels::row_vectors(static_cast<int>(most), wide) * t.lanes;
  t.chunks = ceil_div(t.ci, kMostRowTerms);

  // Products keep to a quarter of L2, but for one row's.
  const std::int64_t quarter = query.machine.l2_bytes / 4 / static_cast<std::int64_t>(sizeof(T));
  t.block_h = std::clamp<std::int64_t>(quarter / t.columns() / w.input, 1, h.input);
  t.block_h = ceil_div(h.input, ceil_div(h.input, t.block_h));

  double best = std::numeric_limits<double>::infinity();
  std::int64_t block_d = 0;
  for (std::int64_t cut = 1; cut < 2 * d.output; cut *= 2) {
    set_block(t, ceil_div(d.output, cut));
    const double sums = t.one_tap() ? 0 : real(t.kept_d * t.co) * real(h.output) * real(t.row());  // may be past 63 bits
    if ((sums + real(t.columns()) * real(t.pitch()) + real(t.packed_size())) * sizeof(T) > real(kMostScatterBytes)) continue;
    const double seconds = col2vol_rows_seconds<T>(t, query);
    if (seconds >= best) continue;
    best = seconds;
    block_d = t.block_d;
  }
  if (block_d == 0) {
    reason = kScatterTooLarge;
    return std::nullopt;
  }
  set_block(t, block_d);
  return t;
}

template std::optional<Col2VolRowsTiling> col2vol_rows_tiling<float>(const Query&, std::string&);
template std::optional<Col2VolRowsTiling> col2vol_rows_tiling<double>(const Query&, std::string&);
template double col2vol_rows_seconds<float>(const Col2VolRowsTiling&, const Query&);
template double col2vol_rows_seconds<double>(const Col2VolRowsTiling&, const Query&);

}  // namespace convt3d
