// Direct's products where kernels reach far over the ends of short rows: a row would be multiplied with much padding along
// w.
//
// Each tap along w is a product of its own, over the positions whose input lies inside, added to the staging row:
//
//   for q: row[q] = bias;   for tap_w: for q whose input is inside: row[q] += Σ_tap_d Σ_tap_h Σ_ci panel[...] · w[...]
//
// Such a product has fewer terms, so it should not start anew for each tap of h: the panel is [plane][w][row slot][ci], the
// rows that the taps of a phase read in slots side by side (DirectTiling::slot), and with the weights of h turned round
// (DirectWeights) the terms of h and ci are one run. Positions are few, so where there is but one vector of channels the
// product sums even and odd terms apart. Layers of one tap per output are never cropped, so none in bfloat16 is.
#include "convt3d/conv/direct_cropped.hpp"

#include <algorithm>

#include "convt3d/conv/phases.hpp"
#include "convt3d/conv/thread_taps.hpp"

namespace convt3d {

using kernels::ProductArgs;
using kernels::ProductTap;

template <typename T>
CroppedProducts<T>::CroppedProducts(const Problem& problem, const DirectTiling& tiling, const DirectWeights<T>& weights,
                                    Isa isa)
    : problem_(problem),
      tiling_(tiling),
      weights_(weights),
      product_(kernels::product<T>(isa)),
      pack_(kernels::pack_row<T>(isa)) {}

template <typename T>
void CroppedProducts<T>::pack(const RunArgs& args, const DirectBlock& block, T* panel) const {
  const DirectTiling& t = tiling_;
  const Box3& box = args.input_box;
  const Extent3 have = box.extent();
  const std::int64_t channel_stride = have.d * have.h * have.w;
  const T* source = static_cast<const T*>(args.input) + (block.n * problem_.ci + block.group * t.ci) * channel_stride;
  const Extent3 lowest = {block.begin.d * t.axes[0].stride + t.axes[0].lowest,
                          block.begin.h * t.axes[1].stride + t.axes[1].lowest,
                          block.begin.w * t.axes[2].stride + t.axes[2].lowest};
  const std::int64_t first = std::clamp(box.begin.w, lowest.w, lowest.w + t.panel.w);
  const std::int64_t last = std::clamp(box.end.w, first, lowest.w + t.panel.w);
  const std::int64_t planes = t.axes[0].span(block.end.d - block.begin.d);
  for (std::int64_t id = lowest.d; id < lowest.d + planes; ++id) {
    if (!t.axes[0].reads(id - lowest.d)) continue;
    T* plane = panel + (id - lowest.d) * t.panel.w * t.ld;
    if (id < box.begin.d || id >= box.end.d) {
      std::fill(plane, plane + t.panel.w * t.ld, T{0});  // it makes no output that is wanted
      continue;
    }
    for (std::int64_t ih = std::max(box.begin.h, lowest.h); ih < std::min(box.end.h, lowest.h + t.panel.h); ++ih) {
      if (!t.axes[1].reads(ih - lowest.h)) continue;
      const T* from = source + ((id - box.begin.d) * have.h + ih - box.begin.h) * have.w + first - box.begin.w;
      pack_({.source = from,
             .channel_stride = channel_stride,
             .channels = t.ci,
             .padded_channels = t.ci,
             .count = last - first,
             .target = plane + (first - lowest.w) * t.ld + t.slot(ih - lowest.h) * t.ci,
             .ld = t.ld});
    }
  }
}

template <typename T>
void CroppedProducts<T>::multiply(const DirectBlock& block, const std::array<std::size_t, 3>& f, std::int64_t chunk,
                                  const T* panel, T* staging) const {
  const DirectTiling& t = tiling_;
  const AxisPhase& d = t.axes[0].phases[f[0]];
  const AxisPhase& h = t.axes[1].phases[f[1]];
  const AxisPhase& w = t.axes[2].phases[f[2]];
  if (w.count <= block.begin.w) return;

  const std::int64_t vectors = t.chunk_vectors(chunk);
  const auto taps_d = static_cast<std::int64_t>(d.taps.size()), taps_h = static_cast<std::int64_t>(h.taps.size());
  const std::int64_t tap_weights = t.ci * vectors * t.lanes;
  std::vector<ProductTap>& taps = thread_taps();
  ProductArgs<T> args{.a = nullptr,
                      .lda = t.ld * t.axes[2].stride,
                      .positions = 0,
                      .row_a = t.axes[1].stride * t.ci,
                      .taps = nullptr,
                      .tap_count = 0,
                      .k = 0,
                      .b = nullptr,
                      .nr = static_cast<int>(vectors),
                      .init = weights_.bias(block.group, chunk),
                      .c = {},
                      .ldc = w.out_step * t.lanes,
                      .row_c = h.out_step * t.staging_row()};
  for (std::int64_t qd = block.begin.d; qd < std::min(d.count, block.end.d); ++qd) {
    const std::int64_t id = (qd - block.begin.d) * t.axes[0].stride - t.axes[0].lowest;  // in the panel, at offset 0
    const TapRange inside_d = inside_taps(d, qd * t.axes[0].stride, problem_.input.d);
    taps.clear();
    for (std::int64_t td = inside_d.begin; td < inside_d.end; ++td) {
      const std::int64_t offset = d.taps[static_cast<std::size_t>(td)].offset;
      taps.push_back({(id + offset) * t.panel.w * t.ld, td * taps_h * tap_weights});
    }
    args.taps = taps.data();
    args.tap_count = static_cast<std::int64_t>(taps.size());
    for (const AlikePositions& alike : t.alike_h[f[1]]) {
      const TapRange& inside_h = alike.taps;
      const std::int64_t end_h = std::min(alike.end, block.end.h);
      args.k = (inside_h.end - inside_h.begin) * t.ci;
      for (std::int64_t qh = std::max(alike.begin, block.begin.h); qh < end_h; qh += args.rows) {
        args.rows = t.axes[1].tap_step == 1 ? end_h - qh : 1;  // else their slots are not equally far apart
        if (args.k > 0) {  // in slots side by side lie the inputs of the taps along h, the last tap's first
          const std::int64_t ih = (qh - block.begin.h) * t.axes[1].stride - t.axes[1].lowest;
          args.a = panel + t.slot(ih + h.taps[static_cast<std::size_t>(inside_h.end - 1)].offset) * t.ci;
          args.b = weights_.phase(block.group, chunk, f) + (taps_h - inside_h.end) * tap_weights;
        }
        const std::int64_t staged =
            (qd - block.begin.d) * t.staging_rows() + h.out_begin + (qh - block.begin.h) * h.out_step;
        T* const row = staging + staged * t.staging_row();
        multiply_rows(block, w, taps_d * taps_h * tap_weights, args, row + w.out_begin * t.lanes);
      }
    }
  }
}

template <typename T>
void CroppedProducts<T>::multiply_rows(const DirectBlock& block, const AxisPhase& w, std::int64_t tap_weights,
                                       ProductArgs<T> args, T* row) const {
  const DirectTiling& t = tiling_;
  const auto product = [&](ProductArgs<T>& call, std::int64_t first, std::int64_t end) {
    call.positions = end - first;
    for (std::int64_t j = 0; j < call.nr; ++j) call.c[j] = row + j * t.staging_vector() + first * call.ldc;
    product_(call);
  };
  ProductArgs<T> bias_alone = args;
  bias_alone.tap_count = 0;
  product(bias_alone, 0, std::min(w.count, block.end.w) - block.begin.w);
  if (args.tap_count == 0 || args.k == 0) return;

  args.adds = true;
  args.apart = t.apart();
  const T* const first_column = args.a;
  for (const Tap& tap : w.taps) {
    const InsidePositions inside = inside_positions(w, tap, t.axes[2].stride, problem_.input.w);
    const std::int64_t first = std::max(inside.begin, block.begin.w) - block.begin.w;
    const std::int64_t end = std::min(inside.end, block.end.w) - block.begin.w;
    if (first < end) {
      args.a = first_column + (first * t.axes[2].stride + tap.offset - t.axes[2].lowest) * t.ld;
      product(args, first, end);
    }
    args.b += tap_weights;
  }
}

template class CroppedProducts<float>;
template class CroppedProducts<double>;

}  // namespace convt3d
