#include "convt3d/conv/winograd_transforms.hpp"

#include <algorithm>

namespace convt3d {

WinogradTransforms::WinogradTransforms(const WinogradTiling& tiling, Isa isa) : tiling_(tiling) {
  for (std::size_t a = 0; a < 3; ++a) {
    const kernels::WinogradScheme scheme = tiling_.axes[a].scheme;
    input_[a] = kernels::winograd_input(isa, scheme);
    output_[a] = kernels::winograd_output(isa, scheme);
    copy_[a] = kernels::copy_lines(isa, scheme.outputs);
  }
}

std::int64_t WinogradTransforms::place(std::size_t axis, const WinogradBlock& block, std::int64_t tile) const {
  const WinogradAxis& a = tiling_.axes[axis];
  const auto i = static_cast<int>(axis);
  return a.cells.begin + a.first_cell(block.first_tile[i] + tile) - block.first_cell[i];
}

template <typename Body>
void WinogradTransforms::for_each_group(const WinogradBlock& block, const Body& body) const {
  const WinogradAxis& w = tiling_.axes[2];
  for (std::int64_t tw = 0, count = 0; tw < block.tiles.w; tw += count) {
    const std::int64_t run = w.step == 1 ? block.tiles.w : w.step - tw % w.step;
    count = std::min({tiling_.group, run, block.tiles.w - tw});
    body(tw, count);
  }
}

void WinogradTransforms::input(const WinogradBlock& block, const WinogradView& view, std::int64_t v, const float* panel,
                               float* points, float* lines) const {
  const WinogradTiling& t = tiling_;
  const WinogradAxis &d = t.axes[0], &h = t.axes[1], &w = t.axes[2];
  const std::int64_t lanes = t.lanes;
  const std::int64_t nd = d.points(view.single_d), nh = h.points(view.single_h);
  const std::int64_t row = t.panel.w * lanes, plane = t.panel.h * row;
  const std::int64_t skip_d = view.single_d ? d.single_tap * d.step : 0;
  const std::int64_t skip_h = view.single_h ? h.single_tap * h.step : 0;
  const std::int64_t planes = block.planes;
  const std::int64_t point_stride = planes * block.tiles.h * block.tiles.w * t.ld();
  const auto on_d = view.single_d ? copy_[0] : input_[0];
  const auto on_h = view.single_h ? copy_[1] : input_[1];
  for_each_group(block, [&](std::int64_t tw, std::int64_t count) {
    const std::int64_t columns = w.columns(count) * lanes;
    // Of planes [first, first + count), points of d by tiles along d: their points of h, [plane][point h][tile h][column],
    // and from there those of w.
    const auto on_h_and_w = [&](const float* source, std::int64_t source_row, std::int64_t source_plane, std::int64_t first,
                                std::int64_t count_d, float* after_h) {
      for (std::int64_t th = 0; th < block.tiles.h; ++th) {
        on_h({.source = source + (place(1, block, th) + skip_h) * source_row,
              .source_step = h.step * source_row,
              .source_outer = source_plane,
              .source_inner = lanes,
              .target = after_h + th * columns,
              .target_step = block.tiles.h * columns,
              .target_outer = nh * block.tiles.h * columns,
              .target_inner = lanes,
              .outer = count_d,
              .inner = w.columns(count)});
      }
      for (std::int64_t i = 0; i < count_d * block.tiles.h; ++i) {
        const std::int64_t plane_d = first + i / block.tiles.h, th = i % block.tiles.h;
        const std::int64_t pd = plane_d / planes, td = plane_d % planes;
        const std::int64_t tile = (td * block.tiles.h + th) * block.tiles.w + tw;
        kernels::LinesArgs on_w{.source = after_h + (i / block.tiles.h * nh * block.tiles.h + th) * columns,
                                .source_step = w.step * lanes,
                                .source_outer = block.tiles.h * columns,
                                .source_inner = w.spacing() * lanes,
                                .target = points + pd * nh * t.points_w() * point_stride + tile * t.ld() + v * lanes,
                                .target_step = point_stride,
                                .target_outer = t.points_w() * point_stride,
                                .target_inner = t.ld(),
                                .outer = nh,
                                .inner = count};
        if (w.has(false)) input_[2](on_w);
        if (w.has(true)) {
          on_w.source += w.single_tap * on_w.source_step;
          on_w.target += t.first_point_w(true) * point_stride;
          copy_[2](on_w);
        }
      }
    };
    if (d.summed) {
      const float* const from = panel + place(2, block, tw) * lanes;
      for (std::int64_t td = 0; td < planes; ++td) on_h_and_w(from + td * plane, row, 0, td, 1, lines);
      return;
    }
    const std::int64_t volume = t.panel.h * columns;
    float* const after_d = lines;  // [point d][tile d][h][column]
    for (std::int64_t td = 0; td < planes; ++td) {
      on_d({.source = panel + (place(0, block, td) + skip_d) * plane + place(2, block, tw) * lanes,
            .source_step = d.step * plane,
            .source_outer = row,
            .source_inner = lanes,
            .target = after_d + td * volume,
            .target_step = planes * volume,
            .target_outer = columns,
            .target_inner = lanes,
            .outer = t.panel.h,
            .inner = w.columns(count)});
    }
    on_h_and_w(after_d, columns, volume, 0, nd * planes, after_d + nd * planes * volume);
  });
}

void WinogradTransforms::output_on_d(std::int64_t rd, const float* products, float* sums, std::int64_t size,
                                     std::int64_t sums_stride) const {
  const auto on_d = tiling_.axes[0].is_single(rd) ? copy_[0] : output_[0];
  on_d({.source = products,
        .source_step = size,
        .source_outer = 0,
        .source_inner = tiling_.lanes,
        .target = sums,
        .target_step = sums_stride,
        .target_outer = 0,
        .target_inner = tiling_.lanes,
        .outer = 1,
        .inner = size / tiling_.lanes});
}

void WinogradTransforms::output_on_h_w(const WinogradBlock& block, std::int64_t rh, std::int64_t rw, const float* sums,
                                       std::int64_t pitch, const float* bias, float* staging, float* lines) const {
  const WinogradTiling& t = tiling_;
  const WinogradAxis &d = t.axes[0], &h = t.axes[1], &w = t.axes[2];
  const std::int64_t lanes = t.lanes;
  const std::int64_t nh = h.points(h.is_single(rh)), nw = w.points(w.is_single(rw));
  const std::int64_t mh = h.scheme.outputs;
  const std::int64_t point_stride = block.tile_count() * pitch;
  const std::int64_t cell = w.cells.stride * lanes, row = t.span.w * cell, plane = t.span.h * row;
  const auto on_h = h.is_single(rh) ? copy_[1] : output_[1];
  const auto on_w = w.is_single(rw) ? copy_[2] : output_[2];
  float* const after_h = lines;  // [output h][point w][tile]
  for (std::int64_t i = 0; i < block.tiles.d * block.tiles.h; ++i) {
    float* const to = staging + place(0, block, i / block.tiles.h) * plane + place(1, block, i % block.tiles.h) * row;
    for_each_group(block, [&](std::int64_t tw, std::int64_t count) {
      for (std::int64_t od = 0; od < d.scheme.outputs; ++od) {
        on_h({.source = sums + od * nh * nw * point_stride + (i * block.tiles.w + tw) * pitch,
              .source_step = nw * point_stride,
              .source_outer = point_stride,
              .source_inner = pitch,
              .target = after_h,
              .target_step = nw * count * lanes,
              .target_outer = count * lanes,
              .target_inner = lanes,
              .outer = nw,
              .inner = count});
        on_w({.source = after_h,
              .source_step = count * lanes,
              .source_outer = nw * count * lanes,
              .source_inner = lanes,
              .target = to + od * d.step * plane + place(2, block, tw) * cell,
              .target_step = w.step * cell,
              .target_outer = h.step * row,
              .target_inner = w.spacing() * cell,
              .outer = mh,
              .inner = count,
              .init = bias});
      }
    });
  }
}

}  // namespace convt3d
