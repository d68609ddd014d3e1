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

/// The rows of a block, of voxels of h [begin, end), that are added to row oh of outputs by these taps along w.
void list_rows(const Col2VolRowsTiling& t, std::int64_t begin, std::int64_t end, std::int64_t oh,
               const std::vector<TapW>& taps, std::vector<ShiftedRow>& rows) {
  const ScatterAxis &h = t.axes[1], &w = t.axes[2];
  rows.clear();
  for (std::int64_t ih = std::max(begin, h.first_input(oh)); ih < end && h.output_of(ih, 0) <= oh; ++ih) {
    const std::int64_t th = h.first_tap(ih, oh);
    if (h.output_of(ih, th) != oh) continue;
    for (const TapW& tw : taps) rows.push_back({(th * w.kernel + tw.tap) * t.pitch() + (ih - begin) * w.input, tw.place});
  }
}

/// Whether `rows` are those that a sum of so many rows of outputs, of which the first gets `first_rows`, goes on with.
bool goes_on(const std::vector<ShiftedRow>& rows, const std::vector<ShiftedRow>& first_rows, std::int64_t rows_of_outputs,
             std::int64_t width) {
  return std::equal(rows.begin(), rows.end(), first_rows.begin(), first_rows.end(),
                    [&](const ShiftedRow& row, const ShiftedRow& of_first) {
                      return row.shift == of_first.shift && row.source == of_first.source + rows_of_outputs * width;
                    });
}

/// add(sum, rows) for each sum of a block, voxels of h [begin, end), to rows of outputs that are equal modulo h's stride,
/// [first_oh, end_oh), by taps along w of one residue.
template <typename Add>
void for_each_sum_of(const Col2VolRowsTiling& t, std::int64_t begin, std::int64_t end, std::int64_t first_oh,
                     std::int64_t end_oh, std::int64_t residue, const std::vector<TapW>& taps, const Add& add) {
  std::vector<ShiftedRow> first_rows, rows;
  RowSum sum{.oh = first_oh, .residue = residue, .lowest = taps.front().place, .highest = taps.back().place};
  const auto end_sum = [&] {
    sum.count = std::ssize(first_rows);
    if (sum.count > 0) add(sum, first_rows);
  };
  list_rows(t, begin, end, first_oh, taps, first_rows);
  for (std::int64_t oh = first_oh; end_oh - oh > t.axes[1].stride;) {
    oh += t.axes[1].stride;
    list_rows(t, begin, end, oh, taps, rows);
    if (goes_on(rows, first_rows, sum.rows_of_outputs, t.axes[2].input)) {
      ++sum.rows_of_outputs;
      continue;
    }
    end_sum();
    sum.oh = oh;
    sum.rows_of_outputs = 1;
    first_rows.swap(rows);
  }
  end_sum();
}

/// add(sum, rows) for each sum of the blocks in turn, and end_block() after each block.
template <typename Add, typename EndBlock>
void for_each_sum(const Col2VolRowsTiling& t, const Add& add, const EndBlock& end_block) {
  if (t.one_tap()) return;  // nothing is added up
  const ScatterAxis& h = t.axes[1];
  const std::vector<std::vector<TapW>> taps_w = taps_of_residues(t.axes[2]);
  for (std::int64_t begin = 0; begin < h.input; begin += t.block_h) {
    const std::int64_t end = std::min(begin + t.block_h, h.input);
    const std::int64_t first_oh = std::max<std::int64_t>(0, h.output_of(begin, 0));
    const std::int64_t end_oh = std::min(h.output_of(end - 1, h.kernel - 1) + 1, h.output);
    for (std::int64_t oh = first_oh; oh < first_oh + std::min(h.stride, end_oh - first_oh); ++oh) {
      for (std::int64_t residue = 0; residue < t.axes[2].stride; ++residue) {
        const std::vector<TapW>& taps = taps_w[static_cast<std::size_t>(residue)];
        if (!taps.empty()) for_each_sum_of(t, begin, end, oh, end_oh, residue, taps, add);
      }
    }
    end_block();
  }
}

}  // namespace

RowSums::RowSums(const Col2VolRowsTiling& tiling) : block_h_(tiling.block_h) {
  std::size_t rows = 0, sums = 0;
  for_each_sum(
      tiling,
      [&](const RowSum&, const std::vector<ShiftedRow>& added) {
        rows += added.size();
        ++sums;
      },
      [] {});
  begins_.reserve(static_cast<std::size_t>(ceil_div(tiling.axes[1].input, block_h_)) + 1);
  sums_.reserve(sums);
  rows_.reserve(rows);
  begins_.push_back(0);
  for_each_sum(
      tiling,
      [&](RowSum sum, const std::vector<ShiftedRow>& added) {
        sum.first = std::ssize(rows_);
        sums_.push_back(sum);
        rows_.insert(rows_.end(), added.begin(), added.end());
      },
      [&] { begins_.push_back(sums_.size()); });
}

std::int64_t RowSums::bytes(const Col2VolRowsTiling& tiling) {
  std::size_t bytes = sizeof(std::size_t);
  for_each_sum(
      tiling,
      [&](const RowSum&, const std::vector<ShiftedRow>& added) {
        bytes += sizeof(RowSum) + added.size() * sizeof(ShiftedRow);
      },
      [&] { bytes += sizeof(std::size_t); });
  return static_cast<std::int64_t>(bytes);
}

std::span<const RowSum> RowSums::of_block(std::int64_t ih) const {
  const auto block = static_cast<std::size_t>(ih / block_h_);
  return std::span(sums_).subspan(begins_[block], begins_[block + 1] - begins_[block]);
}

}  // namespace convt3d
