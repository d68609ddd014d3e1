#include "convt3d/conv/col2vol_tiling.hpp"

#include <cmath>
#include <limits>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/product_cycles.hpp"

namespace convt3d {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

void set_block(Col2VolTiling& t, std::int64_t chunk, std::int64_t block_d) {
  const ScatterAxis& w = t.axes[2];
  t.chunk = chunk;
  t.chunks = ceil_div(t.co, chunk);
  t.block_d = block_d;
  t.blocks_d = ceil_div(t.axes[0].output, block_d);
  t.kept_d = std::min(block_d, t.axes[0].reach());
  t.row = round_up(w.dilation * t.line * chunk, t.lanes) + t.lanes;
}

}  // namespace

// The cycles of all tasks together, then the slowest thread's share of them.
template <typename T>
double col2vol_seconds(const Col2VolTiling& t, const Query& query) {
  const auto& [d, h, w] = t.axes;
  const bool wide = is_wide(query.machine.isa);
  const double plane = real(h.input * w.input), cuts = std::ceil(plane / real(t.positions()));
  const auto vectors = [&](std::int64_t elements) { return real(ceil_div(elements, t.lanes)); };

  // Of one tap of d: all columns of a plane, then each voxel's runs added to output rows.
  constexpr double kCall = 40;
  const auto product = [&](std::int64_t nr) {
    return real(t.ci) * product_cycles(t.positions(), nr, wide) + kCall * real(ceil_div(t.positions(), wide ? 14 : 6));
  };
  const double products = cuts * (real(t.vectors() / 2) * product(2) + real(t.vectors() % 2) * product(1));
  // Weights, read for every block of voxels, from where there is room for them: bytes per cycle.
  const double weights = real(d.kernel * t.ci * t.columns()) * sizeof(T), scratch = real(t.scratch_size()) * sizeof(T);
  const double l2 = real(query.machine.l2_bytes), l3 = real(query.machine.l3_bytes);
  const double traffic = cuts * weights / real(d.kernel) / (weights + scratch < l2 ? 64 : weights < l3 ? 10 : 4);
  const double rows = real(t.blocks_h() * std::min(h.output, (t.block_h - 1) * h.stride + h.reach()));
  const double adding = real(w.input) * vectors(t.run()) * (4 * rows + 1.2 * h.pairs());

  // Planes are packed by every block that they reach, channels that fill no vector one by one.
  const double planes = real(d.input) + real(t.blocks_d - 1) * real(d.reach() - 1) / real(d.stride);
  const std::int64_t left = t.ci % t.lanes;
  const double single = t.ci < t.lanes || left < 4 ? 1.5 * real(left) : 0;
  const double input = real(d.input) * plane * real(t.ci) * sizeof(T);
  const double line = input > l2 ? 0.1 * sizeof(T) * real(t.ci) : 0;  // of memory, for a voxel
  const double packing = planes * plane * (3.5 * vectors(t.ci) + single + line);

  // Rows of one to four channels are taken apart as they lie, those of more are transposed; dilated ones go one by one.
  const double chunk = real(t.chunk), ow = real(w.output);
  const double taken = w.dilation > 1 ? chunk * (20 + 2 * ow)
                       : t.chunk <= 4 ? chunk * (15 + 3 * vectors(w.output))
                                      : vectors(t.chunk) * (20 + 6 * ow);
  const double storing = real(d.output * h.output) * (1.5 * vectors(t.row) + 10 * chunk + taken);

  const double blocks = real(t.blocks_d);
  constexpr double kTask = 3000, kMargin = 1.1;
  const double cycles = (d.pairs() * (products + traffic + adding) + packing + storing) / blocks + kTask;
  const double tasks = real(std::max<std::int64_t>(1, query.problem.n) * query.problem.groups * t.chunks) * blocks;
  const double computing = std::ceil(tasks / query.threads) * cycles * std::max(1.0, scratch / (0.7 * l2));
  return (kMargin * computing + output_memory_cycles<T>(query) / query.threads) / kClock + 5e-6;
}

template <typename T>
std::optional<Col2VolTiling> col2vol_tiling(const Query& query, std::string& reason) {
  const Problem& p = query.problem;
  reason = not_scattered(p);
  if (!reason.empty()) return std::nullopt;
  Col2VolTiling t;
  for (int axis = 0; axis < 3; ++axis) t.axes[static_cast<std::size_t>(axis)] = scatter_axis(p, axis);
  const auto& [d, h, w] = t.axes;
  t.lanes = kernels::lanes<T>(query.machine.isa);
  t.ci = p.ci / p.groups;
  t.co = p.co / p.groups;
  t.ld = t.ci % 64 == 0 ? t.ci + t.lanes : t.ci;  // off the powers of two that make voxels compete for one cache set
  t.line = std::max((w.input - 1) * w.stride / w.dilation + w.kernel, (w.output - 1 + w.padding) / w.dilation + 1);
  if (w.dilation * t.line > kMostScatterBytes || h.input > kMostScatterBytes / h.kernel) {
    reason = kScatterTooLarge;
    return std::nullopt;
  }
  // So many voxels amortise the loads of weights: eight times the 14 that registers hold.
  constexpr std::int64_t kPositions = 224;
  t.block_h = std::clamp<std::int64_t>(kPositions / w.input, 1, h.input);
  t.block_h = ceil_div(h.input, ceil_div(h.input, t.block_h));
  t.block_w = ceil_div(w.input, t.block_h > 1 ? 1 : ceil_div(w.input, kPositions));

  double best = std::numeric_limits<double>::infinity();
  std::int64_t chunk = 0, block_d = 0;
  for (std::int64_t chunks = 1; chunks < 2 * t.co; chunks *= 2) {
    for (std::int64_t cut = 1; cut < 2 * d.output; cut *= 2) {
      set_block(t, ceil_div(t.co, chunks), ceil_div(d.output, cut));
      const double sums = real(t.kept_d) * real(h.output) * real(t.row);  // may be past 63 bits
      if (sums * sizeof(T) > real(kMostScatterBytes) ||
          t.scratch_size() * static_cast<std::int64_t>(sizeof(T)) > kMostScatterBytes)
        continue;
      const double seconds = col2vol_seconds<T>(t, query);
      if (seconds >= best) continue;
      best = seconds;
      chunk = t.chunk;
      block_d = t.block_d;
    }
  }
  if (chunk == 0) {
    reason = kScatterTooLarge;
    return std::nullopt;
  }
  set_block(t, chunk, block_d);
  return t;
}

template std::optional<Col2VolTiling> col2vol_tiling<float>(const Query&, std::string&);
template std::optional<Col2VolTiling> col2vol_tiling<double>(const Query&, std::string&);
template double col2vol_seconds<float>(const Col2VolTiling&, const Query&);
template double col2vol_seconds<double>(const Col2VolTiling&, const Query&);

}  // namespace convt3d
