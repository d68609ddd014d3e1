#include "convt3d/conv/col2vol_weights.hpp"

#include <algorithm>

namespace convt3d {

template <typename T>
std::int64_t Col2VolWeights<T>::elements(const Problem& p, const Col2VolTiling& t) {
  return p.groups * t.chunks * (p.kernel.d * t.ci * t.columns() + t.chunk);
}

template <typename T>
Col2VolWeights<T>::Col2VolWeights(const Problem& problem, const Col2VolTiling& tiling, const T* weight, const T* bias)
    : tiling_(tiling), packed_(static_cast<std::size_t>(elements(problem, tiling)) * sizeof(T)) {
  const Col2VolTiling& t = tiling_;
  const Extent3& kernel = problem.kernel;
  const auto weight_of = [&](std::int64_t group, std::int64_t ci, std::int64_t first_co, std::int64_t td,
                             std::int64_t column) {
    const std::int64_t th = column / t.run(), tw = column % t.run() / t.chunk, co = first_co + column % t.chunk;
    if (th >= kernel.h || co >= t.co) return T{0};
    return weight[((((group * t.ci + ci) * t.co + co) * kernel.d + td) * kernel.h + th) * kernel.w + tw];
  };
  T* target = static_cast<T*>(packed_.data());
  for (std::int64_t group = 0; group < problem.groups; ++group) {
    for (std::int64_t co = 0; co < t.chunks * t.chunk; co += t.chunk) {
      for (std::int64_t td = 0; td < kernel.d; ++td) {
        for (std::int64_t first = 0; first < t.columns(); first += kNr * t.lanes) {
          const std::int64_t end = std::min(first + kNr * t.lanes, t.columns());
          for (std::int64_t ci = 0; ci < t.ci; ++ci) {
            for (std::int64_t column = first; column < end; ++column) *target++ = weight_of(group, ci, co, td, column);
          }
        }
      }
    }
  }
  bias_ = target;
  for (std::int64_t group = 0; group < problem.groups; ++group) {
    for (std::int64_t co = 0; co < t.chunks * t.chunk; ++co)
      *target++ = bias != nullptr && co < t.co ? bias[group * t.co + co] : T{0};
  }
}

template <typename T>
const T* Col2VolWeights<T>::columns(std::int64_t group, std::int64_t chunk, std::int64_t tap, std::int64_t first) const {
  const Col2VolTiling& t = tiling_;
  const std::int64_t place = (group * t.chunks + chunk) * t.axes[0].kernel + tap;
  return static_cast<const T*>(packed_.data()) + (place * t.columns() + first * t.lanes) * t.ci;
}

template <typename T>
const T* Col2VolWeights<T>::bias(std::int64_t group, std::int64_t chunk) const {
  return bias_ + (group * tiling_.chunks + chunk) * tiling_.chunk;
}

template class Col2VolWeights<float>;
template class Col2VolWeights<double>;

}  // namespace convt3d
