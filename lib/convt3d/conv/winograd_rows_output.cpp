#include "convt3d/conv/winograd_rows_output.hpp"

#include <algorithm>

namespace convt3d {
namespace {

constexpr std::int64_t kNoSource = -1;  ///< of a row that is the bias

}  // namespace

WinogradRowsOutput::WinogradRowsOutput(const Plan& plan, const WinogradRowsTiling& tiling,
                                       const WinogradRowsWeights& weights, const Epilogue& epilogue)
    : problem_(plan.problem),
      tiling_(tiling),
      weights_(weights),
      epilogue_(epilogue, plan.problem.co, plan.problem.groups, plan.machine.isa),
      output_d_(kernels::winograd_output(plan.machine.isa, tiling.d.scheme)),
      copy_rows_(kernels::copy_rows<float>(plan.machine.isa)),
      copy_row_(kernels::copy_row<float>(plan.machine.isa)),
      stream_row_(kernels::stream_row<float>(plan.machine.isa)),
      spread_row_(kernels::spread_row(plan.machine.isa)) {
  const std::int64_t stride = tiling.w.stride;
  for (std::int64_t first = 0; first < stride; ++first) {
    std::int32_t taken = 0;
    for (std::int64_t lane = 0; lane < tiling.lanes; ++lane)
      spread_lanes_.push_back(tiling.residues_w.place((first + lane) % stride) < 0 ? -1 : taken++);
    spread_taken_.push_back(taken);
  }
}

void WinogradRowsOutput::store(const RunArgs& args, const WinogradRowsBlock& block, const WinogradRowsSet& set,
                               const float* outputs, const Scratch& scratch) const {
  const WinogradRowsTiling& t = tiling_;
  const std::int64_t rh_count = t.residues_h.count();
  const std::int64_t size = t.h.scheme.outputs * t.row;
  PlaneRows placed{};
  Places places;
  for (std::int64_t row = set.first, end = 0; row < set.first + set.count; row = end) {
    end = std::min((row / rh_count + 1) * rh_count, set.first + set.count);
    TaskDigits digits(row);
    const std::int64_t first = digits.next(rh_count), rd = digits.next(t.residues_d.count());
    const PlaneRows rows{.co = block.group * t.co + digits.rest(), .first = first, .end = first + end - row};
    output_d_({.source = outputs + (row - set.first) * size,
               .source_step = t.outputs_size,
               .source_inner = t.lanes,
               .target = scratch.staging,
               .target_step = rh_count * size,
               .target_inner = t.lanes,
               .inner = (end - row) * size / t.lanes,
               .init = weights_.bias(rows.co)});
    if (rows.first != placed.first || rows.end != placed.end) {
      places = place_rows(args.output_box, block, rows, scratch.places);
      placed = rows;
    }
    if (!t.residues_d.all() || !t.residues_h.all()) {
      const std::int64_t count = columns_of(args.output_box, block).count;
      std::fill_n(scratch.bias_row, count, *weights_.bias(rows.co));
      epilogue_.on_row(rows.co, scratch.bias_row, count);
    }
    store_planes(args, block, rows.co, t.residues_d.residue(rd), places, scratch.staging, scratch);
    if (rd > 0 || t.residues_d.all()) continue;
    for (std::int64_t r = 0; r < t.d.cells.stride; ++r) {
      if (t.residues_d.place(r) < 0) store_planes(args, block, rows.co, r, places, nullptr, scratch);
    }
  }
}

WinogradRowsOutput::Columns WinogradRowsOutput::columns_of(const Box3& box, const WinogradRowsBlock& block) const {
  const CellAxis& w = tiling_.w;
  const std::int64_t begin = w.output_of(block.first_w, 0), first = std::max(begin, box.begin.w);
  std::int64_t skipped = 0;
  for (std::int64_t ow = begin; ow < first; ++ow) skipped += tiling_.residues_w.place((ow - begin) % w.stride) < 0 ? 0 : 1;
  return {.skipped = skipped,
          .residue = (first - begin) % w.stride,
          .first = first - box.begin.w,
          .count = std::min(begin + block.cells_w * w.stride, box.end.w) - first};
}

WinogradRowsOutput::Places WinogradRowsOutput::place_rows(const Box3& box, const WinogradRowsBlock& block,
                                                          const PlaneRows& rows, kernels::RowPlaces* places) const {
  const WinogradRowsTiling& t = tiling_;
  const Columns columns = columns_of(box, block);
  std::size_t count = 0;
  for (std::int64_t th = 0; th < block.tiles_h; ++th) {
    const std::int64_t first_cell = t.h.cells.begin + t.h.first_cell(block.first_h + th);
    for (std::int64_t j = 0; j < t.h.scheme.outputs; ++j) {
      for (std::int64_t rh = 0; rh < t.h.cells.stride; ++rh) {
        const std::int64_t oh = t.h.cells.output_of(first_cell + j * t.h.step, rh), place = t.residues_h.place(rh);
        if (oh < box.begin.h || oh >= box.end.h || !rows.has(place)) continue;
        const std::int64_t source =
            ((place - rows.first) * t.h.scheme.outputs + j) * t.row + th * t.pitch * t.residues_w.count();
        places[count++] = {.source = place < 0 ? kNoSource : source + columns.skipped,
                           .target = (oh - box.begin.h) * box.extent().w + columns.first};
      }
    }
  }
  // Rows of interleaved tiles were listed tile by tile.
  if (t.h.step > 1) std::sort(places, places + count, [](const auto& a, const auto& b) { return a.target < b.target; });
  return {places, count};
}

void WinogradRowsOutput::store_planes(const RunArgs& args, const WinogradRowsBlock& block, std::int64_t co, std::int64_t rd,
                                      Places places, float* staging, const Scratch& scratch) const {
  const WinogradRowsTiling& t = tiling_;
  const Box3& box = args.output_box;
  const Extent3 have = box.extent();
  kernels::RowStream<float> stream;
  for (std::int64_t td = 0; td < block.tiles_d; ++td) {
    for (std::int64_t i = 0; i < t.d.scheme.outputs; ++i) {
      const std::int64_t cell = t.d.cells.begin + t.d.first_cell(block.first_d + td) + i * t.d.step;
      const std::int64_t od = t.d.cells.output_of(cell, rd);
      if (od < args.wanted.begin || od >= args.wanted.end) continue;
      const std::int64_t from =
          i * t.residues_h.count() * t.h.scheme.outputs * t.row + td * block.tiles_h * t.pitch * t.residues_w.count();
      float* const plane =
          static_cast<float*>(args.output) + ((block.n * problem_.co + co) * have.d + od - box.begin.d) * have.h * have.w;
      store_rows(args, block, co, places, staging == nullptr ? nullptr : staging + from, plane, stream, scratch);
    }
  }
  kernels::flush(stream);
}

void WinogradRowsOutput::store_rows(const RunArgs& args, const WinogradRowsBlock& block, std::int64_t co, Places places,
                                    float* staging, float* plane, kernels::RowStream<float>& stream,
                                    const Scratch& scratch) const {
  const WinogradRowsTiling& t = tiling_;
  const Columns columns = columns_of(args.output_box, block);
  // Short rows are not worth the joining of their ends that going past the caches takes.
  constexpr std::int64_t kLongRow = 32;
  const bool streams = args.stream && columns.count >= kLongRow;
  const bool as_they_are = staging != nullptr && t.residues_h.all() && t.residues_w.all() && !streams;
  kernels::SpreadRowArgs spread{.lanes = spread_lanes_.data(),
                                .taken = spread_taken_.data(),
                                .stride = t.w.stride,
                                .first = columns.residue,
                                .fill = *weights_.bias(co),
                                .count = columns.count,
                                .target = scratch.row};
  const bool spread_into_place = epilogue_.empty() && !streams;
  for (const auto& [source, target] : places) {
    float* from = scratch.bias_row;
    if (staging != nullptr && source != kNoSource) {
      from = staging + source;
      if (!t.residues_w.all()) {
        spread.source = from;
        if (spread_into_place) spread.target = plane + target;
        spread_row_(spread);
        if (spread_into_place) continue;
        from = scratch.row;
      }
      epilogue_.on_row(co, from, columns.count);
    }
    if (streams) {
      stream_row_(from, plane + target, columns.count, stream);
    } else if (!as_they_are) {
      copy_row_(from, plane + target, columns.count);
    }
  }
  if (as_they_are) {
    copy_rows_({.source = staging,
                .target = plane,
                .places = places.data(),
                .rows = static_cast<std::int64_t>(places.size()),
                .count = columns.count});
  }
}

}  // namespace convt3d
