#include "convt3d/conv/col2vol_rows_sums.hpp"

#include <algorithm>

#include "convt3d/base/checked.hpp"

namespace convt3d {
namespace {

using kernels::ShiftedRow;

/// A tap along w: which one, and where in its line of outputs it adds the first voxel's product.
struct TapW {
  std::int64_t tap = 0, place = 0;
};

std::vector<std::vector<TapW>> taps_of_residues(const ScatterAxis& w) {
  std::vector<std::vector<TapW>> taps(static_cast<std::size_t>(w.stride));
  for (std::int64_t tap = 0; tap < w.kernel; ++tap) {
    const std::int64_t u = tap * w.dilation;
    taps[static_cast<std::size_t>(u % w.stride)].push_back({tap, u / w.stride});
  }
  return taps;
}

/// add(sum) for each sum of the blocks in turn, after row(shifted) for each of its rows, and end_block() after each block.
template <typename Row, typename Add, typename EndBlock>
void for_each_sum(const Col2VolRowsTiling& t, const Row& row, const Add& add, const EndBlock& end_block) {
  if (t.one_tap()) return;  // nothing is added up
  const ScatterAxis &h = t.axes[1], &w = t.axes[2];
  const std::vector<std::vector<TapW>> taps_w = taps_of_residues(w);
  std::int64_t rows = 0;
  for (std::int64_t begin = 0; begin < h.input; begin += t.block_h) {
    const std::int64_t end = std::min(begin + t.block_h, h.input);
    const std::int64_t last_oh = std::min(h.output_of(end - 1, h.kernel - 1), h.output - 1);
    for (std::int64_t oh = std::max<std::int64_t>(0, h.output_of(begin, 0)); oh <= last_oh; ++oh) {
      for (std::int64_t residue = 0; residue < w.stride; ++residue) {
        const std::vector<TapW>& taps = taps_w[static_cast<std::size_t>(residue)];
        if (taps.empty()) continue;
        const std::int64_t first = rows;
        for (std::int64_t ih = std::max(begin, h.first_input(oh)); ih < end && h.output_of(ih, 0) <= oh; ++ih) {
          const std::int64_t th = h.first_tap(ih, oh);
          if (h.output_of(ih, th) != oh) continue;
          for (const TapW& tw : taps) {
            row(ShiftedRow{(th * w.kernel + tw.tap) * t.pitch() + (ih - begin) * w.input, tw.place});
            ++rows;
          }
        }
        if (rows > first) add(RowSum{oh, residue, taps.front().place, taps.back().place, first, rows - first});
      }
    }
    end_block();
  }
}

}  // namespace

RowSums::RowSums(const Col2VolRowsTiling& tiling) : block_h_(tiling.block_h) {
  std::size_t rows = 0, sums = 0;
  for_each_sum(
      tiling, [&](const ShiftedRow&) { ++rows; }, [&](const RowSum&) { ++sums; }, [] {});
  begins_.reserve(static_cast<std::size_t>(ceil_div(tiling.axes[1].input, block_h_)) + 1);
  sums_.reserve(sums);
  rows_.reserve(rows);
  begins_.push_back(0);
  for_each_sum(
      tiling, [&](const ShiftedRow& row) { rows_.push_back(row); }, [&](const RowSum& sum) { sums_.push_back(sum); },
      [&] { begins_.push_back(sums_.size()); });
}

std::int64_t RowSums::bytes(const Col2VolRowsTiling& tiling) {
  std::int64_t bytes = 0;
  const auto add = [&](std::size_t size) { bytes += static_cast<std::int64_t>(size); };
  add(sizeof(std::size_t));
  for_each_sum(
      tiling, [&](const ShiftedRow&) { add(sizeof(ShiftedRow)); }, [&](const RowSum&) { add(sizeof(RowSum)); },
      [&] { add(sizeof(std::size_t)); });
  return bytes;
}

std::span<const RowSum> RowSums::of_block(std::int64_t ih) const {
  const auto block = static_cast<std::size_t>(ih / block_h_);
  return std::span(sums_).subspan(begins_[block], begins_[block + 1] - begins_[block]);
}

}  // namespace convt3d
