#include "convt3d/conv/winograd_weights.hpp"

#include <algorithm>
#include <array>

#include "convt3d/conv/parallel.hpp"

namespace convt3d {

/// What the transforms of one kernel are made in: its taps, and those after G on w, on h and on d.
struct WinogradWeights::Lines {
  std::vector<double> taps, after_w, after_h, points;

  Lines(const WinogradTiling& tiling, std::int64_t point_count)
      : taps(static_cast<std::size_t>(most(tiling, 0))),
        after_w(static_cast<std::size_t>(most(tiling, 1))),
        after_h(static_cast<std::size_t>(most(tiling, 2))),
        points(static_cast<std::size_t>(point_count)) {}

 private:
  /// Elements where the last `transformed` axes have points, the others taps.
  static std::int64_t most(const WinogradTiling& tiling, int transformed) {
    std::int64_t product = 1;
    for (int a = 0; a < 3; ++a) {
      const WinogradAxis& axis = tiling.axes[static_cast<std::size_t>(a)];
      product *= axis.summed ? axis.cells.shifts() : a < 3 - transformed ? axis.scheme.taps : axis.scheme.points();
    }
    return product;
  }
};

WinogradWeights::WinogradWeights(const Problem& problem, const WinogradTiling& tiling, int threads, const float* weight,
                                 const float* bias)
    : problem_(problem),
      tiling_(tiling),
      packed_(static_cast<std::size_t>(winograd_weights_size(problem, tiling)) * sizeof(float)) {
  const WinogradTiling& t = tiling_;
  const std::array schemes = {t.axes[0].scheme, t.axes[1].scheme, t.axes[2].scheme};
  most_input_ = winograd_most_input(schemes, t.terms(), weight, weight_size(problem));
  for (std::int64_t chunk = 0; chunk < t.chunks; ++chunk) columns_.push_back(winograd_columns(t, chunk));
  std::int64_t offset = 0;
  for (std::int64_t group = 0; group < problem.groups; ++group) {
    for (std::int64_t chunk = 0; chunk < t.chunks; ++chunk) {
      for (std::int64_t rd = 0; rd < t.axes[0].cells.stride; ++rd) {
        for (std::int64_t rh = 0; rh < t.axes[1].cells.stride; ++rh) {
          units_.push_back({group, chunk, rd, rh, offset});
          const std::int64_t points_dh = t.axes[0].products(rd) * t.axes[1].products(rh);
          for (const WinogradColumns& c : columns(chunk)) {
            offset += points_dh * t.axes[2].points(c.single) * t.ci * static_cast<std::int64_t>(c.entries.size()) * t.lanes;
          }
        }
      }
    }
  }
  parallel_for(threads, static_cast<std::int64_t>(units_.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) pack_unit(weight, units_[static_cast<std::size_t>(i)]);
  });
  auto* const packed_bias = static_cast<float*>(packed_.data()) + offset;
  bias_ = packed_bias;
  const std::int64_t width = t.co_vectors() * t.lanes;
  for (std::int64_t i = 0; i < problem.groups * width; ++i) {
    packed_bias[i] = bias != nullptr && i % width < t.co ? bias[i / width * t.co + i % width] : 0.0F;
  }
}

const float* WinogradWeights::unit(std::int64_t group, std::int64_t chunk, std::int64_t rd, std::int64_t rh) const {
  const std::int64_t at =
      ((group * tiling_.chunks + chunk) * tiling_.axes[0].cells.stride + rd) * tiling_.axes[1].cells.stride + rh;
  return static_cast<const float*>(packed_.data()) + units_[static_cast<std::size_t>(at)].offset;
}

const float* WinogradWeights::bias(std::int64_t group, std::int64_t co_vector) const {
  return bias_ + (group * tiling_.co_vectors() + co_vector) * tiling_.lanes;
}

void WinogradWeights::pack_unit(const float* weight, const Unit& unit) {
  const WinogradTiling& t = tiling_;
  const std::int64_t kernel = problem_.kernel.d * problem_.kernel.h * problem_.kernel.w;
  const std::int64_t nd = t.axes[0].products(unit.rd);
  const std::int64_t points_dh = nd * t.axes[1].products(unit.rh);
  float* target = static_cast<float*>(packed_.data()) + unit.offset;
  for (const WinogradColumns& c : columns(unit.chunk)) {
    const auto nr = static_cast<std::int64_t>(c.entries.size());
    const std::int64_t count = points_dh * t.axes[2].points(c.single);
    if (count == 0) continue;  // a residue without taps on d
    Lines lines(t, count);
    for (std::int64_t ci = 0; ci < t.ci; ++ci) {
      for (std::int64_t j = 0; j < nr * t.lanes; ++j) {
        const auto [vector, rw] = c.entries[static_cast<std::size_t>(j / t.lanes)];
        const std::int64_t co = (unit.chunk * t.chunk_vectors + vector) * t.lanes + j % t.lanes;
        const bool real = co < t.co;
        if (real) transform(weight + ((unit.group * t.ci + ci) * t.co + co) * kernel, {unit.rd, unit.rh, rw}, lines);
        for (std::int64_t i = 0; i < count; ++i) {  // points of d are neighbours
          const std::int64_t point = i % nd * (count / nd) + i / nd;
          target[(i * t.ci + ci) * nr * t.lanes + j] =
              real ? static_cast<float>(lines.points[static_cast<std::size_t>(point)]) : 0.0F;
        }
      }
    }
    target += count * t.ci * nr * t.lanes;
  }
}

/// The points of one kernel's taps for residues (rd, rh, rw): G on w, then h, then d.
void WinogradWeights::transform(const float* kernel, const std::array<std::int64_t, 3>& residues, Lines& lines) const {
  std::array<std::int64_t, 3> taps{};
  std::array<std::int64_t, 3> n{};
  for (std::size_t a = 0; a < 3; ++a) {
    const WinogradAxis& axis = tiling_.axes[a];
    n[a] = axis.products(residues[a]);
    taps[a] = axis.summed ? n[a] : axis.is_single(residues[a]) ? 1 : axis.scheme.taps;
  }
  auto& [source, after_w, after_h, points] = lines;
  for (std::int64_t i = 0; i < taps[0] * taps[1] * taps[2]; ++i) {
    const std::int64_t td = kernel_index(0, residues[0], i / (taps[1] * taps[2]));
    const std::int64_t th = kernel_index(1, residues[1], i / taps[2] % taps[1]);
    const std::int64_t tw = kernel_index(2, residues[2], i % taps[2]);
    const bool real = td >= 0 && th >= 0 && tw >= 0;
    source[static_cast<std::size_t>(i)] = real ? kernel[(td * problem_.kernel.h + th) * problem_.kernel.w + tw] : 0;
  }
  for (std::int64_t i = 0; i < taps[0] * taps[1]; ++i) {
    transform_line(2, residues[2], &source[static_cast<std::size_t>(i * taps[2])], 1,
                   &after_w[static_cast<std::size_t>(i * n[2])], 1);
  }
  for (std::int64_t i = 0; i < taps[0] * n[2]; ++i) {
    const std::int64_t d = i / n[2], w = i % n[2];
    transform_line(1, residues[1], &after_w[static_cast<std::size_t>(d * taps[1] * n[2] + w)], n[2],
                   &after_h[static_cast<std::size_t>(d * n[1] * n[2] + w)], n[2]);
  }
  for (std::int64_t i = 0; i < n[1] * n[2]; ++i) {
    transform_line(0, residues[0], &after_h[static_cast<std::size_t>(i)], n[1] * n[2], &points[static_cast<std::size_t>(i)],
                   n[1] * n[2]);
  }
}

void WinogradWeights::transform_line(std::size_t axis, std::int64_t residue, const double* taps, std::int64_t tap_stride,
                                     double* points, std::int64_t point_stride) const {
  const WinogradAxis& a = tiling_.axes[axis];
  if (a.summed) {
    const std::int64_t count = a.products(residue);
    for (std::int64_t i = 0; i < count; ++i) points[i * point_stride] = taps[i * tap_stride];
  } else if (a.is_single(residue)) {
    for (int i = 0; i < a.scheme.outputs; ++i) points[i * point_stride] = taps[0];
  } else {
    kernels::winograd_weights(a.scheme, taps, tap_stride, points, point_stride);
  }
}

/// Kernel index of a residue's tap, or -1. Of a summed axis those that there are count; a single residue's only tap is at
/// single_tap.
std::int64_t WinogradWeights::kernel_index(std::size_t axis, std::int64_t residue, std::int64_t tap) const {
  const WinogradAxis& a = tiling_.axes[axis];
  if (a.summed) return a.kernel_index(residue, a.shifts[static_cast<std::size_t>(residue)][static_cast<std::size_t>(tap)]);
  return a.kernel_index(residue, a.is_single(residue) ? a.single_tap : tap);
}

}  // namespace convt3d
