#include "convt3d/nn/bspline_prefilter.hpp"

#include <algorithm>
#include <cmath>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/parallel.hpp"
#include "convt3d/nn/element_type.hpp"

namespace convt3d {
namespace {

// The filter (z + 4 + 1/z)/6 has the poles z and 1/z, z = sqrt(3) - 2. Its inverse is 6 times a recursion forwards and one
// backwards, each with the pole z. Source: Unser, Aldroubi, Eden, "B-spline signal processing: part II", 1993.
const double kPole = std::sqrt(3.0) - 2;

/// `lanes` neighbouring lines of `length` elements, `stride` elements from one to the next.
struct Lines {
  std::int64_t length;
  std::int64_t stride;
  std::int64_t lanes;
};

/// The state of the forward recursion at element 0. The mirrored line has the period 2·last, so the endless sum of
/// f[-k]·z^k is one period's, divided by 1 - z^period; |z|^40 is 1e-23, below the rounding of both types.
template <typename T>
void start_forward(T* first, const Lines& lines) {
  const auto power = [](std::int64_t k) { return std::pow(kPole, static_cast<double>(k)); };
  const std::int64_t last = lines.length - 1;
  const double scale = 1 / (1 - power(2 * last));
  for (std::int64_t lane = 0; lane < lines.lanes; ++lane) first[lane] *= static_cast<T>(scale);
  for (std::int64_t k = 1; k <= std::min<std::int64_t>(last, 40); ++k) {
    const auto weight = static_cast<T>(scale * (power(k) + (k < last ? power(2 * last - k) : 0)));
    const T* const row = first + k * lines.stride;
    for (std::int64_t lane = 0; lane < lines.lanes; ++lane) first[lane] += weight * row[lane];
  }
}

/// forward:  p[0] as above,                                     p[i] = f[i] + z·p[i-1]
/// backward: c[last] = 6·z/(z² - 1)·(p[last] + z·p[last-1]),    c[i] = z·(c[i+1] - 6·p[i])
template <typename T>
void filter(T* first, const Lines& lines) {
  if (lines.length == 1) return;
  const auto z = static_cast<T>(kPole);
  const auto row = [&](std::int64_t i) { return first + i * lines.stride; };
  const std::int64_t last = lines.length - 1;
  start_forward(first, lines);
  for (std::int64_t i = 1; i <= last; ++i) {
    for (std::int64_t lane = 0; lane < lines.lanes; ++lane) row(i)[lane] += z * row(i - 1)[lane];
  }
  const auto turn = static_cast<T>(6 * kPole / (kPole * kPole - 1));
  for (std::int64_t lane = 0; lane < lines.lanes; ++lane) {
    row(last)[lane] = turn * (row(last)[lane] + z * row(last - 1)[lane]);
  }
  for (std::int64_t i = last - 1; i >= 0; --i) {
    for (std::int64_t lane = 0; lane < lines.lanes; ++lane) row(i)[lane] = z * (row(i + 1)[lane] - 6 * row(i)[lane]);
  }
}

/// The three axes one after the other; a row along w is one line, and w lines at once run along h and d.
template <typename T>
void filter_volumes(const TensorView& volumes, int threads) {
  auto* const data = static_cast<T*>(volumes.data);
  const std::int64_t d = volumes.extent.d, h = volumes.extent.h, w = volumes.extent.w;
  const std::int64_t count = volumes.n * volumes.c;
  constexpr std::int64_t kGrainElements = std::int64_t{1} << 16;
  const auto run = [&](const Lines& lines, std::int64_t parts, const auto& first_of_part) {
    parallel_for(threads, parts, ceil_div(kGrainElements, lines.length * lines.lanes),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t part = begin; part < end; ++part) filter(data + first_of_part(part), lines);
                 });
  };
  run({.length = w, .stride = 1, .lanes = 1}, count * d * h, [&](std::int64_t row) { return row * w; });
  run({.length = h, .stride = w, .lanes = w}, count * d, [&](std::int64_t plane) { return plane * h * w; });
  run({.length = d, .stride = h * w, .lanes = w}, count * h,
      [&](std::int64_t part) { return part / h * d * h * w + part % h * w; });
}

class BSplinePrefilterLayer final : public Layer {
 public:
  std::string_view type() const override { return "bspline_prefilter"; }
  std::string repr() const override { return "BSplinePrefilter()"; }

  Shape output_shape(const Shape& input) const override {
    require_volumes(input);
    return input;
  }

  LayerPlan plan(const Shape& input, const RunOptions&) const override {
    const double flops = 12 * static_cast<double>(element_count(input));  // each axis: two recursions, multiply and add
    return in_place_plan(output_shape(input), flops, "recursive", "exact, in place");
  }

  Tensor forward(Tensor input, const RunOptions& options) const override {
    require_volumes(input.shape());
    if (input.size() == 0) return input;
    with_element_type(input.dtype(), [&]<typename T>(T) { filter_volumes<T>(input.view(), options.threads); });
    return input;
  }
};

}  // namespace

std::unique_ptr<Layer> make_layer(const BSplinePrefilter&) { return std::make_unique<BSplinePrefilterLayer>(); }

}  // namespace convt3d
