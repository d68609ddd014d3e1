#include "convt3d/conv/winograd_rows_weights.hpp"

#include <algorithm>
#include <tuple>

#include "convt3d/conv/parallel.hpp"

namespace convt3d {
namespace {

/// One column's weights of the products of two groups of points: x·w, or the real and the imaginary part of a complex
/// product. Joining doubles, so that the weights of what is joined are halved.
template <typename Put>
void put_points(const PointGrid& points, const PointGroup& d, const PointGroup& h, const Put& put) {
  const auto i = static_cast<std::size_t>(d.first), j = static_cast<std::size_t>(h.first);
  const auto put_complex = [&](double real, double imaginary) {
    put(real);
    put(-imaginary);
    put(imaginary);
    put(real);
  };
  switch (products_of(d, h)) {
    case 1: put(points[i][j]); break;
    case 4: put_complex(points[i][j], h.count == 2 ? points[i][j + 1] : points[i + 1][j]); break;
    default:
      const double rr = points[i][j], ri = points[i][j + 1], ir = points[i + 1][j], ii = points[i + 1][j + 1];
      put_complex((rr - ii) / 2, (ri + ir) / 2);
      put_complex((rr + ii) / 2, (ir - ri) / 2);
  }
}

}  // namespace

WinogradRowsWeights::WinogradRowsWeights(const Problem& problem, const WinogradRowsTiling& tiling, int threads,
                                         const float* weight, const float* bias)
    : problem_(problem),
      tiling_(tiling),
      packed_(static_cast<std::size_t>(winograd_rows_weights_size(problem, tiling)) * sizeof(float)) {
  const WinogradRowsTiling& t = tiling_;
  const std::array schemes = {t.d.scheme, t.h.scheme};
  most_input_ = winograd_most_input(schemes, t.ci * t.w.shifts(), weight, weight_size(problem));
  const auto sets = static_cast<std::int64_t>(t.sets.size());
  parallel_for(threads, problem.groups * sets, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) pack_set(weight, i / sets, t.sets[static_cast<std::size_t>(i % sets)]);
  });
  float* const vectors = static_cast<float*>(packed_.data()) + offset(problem.groups, 0, {});
  for (std::int64_t co = 0; co < problem.co; ++co)
    std::fill_n(vectors + co * t.lanes, t.lanes, bias != nullptr ? bias[co] : 0.0F);
  bias_ = vectors;
}

std::int64_t WinogradRowsWeights::offset(std::int64_t group, std::size_t g, const WinogradRowsSet& set) const {
  const WinogradRowsTiling& t = tiling_;
  std::int64_t products = group * t.products();
  for (std::size_t i = 0; i < g; ++i) products += t.products(t.groups_d[i]);
  const WinogradRowsSet all = {0, t.rows()}, before = {0, set.first};
  return products * t.weights_of_point(all) + t.products(t.groups_d[g]) * t.weights_of_point(before);
}

void WinogradRowsWeights::pack_set(const float* weight, std::int64_t group, const WinogradRowsSet& set) {
  const WinogradRowsTiling& t = tiling_;
  const std::int64_t columns = t.columns(set);
  const Extent3& kernel = problem_.kernel;
  PointGrid points{};
  for (std::int64_t at = 0; at < t.weights_of_point(set); ++at) {
    TaskDigits digits(at);
    const std::int64_t column = digits.next(columns);
    const std::int64_t e = t.w.lowest + digits.next(t.w.shifts());
    const std::int64_t ci = group * t.ci + digits.rest();
    TaskDigits row(set.first + column / t.residues_w.count());
    const std::int64_t rh = t.residues_h.residue(row.next(t.residues_h.count()));
    const std::int64_t rd = t.residues_d.residue(row.next(t.residues_d.count()));
    const std::int64_t co = row.rest();
    const std::int64_t tw = t.w.kernel_index(t.residues_w.residue(column % t.residues_w.count()), e);
    const float* taps = weight + (ci * t.co + co) * kernel.d * kernel.h * kernel.w;
    const auto tap_at = [&](std::int64_t i, std::int64_t j) {
      const std::int64_t td = t.d.kernel_index(rd, i), th = t.h.kernel_index(rh, j);
      return td >= 0 && th >= 0 && tw >= 0 ? static_cast<double>(taps[(td * kernel.h + th) * kernel.w + tw]) : 0.0;
    };
    transform(tap_at, points);
    for (std::size_t g = 0; g < t.groups_d.size(); ++g) {
      float* target = static_cast<float*>(packed_.data()) + offset(group, g, set) + at;
      const auto put = [&](double value) {
        *target = static_cast<float>(value);
        target += t.weights_of_point(set);
      };
      for (const PointGroup& h : t.groups_h) put_points(points, t.groups_d[g], h, put);
    }
  }
}

template <typename TapAt>
void WinogradRowsWeights::transform(const TapAt& tap_at, PointGrid& points) const {
  const auto& [d, h] = std::tie(tiling_.d.scheme, tiling_.h.scheme);
  std::array<double, kernels::kMostFourierInputs> taps{};
  for (int i = 0; i < d.taps; ++i) {
    for (int j = 0; j < h.taps; ++j) taps[static_cast<std::size_t>(j)] = tap_at(i, j);
    kernels::winograd_weights(h, taps.data(), 1, points[static_cast<std::size_t>(i)].data(), 1);
  }
  for (std::size_t ph = 0; ph < static_cast<std::size_t>(h.points()); ++ph) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(d.taps); ++i) taps[i] = points[i][ph];
    kernels::winograd_weights(d, taps.data(), 1, &points[0][ph], kernels::kMostFourierInputs);
  }
}

}  // namespace convt3d
