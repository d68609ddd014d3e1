#include "convt3d/conv/few_channel_tiling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/phases.hpp"

namespace convt3d {
namespace {

// FMA units against load ports, each two a cycle; the two overlap, but not quite.
double vector_cycles(int columns, double reads, double run, bool wide) {
  const double most = std::max(1, std::min(8, (wide ? 31 : 15) / (columns + 1)));
  const double vectors = run / std::ceil(run / most);
  const double fma = std::max(8.0, columns * vectors);  // 4 cycles from one to the next of a sum
  const double loads = 2 * vectors + columns;           // an unaligned load touches two lines
  return reads * (std::max(fma, loads) + 0.2 * std::min(fma, loads)) / vectors / 2;
}

/// Time of a vector of cells for one set and one residue of d, in cycles; `wide` where there are 32 registers.
double set_cycles(const FewChannelTiling& t, const ColumnSet& set, bool wide) {
  const std::int64_t cells = std::max(t.axes[2].cells(), 2 * kShortRow);
  const auto run = static_cast<double>(ceil_div(cells, t.lanes));
  double reads_h = 0, reads_d = 0;  // of h, and of d on average over its residues
  for (std::int64_t e = t.axes[1].lowest; e <= t.axes[1].highest; ++e) reads_h += t.axes[1].reads(set.rh, set.rh_count, e);
  for (std::int64_t rd = 0; rd < t.axes[0].stride; ++rd) {
    for (std::int64_t e = t.axes[0].lowest; e <= t.axes[0].highest; ++e) reads_d += t.axes[0].reads(rd, 1, e);
  }
  reads_d *= t.inside_d / static_cast<double>(t.axes[0].stride);
  const double reads = reads_h * reads_d * static_cast<double>(t.axes[2].shifts() * t.ci);
  return 1.2 * vector_cycles(set.columns(), reads, run, wide) + 5 * set.columns();
}

/// The cheapest way to cut channels and residues into sets of a size that there is a kernel for.
std::vector<ColumnSet> choose_sets(const FewChannelTiling& t, bool wide) {
  const std::int64_t sh = t.axes[1].stride;
  const std::int64_t sw = t.axes[2].stride;
  const std::int64_t rw_count = has_kernel(sw) && sw <= 4 ? sw : 1;
  double best = std::numeric_limits<double>::infinity();
  std::vector<ColumnSet> chosen;
  for (const std::int64_t rh_count : {std::int64_t{1}, sh}) {
    for (std::int64_t co_count = 1; co_count <= std::min<std::int64_t>(t.co, 9); ++co_count) {
      if (!has_kernel(co_count * rh_count * rw_count)) continue;
      std::vector<ColumnSet> sets;
      double cycles = 0;
      for (std::int64_t co = 0; co < t.co;) {
        std::int64_t count = std::min(co_count, t.co - co);
        while (!has_kernel(count * rh_count * rw_count)) --count;
        for (std::int64_t rh = 0; rh < sh; rh += rh_count) {
          for (std::int64_t rw = 0; rw < sw; rw += rw_count) {
            sets.push_back({co, count, rh, rh_count, rw, rw_count});
            cycles += set_cycles(t, sets.back(), wide);
          }
        }
        co += count;
      }
      if (cycles < best) {
        best = cycles;
        chosen = std::move(sets);
      }
    }
  }
  return chosen;
}

}  // namespace

bool channels_compete(std::int64_t channels, std::int64_t channel_stride) {
  return channels > 8 && channel_stride % 1024 == 0;
}

bool has_kernel(std::int64_t columns) {
  return std::find(std::begin(kernels::kCellColumns), std::end(kernels::kCellColumns), columns) !=
         std::end(kernels::kCellColumns);
}

double column_cycles(int columns, double reads, double run, bool wide) {
  return 1.1 * vector_cycles(columns, reads, run, wide) + 8 * columns;
}

bool has_zeros(const FewChannelTiling& t) {
  const auto lacks = [](const CellAxis& axis, std::int64_t first, std::int64_t count, bool every_e) {
    for (std::int64_t e = axis.lowest; e <= axis.highest; ++e) {
      if (!every_e && !axis.reads(first, count, e)) continue;
      for (std::int64_t r = first; r < first + count; ++r) {
        if (axis.kernel_index(r, e) < 0) return true;
      }
    }
    return false;
  };
  return lacks(t.axes[2], 0, t.axes[2].stride, true) || std::any_of(t.sets.begin(), t.sets.end(), [&](const ColumnSet& set) {
           return lacks(t.axes[1], set.rh, set.rh_count, false);
         });
}

template <typename T>
FewChannelTiling few_channel_tiling(const Query& query) {
  const Problem& p = query.problem;
  FewChannelTiling t;
  for (int axis = 0; axis < 3; ++axis) t.axes[static_cast<std::size_t>(axis)] = make_cell_axis(p, axis);
  t.inside_d = inside_share(p, 0);
  t.ci = p.ci / p.groups;
  t.co = p.co / p.groups;
  t.lanes = kernels::lanes<T>(query.machine.isa);
  const bool wide = is_wide(query.machine.isa);
  t.sets = choose_sets(t, wide);
  const CellAxis& w = t.axes[2];
  const bool short_rows = w.cells() < kShortRow;
  t.pitch = w.cells() + w.shifts() - 1;
  if (!short_rows) {
    t.pitch = round_up(t.pitch, t.lanes);
    // Rows apart from one another in the cache.
    if (t.pitch * static_cast<std::int64_t>(sizeof(T)) % 1024 == 0) t.pitch += t.lanes;
  }

  const std::int64_t halo_d = t.axes[0].shifts() - 1;
  const std::int64_t halo_h = t.axes[1].shifts() - 1;
  const std::int64_t budget = query.machine.l2_bytes / 2 / static_cast<std::int64_t>(sizeof(T));
  const std::int64_t wanted = query.threads == 1 ? 1 : 4 * query.threads;
  const std::int64_t buffered = query.machine.l1_bytes / static_cast<std::int64_t>(sizeof(T));
  std::int64_t most_channels = 1;
  for (const ColumnSet& set : t.sets) most_channels = std::max(most_channels, set.co_count);
  const double row_cycles =
      static_cast<double>(t.ci) * (17 + 5 * static_cast<double>(t.pitch) / static_cast<double>(t.lanes));
  constexpr double kTaskCells = 1000;  // starting a task takes as long as packing so many cells
  double best = std::numeric_limits<double>::infinity();
  FewChannelTiling chosen;
  for (std::int64_t bd = 1; bd < 2 * t.axes[0].cells(); bd *= 2) {
    for (std::int64_t bh = 1; bh < 2 * t.axes[1].cells(); bh *= 2) {
      t.block_d = std::min(bd, t.axes[0].cells());
      t.block_h = std::min(bh, t.axes[1].cells());
      t.blocks_d = ceil_div(t.axes[0].cells(), t.block_d);
      t.blocks_h = ceil_div(t.axes[1].cells(), t.block_h);
      t.panel_d = t.block_d + halo_d;
      t.panel_h = t.block_h + halo_h;
      t.run_h = short_rows ? std::clamp<std::int64_t>(2 * kShortRow / t.pitch, 1, t.block_h) : 1;
      t.row_size = round_up(t.run_cells(t.run_h), t.lanes) * w.stride;
      t.stored_h = t.sets.front().rh_count;
      t.row_buffers = most_channels * t.axes[1].stride;
      if (t.row_buffers * t.row_size <= buffered) {
        t.stored_h = t.axes[1].stride;
      } else {
        t.row_buffers = most_channels * t.stored_h;
      }
      const std::int64_t tasks = std::max<std::int64_t>(1, p.n) * p.groups * t.blocks_d * t.blocks_h;
      t.set_splits = std::clamp<std::int64_t>(wanted / tasks, 1, t.stores());
      const auto rows = static_cast<double>(t.block_d * t.block_h);
      double cost = static_cast<double>(t.panel_d * t.panel_h * t.set_splits) / rows;
      cost += kTaskCells / (rows * static_cast<double>(w.cells()));
      // Of threads with groups of their own too: blocks that are cut along h lose by more than lines.
      cost += shared_line_cycles(query.threads, {t.blocks_d, t.blocks_h, 1}, t.block_d * t.axes[0].stride, 1, t.co) /
              (rows * row_cycles);
      if (t.panel_size() > budget) cost *= 4 * static_cast<double>(t.panel_size()) / static_cast<double>(budget);
      if (tasks * t.set_splits < wanted) cost *= 2 * static_cast<double>(wanted) / static_cast<double>(tasks * t.set_splits);
      if (cost < best) {
        best = cost;
        chosen = t;
      }
    }
  }
  return chosen;
}

// All tasks' cycles, shared among the threads: the kernel's vectors and calls, rows packed and stored, and what memory adds.
template <typename T>
double few_channel_seconds(const FewChannelTiling& t, const Query& query) {
  const Problem& p = query.problem;
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  double cycles = 0;
  for (const ColumnSet& set : t.sets) cycles += set_cycles(t, set, is_wide(query.machine.isa));
  const double rows = real(p.n * p.groups * t.axes[0].stride * t.axes[0].cells() * t.axes[1].cells());
  const double runs = rows / real(t.run_h);
  // Short rows run on, halo included.
  const double vectors = runs * real(ceil_div(t.run_h * t.pitch, t.lanes));
  // Rows are packed with what neighbouring blocks pack as well, but for those that are read where they lie.
  const bool packs = has_zeros(t) || t.axes[0].shifts() * t.axes[1].shifts() * t.axes[2].shifts() > 1 ||
                     channels_compete(t.ci, p.input.d * p.input.h * p.input.w);
  const std::int64_t packed =
      packs ? p.n * p.groups * t.blocks_d * t.blocks_h * t.set_splits * t.ci * t.panel_d * t.panel_h : 0;
  // Whole rows are copied a plane at a time.
  const bool joins_rows = t.pitch == p.input.w && t.axes[2].shifts() == 1;
  const double packing = real(packed) * (17 / real(joins_rows ? t.panel_h : 1) + 5 * real(t.pitch) / real(t.lanes));
  // What memory adds, in cycles an element.
  const auto exceeds = [&](std::int64_t elements) {
    return elements * static_cast<std::int64_t>(sizeof(T)) > 16 * query.machine.l2_bytes;
  };
  const auto moved = [&](std::int64_t elements, double each) {
    return exceeds(elements) ? each * real(elements) * sizeof(T) / 4 : 0.0;
  };
  // Rows that are less than a line are put together before they go past the caches.
  const bool in_parts = p.output.w * static_cast<std::int64_t>(sizeof(T)) < 64;
  const double part_of_line = exceeds(output_size(p)) ? 26 : 8;
  const double stored = (in_parts ? part_of_line : 4) * real(p.n * p.co * p.output.d * p.output.h);
  const double memory = moved(output_size(p), 0.4) + moved(input_size(p), 0.9);
  // Many channels that are read where they lie are hopped between, as no prefetcher expects.
  const bool hops = !packs && t.ci > 64 && input_size(p) * static_cast<std::int64_t>(sizeof(T)) > query.machine.l2_bytes / 2;
  const double hopping = hops ? 0.15 * real(input_size(p)) : 0;
  const double calls = 200 * runs * real(static_cast<std::int64_t>(t.sets.size()));
  return (cycles * vectors + calls + packing + stored + memory + hopping) / (kClock * query.threads) + 5e-6;
}

template double few_channel_seconds<float>(const FewChannelTiling&, const Query&);
template double few_channel_seconds<double>(const FewChannelTiling&, const Query&);
template FewChannelTiling few_channel_tiling<float>(const Query&);
template FewChannelTiling few_channel_tiling<double>(const Query&);

}  // namespace convt3d
