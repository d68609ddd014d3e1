#include "convt3d/conv/gemm_tiling.hpp"

#include <algorithm>
#include <cmath>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/long_rows.hpp"
#include "convt3d/conv/kernels/row_product.hpp"

namespace convt3d {
namespace {

GemmAxis gemm_axis(const Problem& p, int axis) {
  GemmAxis result{.stride = p.stride[axis], .padding = p.padding[axis], .output = p.output[axis]};
  result.first = ceil_div(result.padding, result.stride);
  result.end = std::min(p.input[axis], floor_div(result.output - 1 + result.padding, result.stride) + 1);
  return result;
}

/// Whether a volume of so many bytes exceeds the caches.
bool from_memory(std::int64_t bytes, const Query& query) { return bytes > 16 * query.machine.l2_bytes; }

}  // namespace

template <typename T>
GemmTiling gemm_tiling(const Query& query) {
  const Problem& p = query.problem;
  const bool wide = is_wide(query.machine.isa);
  GemmTiling t;
  t.ci = p.ci / p.groups;
  t.co = p.co / p.groups;
  t.lanes = kernels::lanes<T>(query.machine.isa);
  t.sets = even_row_sets(t.co, wide);
  const std::int64_t most = ceil_div(t.co, static_cast<std::int64_t>(t.sets.size()));
  for (int axis = 0; axis < 3; ++axis) t.axes[static_cast<std::size_t>(axis)] = gemm_axis(p, axis);
  t.gaps = p.input != p.output;
  const std::int64_t cells = p.input.d * p.input.h * p.input.w;
  t.strip = std::min<std::int64_t>(kernels::row_vectors(static_cast<int>(most), wide), ceil_div(cells, t.lanes)) * t.lanes;

  t.chunks = ceil_div(t.ci, kMostRowTerms);

  // Two results or three pass through the first cache too often, but where reading takes still longer.
  const std::int64_t bytes = input_size(p) * static_cast<std::int64_t>(sizeof(T));
  t.long_rows = !t.gaps && t.chunks == 1 && t.co <= kernels::kMostLongRows &&
                (t.co == 1 || bytes <= query.machine.l2_bytes || from_memory(bytes, query));

  // A block's weights keep to half of L2, its results to a quarter.
  const std::int64_t half = query.machine.l2_bytes / 2 / static_cast<std::int64_t>(sizeof(T));
  const auto sets = static_cast<std::int64_t>(t.sets.size());
  t.blocks = ceil_div(sets, std::clamp<std::int64_t>(half / t.ci, most, 256) / most);
  t.sets_of_block = ceil_div(sets, t.blocks);
  t.blocks = ceil_div(sets, t.sets_of_block);
  t.channels_of_block = std::min(t.co, t.sets_of_block * most);
  const std::int64_t most_cells = std::clamp<std::int64_t>(half / 2 / t.channels_of_block, 4 * t.strip, 4096);
  const std::int64_t others = std::max<std::int64_t>(1, p.n) * p.groups * t.blocks;
  const std::int64_t of_thread = t.long_rows ? 2 : 4;  // shorter rows are read more slowly
  const std::int64_t wanted = query.threads == 1 ? 1 : ceil_div(of_thread * query.threads, others);
  std::int64_t pieces = std::max(ceil_div(cells, most_cells), std::min(wanted, ceil_div(cells, 4 * t.strip)));
  if (pieces > 1 && others % query.threads != 0) pieces = round_up(pieces, query.threads);  // as many for each thread
  t.unit = t.gaps ? p.input.w : t.strip;
  t.piece = round_up(ceil_div(cells, pieces), t.unit);
  return t;
}

template <typename T>
double gemm_seconds(const GemmTiling& t, const Query& query) {
  const Problem& p = query.problem;
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  const std::int64_t cells = p.input.d * p.input.h * p.input.w;
  const double cycles = strip_cycles(t.sets, t.strip / t.lanes, t.ci, t.chunks);
  const double strips = real(p.n * p.groups * ceil_div(cells, t.strip));
  // With gaps, rows of results and of bias are made and copied.
  const double made = real(p.n * p.co) * real(p.output.d * p.output.h) * (20 + 2 * real(p.output.w) / real(t.lanes));
  const double laid = t.gaps ? made + 1.4 * real(p.n * p.co) * real(p.input.d * p.input.h * p.input.w) : 0;
  const double computing = strips * cycles + laid;
  // What exceeds the caches, in cycles an element; it comes and goes while others are computed, but not quite.
  const auto moved = [&](std::int64_t elements, double each) {
    const std::int64_t bytes = elements * static_cast<std::int64_t>(sizeof(T));
    return from_memory(bytes, query) ? each * real(bytes) / 4 : 0.0;
  };
  const double memory = moved(input_size(p), 0.45) + (t.gaps ? output_memory_cycles<T>(query) : moved(output_size(p), 0.4));
  const double both = std::max(computing, memory) + 0.35 * std::min(computing, memory);
  return both / (kClock * query.threads) + 5e-6;
}

std::string not_of_one_tap(const Problem& p) {
  if (is_strided(p)) return kNoInputStride;
  if (p.kernel != Extent3(1)) return "not a layer of 1x1x1 kernels";
  for (int axis = 0; axis < 3; ++axis) {
    const GemmAxis a = gemm_axis(p, axis);
    if (a.first >= a.end) return "no output has a tap";
  }
  return "";
}

template GemmTiling gemm_tiling<float>(const Query&);
template GemmTiling gemm_tiling<double>(const Query&);
template double gemm_seconds<float>(const GemmTiling&, const Query&);
template double gemm_seconds<double>(const GemmTiling&, const Query&);

}  // namespace convt3d
