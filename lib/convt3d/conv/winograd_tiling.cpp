#include "convt3d/conv/winograd_tiling.hpp"

#include <algorithm>
#include <limits>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/summed_runs.hpp"

namespace convt3d {
namespace {

using kernels::WinogradScheme;

std::vector<std::int64_t> residues_w(const WinogradTiling& t, bool single) {
  std::vector<std::int64_t> residues;
  for (std::int64_t r = 0; r < t.axes[2].cells.stride; ++r) {
    if (t.axes[2].is_single(r) == single) residues.push_back(r);
  }
  return residues;
}

void set_block(WinogradTiling& t, const Extent3& block, const Query& query) {
  t.block = block;
  // With few tiles a plane, and so few sums, cells whose taps differ are multiplied at once.
  const std::int64_t sums = block.h * block.w * std::min(kWinogradColumns, t.co_vectors() * t.axes[2].cells.stride);
  t.axes[0].margin = t.axes[0].summed ? ceil_div(kSumsInFlight, sums) - 1 : 0;
  for (int a = 0; a < 3; ++a) {
    const WinogradAxis& axis = t.axes[static_cast<std::size_t>(a)];
    t.blocks[a] = ceil_div(axis.tiles, block[a]);
    t.span[a] = axis.cells_covered(0, block[a]);
    t.panel[a] = axis.summed ? t.planes(block[a]) : t.span[a] + axis.cells.shifts() - 1;
  }
  const std::int64_t tiles = block.d * block.h * block.w;
  std::int64_t most_points = 0;
  for (const WinogradView& view : t.views) {
    most_points = std::max(most_points, t.axes[0].points(view.single_d) * t.axes[1].points(view.single_h));
  }
  const auto line_points = [&](std::size_t axis) { return std::max(t.axes[axis].points(false), t.axes[axis].points(true)); };
  t.panels = t.views.size() > 1 ? t.ci_vectors : 1;
  t.panel_size = t.panels * t.panel.d * t.panel.h * t.panel.w * t.lanes;
  t.points_size = most_points * t.points_w() * t.planes(block.d) * block.h * block.w * t.ld();
  t.products_size = t.axes[0].summed ? 0 : line_points(0) * tiles * kWinogradColumns * t.lanes;
  t.sums_size = t.axes[0].scheme.outputs * line_points(1) * line_points(2) * tiles * kWinogradColumns * t.lanes;
  t.staging_size = t.chunk_vectors * t.span.d * t.span.h * t.span.w * t.axes[2].cells.stride * t.lanes;
  // What lies between two axes keeps to the first cache, where a group of one tile does.
  const auto lines_size = [&](std::int64_t group) {
    const std::int64_t after_h = line_points(1) * block.h;
    const std::int64_t rows = t.axes[0].summed ? after_h : line_points(0) * block.d * (t.panel.h + after_h);
    const std::int64_t input = rows * t.axes[2].columns(group);
    const std::int64_t output = t.axes[1].scheme.outputs * line_points(2) * group;
    return std::max(input, output) * t.lanes;
  };
  t.group = 1;
  while (t.group < block.w && lines_size(2 * t.group) * 4 <= query.machine.l1_bytes) t.group *= 2;
  t.group = std::min(t.group, block.w);
  t.lines_size = lines_size(t.group);
  const std::int64_t wanted = query.threads == 1 ? 1 : 3 * query.threads;
  t.splits = t.shared ? 1 : std::clamp<std::int64_t>(wanted / t.block_count(query.problem), 1, t.units());
}

void set_schemes(WinogradTiling& t, const std::array<WinogradScheme, 3>& schemes) {
  for (std::size_t a = 0; a < 3; ++a) set_scheme(t.axes[a], schemes[a]);
}

/// Sets the block that is fastest by estimate, shared or not, and returns its seconds.
double choose_block(WinogradTiling& t, const Query& query) {
  constexpr std::int64_t kMostTiles = 256;
  constexpr std::int64_t kMostShared = std::int64_t{4} << 20;  // bytes: what stays in an L3 that others share
  double best = std::numeric_limits<double>::infinity();
  Extent3 chosen;
  bool shared = false;
  std::int64_t splits = 1;
  // Whole runs of interleaved tiles, so that no two blocks write to one cell.
  const auto whole_runs = [&](std::size_t axis, std::int64_t tiles) {
    return round_up(std::min(tiles, t.axes[axis].tiles), t.axes[axis].step);
  };
  // Points come from behind L2 at speed only in runs of many tiles.
  const auto may_share = [&] {
    constexpr double kFewestTiles = 24;
    const auto count = [](const Extent3& extent) { return static_cast<double>(extent.d * extent.h * extent.w); };
    const double all = count({t.axes[0].tiles, t.axes[1].tiles, t.axes[2].tiles});
    const bool enough = (count(t.blocks) == 1 || all / count(t.blocks) >= kFewestTiles) &&
                        t.block_count(query.problem) * t.units() >= 4 * query.threads;
    return t.views.size() == 1 && enough && t.shared_floats(query.problem) * 4 <= kMostShared;
  };
  const auto consider = [&](const Extent3& block) {
    for (t.shared = false;; t.shared = true) {
      set_block(t, block, query);
      if (t.shared && !may_share()) return;
      // As many tasks as threads transform the least input more than once; more of them share the work more evenly, which
      // the estimate does not see.
      constexpr double kEven = 1.15;
      const std::int64_t few = std::clamp<std::int64_t>(query.threads / t.block_count(query.problem), 1, t.splits);
      const std::int64_t most = t.splits;
      for (const std::int64_t count : {most, few}) {
        t.splits = count;
        const double seconds = winograd_seconds(t, query) * (count < most ? kEven : 1);
        if (seconds >= best) continue;
        best = seconds;
        chosen = block;
        shared = t.shared;
        splits = count;
      }
      if (t.shared) return;
    }
  };
  // Powers of two, and equal shares of the threads.
  const auto sizes = [&](std::size_t axis) {
    const std::int64_t tiles = t.axes[axis].tiles;
    std::vector<std::int64_t> result;
    for (std::int64_t size = 1; size < 2 * tiles; size *= 2) result.push_back(size);
    for (std::int64_t shares = query.threads; query.threads > 1 && shares <= 4 * query.threads; shares *= 2)
      result.push_back(ceil_div(tiles, shares));
    return result;
  };
  const std::vector<std::int64_t> sizes_d = sizes(0), sizes_h = sizes(1);
  for (std::int64_t cut = 1; cut <= t.axes[2].tiles; cut *= 2) {
    for (const std::int64_t bh : sizes_h) {
      for (const std::int64_t bd : sizes_d) {
        const Extent3 block = {whole_runs(0, bd), whole_runs(1, bh), whole_runs(2, ceil_div(t.axes[2].tiles, cut))};
        const bool smallest = bd == 1 && bh == 1 && cut * 2 > t.axes[2].tiles;
        if (block.d * block.h * block.w <= kMostTiles || smallest) consider(block);
      }
    }
  }
  t.shared = shared;
  set_block(t, chosen, query);
  t.splits = splits;
  return best;
}

/// Schemes worth trying on an axis whose longest residues have so many taps: Fourier transforms where Winograd's round too
/// much or do not go.
std::vector<WinogradScheme> channel_schemes_for(const WinogradAxis& axis, int taps) {
  std::vector<WinogradScheme> schemes = schemes_for(taps);
  if (taps >= 4) append_fourier_schemes(axis, taps, /*triples=*/true, schemes);
  return schemes;
}

/// Cells that the taps of an axis span.
constexpr std::int64_t kMostShifts = 256;

/// Those that its axes have.
void set_views(WinogradTiling& t) {
  t.views.clear();
  for (const bool single_d : {false, true}) {
    for (const bool single_h : {false, true}) {
      if (t.axes[0].has(single_d) && t.axes[1].has(single_h)) t.views.push_back({single_d, single_h});
    }
  }
}

/// Everything but schemes and block: with d transformed where its taps allow it and with d summed. Where there is none, the
/// reason is why the problem cannot be run.
std::vector<WinogradTiling> tilings_of(const Query& query, std::array<int, 3>& taps, std::string& reason) {
  const Problem& p = query.problem;
  const auto none = [&](std::string why) {
    reason = std::move(why);
    return std::vector<WinogradTiling>{};
  };
  if (is_strided(p)) return none(kNoInputStride);
  if (p.dtype != DType::kFloat32) return none("computes in float32 only");
  WinogradTiling t;
  t.lanes = kernels::lanes<float>(query.machine.isa);
  if (t.lanes < 4) return none("no vectors");
  t.ci = p.ci / p.groups;
  t.co = p.co / p.groups;
  if (t.ci < 2) return none("one input channel per group");
  if (t.co < 4) return none("fewer than 4 output channels per group");
  std::array<std::string, 3> reasons;
  for (int a = 0; a < 3; ++a) {
    const auto i = static_cast<std::size_t>(a);
    if (p.stride[a] > 16 || p.dilation[a] > 16) return none("a stride or dilation above 16");
    t.axes[i].cells = make_cell_axis(p, a);
    if (t.axes[i].cells.shifts() > kMostShifts) return none("kernels that reach over 256 cells");
    reasons[i] = examine(t.axes[i], taps[i]);
    if (reasons[i].empty() && channel_schemes_for(t.axes[i], taps[i]).empty()) reasons[i] = "phases of more than 13 taps";
  }
  for (const std::size_t a : {std::size_t{1}, std::size_t{2}}) {
    if (!reasons[a].empty()) return none(reasons[a]);
  }
  if (std::max({taps[0], taps[1], taps[2]}) < 2) return none("one tap per phase: nothing to save");
  t.ci_vectors = ceil_div(t.ci, t.lanes);
  const std::size_t most_residues = std::max(residues_w(t, false).size(), residues_w(t, true).size());
  t.chunk_vectors = std::min<std::int64_t>(t.co_vectors(), most_residues == 1 ? 2 : 1);
  t.chunks = ceil_div(t.co_vectors(), t.chunk_vectors);

  std::vector<WinogradTiling> tilings;
  if (reasons[0].empty() && taps[0] > 1) tilings.push_back(t);
  if (std::max(taps[1], taps[2]) > 1) {
    tilings.push_back(t);
    tilings.back().axes[0] = summed(t.axes[0]);
    for (std::int64_t r = 0; r < t.axes[0].cells.stride; ++r)
      tilings.back().taps_d = std::max(tilings.back().taps_d, tilings.back().axes[0].products(r));
  }
  for (WinogradTiling& tiling : tilings) set_views(tiling);
  return tilings.empty() ? none(reasons[0]) : tilings;
}

}  // namespace

std::vector<WinogradColumns> winograd_columns(const WinogradTiling& tiling, std::int64_t chunk) {
  std::vector<WinogradColumns> all;
  for (const bool single : {false, true}) {
    WinogradColumns columns{.single = single, .entries = {}};
    for (std::int64_t j = 0; j < tiling.vectors_in(chunk); ++j) {
      for (const std::int64_t rw : residues_w(tiling, single)) {
        columns.entries.emplace_back(j, rw);
        if (static_cast<std::int64_t>(columns.entries.size()) < kWinogradColumns) continue;
        all.push_back(columns);
        columns.entries.clear();
      }
    }
    if (!columns.entries.empty()) all.push_back(columns);
  }
  return all;
}

std::int64_t winograd_weights_size(const Problem& problem, const WinogradTiling& tiling) {
  std::int64_t points = 1;  // over all residues; a sum of products is the product of the axes' sums
  for (const WinogradAxis& axis : tiling.axes) {
    std::int64_t sum = 0;
    for (std::int64_t r = 0; r < axis.cells.stride; ++r) sum += axis.products(r);
    points *= sum;
  }
  return problem.groups * tiling.co_vectors() * tiling.lanes * (points * tiling.ci + 1);
}

bool WinogradTiling::rows_whole(const Problem& problem) const {
  const CellAxis& w = axes[2].cells;
  const std::int64_t cut = axes[2].cells_covered(0, block.w) * w.stride;
  return blocks.w == 1 || (cut % lanes == 0 && w.output_of(w.begin, 0) == 0 && problem.output.w % lanes == 0);
}

std::optional<WinogradTiling> winograd_tiling(const Query& query, std::string& reason) {
  std::array<int, 3> taps{};
  reason.clear();
  std::vector<WinogradTiling> tilings = tilings_of(query, taps, reason);
  if (!reason.empty()) return std::nullopt;

  const OneVolume one(query);
  double best = std::numeric_limits<double>::infinity();
  std::optional<WinogradTiling> chosen;
  for (WinogradTiling& t : tilings) {
    const std::vector<WinogradScheme> schemes_d =
        t.axes[0].summed ? std::vector<WinogradScheme>{{}} : channel_schemes_for(t.axes[0], taps[0]);
    for (const std::int64_t part : kWinogradParts) {
      t.part = part;
      const double error = expected_error(one.problem, t.terms(), t.part);
      for (const WinogradScheme& d : schemes_d) {
        for (const WinogradScheme& h : channel_schemes_for(t.axes[1], taps[1])) {
          for (const WinogradScheme& w : channel_schemes_for(t.axes[2], taps[2])) {
            if (error * error_growth(d) * error_growth(h) * error_growth(w) > kMostError) continue;
            set_schemes(t, {d, h, w});
            if (winograd_least_seconds(t, one.query()) >= best) continue;
            const double seconds = choose_block(t, one.query());
            if (seconds < best) {
              best = seconds;
              chosen = t;
            }
          }
        }
      }
    }
  }
  if (!chosen) {
    reason = "no tile size keeps the error bound";
    return std::nullopt;
  }
  choose_block(*chosen, query);
  return chosen;
}

}  // namespace convt3d
