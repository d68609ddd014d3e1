#include "convt3d/conv/col2vol_rows_sums.hpp"

#include <algorithm>
#include <optional>

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

/// add(sum, rows) for each sum of the blocks in turn, and end_block() after each block.
template <typename Add, typename EndBlock>
void for_each_sum(const Col2VolRowsTiling& t, const Add& add, const EndBlock& end_block) {
  if (t.one_tap()) return;  // nothing is added up
  const ScatterAxis &h = t.axes[1], &w = t.axes[2];
  const std::vector<std::vector<TapW>> taps_w = taps_of_residues(w);
  std::vector<ShiftedRow> first_rows, rows;
  for (std::int64_t begin = 0; begin < h.input; begin += t.block_h) {
    const std::int64_t end = std::min(begin + t.block_h, h.input);
    const std::int64_t first_oh = std::max<std::int64_t>(0, h.output_of(begin, 0));
    const std::int64_t end_oh = std::min(h.output_of(end - 1, h.kernel - 1) + 1, h.output);
    for (std::int64_t residue_h = 0; residue_h < std::min(h.stride, end_oh - first_oh); ++residue_h) {
      for (std::int64_t residue = 0; residue < w.stride; ++residue) {
        const std::vector<TapW>& taps = taps_w[static_cast<std::size_t>(residue)];
        if (taps.empty()) continue;
        std::optional<RowSum> sum;
        const auto goes_on = [&] {
          return rows.size() == first_rows.size() &&
                 std::equal(
                     rows.begin(), rows.end(), first_rows.begin(), [&](const ShiftedRow& row, const ShiftedRow& of_first) {
                       return row.shift == of_first.shift && row.source == of_first.source + sum->rows_of_outputs * w.input;
                     });
        };
        const auto end_sum = [&] {
          if (sum && sum->count > 0) add(*sum, first_rows);
        };
        for (std::int64_t oh = first_oh + residue_h; oh < end_oh; oh += h.stride) {
          list_rows(t, begin, end, oh, taps, rows);
          if (sum && goes_on()) {
            ++sum->rows_of_outputs;
            continue;
          }
          end_sum();
          sum = RowSum{.oh = oh,
                       .residue = residue,
                       .lowest = taps.front().place,
                       .highest = taps.back().place,
                       .count = std::ssize(rows)};
          first_rows.swap(rows);
        }
        end_sum();
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
