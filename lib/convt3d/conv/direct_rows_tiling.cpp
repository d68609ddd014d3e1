#include "convt3d/conv/direct_rows_tiling.hpp"

#include <algorithm>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/gemm_tiling.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/row_product.hpp"

namespace convt3d {
template <typename T>
DirectRowsTiling direct_rows_tiling(const Query& query) {
  const Problem& p = query.problem;
  const bool wide = is_wide(query.machine.isa);
  DirectRowsTiling t;
  t.phases_d = axis_phases(p, 0);
  t.h = axis_phases(p, 1).front();
  t.alike = alike_positions(t.h, p.input_stride.h, p.input.h);
  t.ci = p.ci / p.groups;
  t.co = p.co / p.groups;
  t.lanes = kernels::lanes<T>(query.machine.isa);
  t.sets = even_row_sets(t.co, wide);
  const auto sets = static_cast<std::int64_t>(t.sets.size());
  const std::int64_t most = ceil_div(t.co, sets);
  const std::int64_t plane = p.output.h * p.output.w;
  t.strip = std::min<std::int64_t>(kernels::row_vectors(static_cast<int>(most), wide), ceil_div(plane, t.lanes)) * t.lanes;
  t.taps_at_once = std::max<std::int64_t>(1, kMostRowTerms / t.ci);
  t.chunks = ceil_div(t.ci, kMostRowTerms);

  // A block's weights keep to half of L2, what a piece is made from as well.
  const std::int64_t half = query.machine.l2_bytes / 2 / static_cast<std::int64_t>(sizeof(T));
  const std::int64_t terms = t.ci * p.kernel.d * p.kernel.h;
  t.blocks = ceil_div(sets, std::clamp<std::int64_t>(half / terms, most, 256) / most);
  t.sets_of_block = ceil_div(sets, t.blocks);
  t.blocks = ceil_div(sets, t.sets_of_block);
  t.strips_at_once = std::clamp<std::int64_t>(half / 2 / (terms * t.strip), 1, 16);
  const std::int64_t most_voxels = std::clamp<std::int64_t>(half / (t.ci * p.kernel.d), 4 * t.strip, 4096);
  const std::int64_t others = std::max<std::int64_t>(1, p.n) * p.groups * t.blocks * p.output.d;
  const std::int64_t wanted = query.threads == 1 ? 1 : ceil_div(4 * query.threads, others);
  t.pieces = std::max(ceil_div(plane, most_voxels), std::min(wanted, ceil_div(plane, 4 * t.strip)));
  t.piece = round_up(ceil_div(plane, t.pieces), t.strip);
  t.pieces = ceil_div(plane, t.piece);
  // Small planes several to a task, so that it pays to begin it.
  constexpr double kTaskFlops = 2e6;
  const double tasks = std::clamp(flops(p) / kTaskFlops, 4.0 * query.threads, 16.0 * query.threads);
  t.planes = std::clamp<std::int64_t>(others * t.pieces / static_cast<std::int64_t>(tasks), 1, p.output.d);
  return t;
}

template <typename T>
double direct_rows_seconds(const DirectRowsTiling& t, const Query& query) {
  const Problem& p = query.problem;
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  double taps_d = 0;  // of a plane, on average
  for (const AxisPhase& d : t.phases_d) {
    for (const Tap& tap : d.taps) {
      const InsidePositions inside = inside_positions(d, tap, p.input_stride.d, p.input.d);
      taps_d += real(inside.end - inside.begin) / real(p.output.d);
    }
  }
  const std::int64_t most = t.strip / t.lanes;
  double cycles = 0;  // of a plane
  for (const AlikePositions& rows : t.alike) {
    const double terms = real(t.ci * (rows.taps.end - rows.taps.begin)) * taps_d;
    const double calls = std::ceil(std::max(1.0, terms / real(kMostRowTerms)));
    const std::int64_t voxels = (rows.end - rows.begin) * p.input.w;
    const auto add_strips = [&](std::int64_t strips, std::int64_t vectors) {
      for (const RowSet& set : t.sets) {
        const double fma = std::max(8.0, real(set.count * vectors));  // 4 cycles from one to the next of a sum
        const double loads = real(2 * vectors + set.count);           // an unaligned load touches two lines
        cycles += real(strips) * (0.65 * terms * std::max(fma, loads) + calls * (82 + 2.3 * real(set.count * vectors)));
      }
    };
    // Less than a strip is whole vectors, and one more for what is left.
    const std::int64_t whole = voxels < t.strip ? voxels / t.lanes : ceil_div(voxels, t.lanes);
    if (whole >= most) add_strips(whole / most, most);
    if (whole % most > 0) add_strips(1, whole % most);
    if (whole * t.lanes < voxels) add_strips(1, 1);
    cycles += 100 * real(t.blocks);
  }
  // What inputs from behind L2 and from memory add, and outputs that go there, an element.
  const auto moved = [&](std::int64_t elements, std::int64_t least, double each) {
    const std::int64_t bytes = elements * static_cast<std::int64_t>(sizeof(T));
    return bytes > least * query.machine.l2_bytes ? each * real(bytes) / 4 : 0.0;
  };
  const double memory = moved(input_size(p), 1, 0.15) + moved(input_size(p), 16, 0.3) + moved(output_size(p), 16, 0.3);
  return (cycles * real(p.n * p.groups * p.output.d) + memory) / (kClock * query.threads) + 5e-6;
}

std::string not_in_rows(const Query& query) {
  const Problem& p = query.problem;
  if (p.input_stride.h != 1 || p.input_stride.w != 1) return kNoInputStride;
  if (p.kernel.w != 1 || p.stride.w != 1 || p.padding.w != 0 || p.input.w != p.output.w)
    return "more than one tap an output along w";
  if (p.stride.h != 1) return "a stride along h";
  if (not_of_one_tap(p).empty()) return "a layer of 1x1x1 kernels";
  const bool is_double = p.dtype == DType::kFloat64;
  const std::int64_t lanes =
      is_double ? kernels::lanes<double>(query.machine.isa) : kernels::lanes<float>(query.machine.isa);
  if (p.input.w < lanes) return "rows shorter than a vector";
  return "";
}

template DirectRowsTiling direct_rows_tiling<float>(const Query&);
template DirectRowsTiling direct_rows_tiling<double>(const Query&);
template double direct_rows_seconds<float>(const DirectRowsTiling&, const Query&);
template double direct_rows_seconds<double>(const DirectRowsTiling&, const Query&);

}  // namespace convt3d
