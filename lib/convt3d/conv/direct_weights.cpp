#include "convt3d/conv/direct_weights.hpp"

#include <bit>
#include <cstdint>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/half.hpp"

namespace convt3d {
namespace {

/// Two numbers rounded to bfloat16, the first one low.
template <typename T>
T in_one_word(T low, T high) {
  const auto rounded = [](T value) { return std::uint32_t{bfloat16_from_float(static_cast<float>(value))}; };
  return static_cast<T>(std::bit_cast<float>(rounded(low) | rounded(high) << 16));
}

/// The taps of a phase as its products take them, as indices into the kernel: by d, h, and w turned round, or with `crop`
/// by w, d, and h turned round.
void list_in_order(const Problem& p, bool crop, const AxisPhase& d, const AxisPhase& h, const AxisPhase& w,
                   std::vector<std::int64_t>& order) {
  const auto append = [&](const Tap& td, const Tap& th, const Tap& tw) {
    order.push_back((td.kernel * p.kernel.h + th.kernel) * p.kernel.w + tw.kernel);
  };
  order.clear();
  if (crop) {
    for (const Tap& tw : w.taps) {
      for (const Tap& td : d.taps) {
        for (auto th = h.taps.rbegin(); th != h.taps.rend(); ++th) append(td, *th, tw);
      }
    }
  } else {
    for (const Tap& td : d.taps) {
      for (const Tap& th : h.taps) {
        for (auto tw = w.taps.rbegin(); tw != w.taps.rend(); ++tw) append(td, th, *tw);
      }
    }
  }
}

}  // namespace

template <typename T>
std::int64_t DirectWeights<T>::elements(const Problem& p, const DirectTiling& t) {
  return p.groups * ceil_div(t.co, t.lanes) * t.lanes * (t.ci * p.kernel.d * p.kernel.h * p.kernel.w + 1);
}

template <typename T>
DirectWeights<T>::DirectWeights(const Problem& problem, const DirectTiling& tiling, const T* weight, const T* bias,
                                bool pairs)
    : tiling_(tiling), packed_(static_cast<std::size_t>(elements(problem, tiling)) * sizeof(T)) {
  const DirectTiling& t = tiling_;
  const Problem& p = problem;
  const std::int64_t channels = p.ci / p.groups;
  const std::int64_t kernel = p.kernel.d * p.kernel.h * p.kernel.w;
  std::vector<std::int64_t> order;
  T* target = static_cast<T*>(packed_.data());
  for (std::int64_t group = 0; group < p.groups; ++group) {
    for (std::int64_t chunk = 0; chunk < t.chunks; ++chunk) {
      const std::int64_t co_begin = chunk * t.nr * t.lanes;
      const std::int64_t width = t.chunk_vectors(chunk) * t.lanes;
      for (const AxisPhase& d : t.axes[0].phases) {
        for (const AxisPhase& h : t.axes[1].phases) {
          for (const AxisPhase& w : t.axes[2].phases) {
            offsets_.push_back(target - static_cast<T*>(packed_.data()));
            list_in_order(p, t.crop, d, h, w, order);
            for (const std::int64_t tap : order) {
              for (std::int64_t ci = 0; ci < t.ci; ++ci) {
                const auto at = [&](std::int64_t channel, std::int64_t co) {
                  if (channel >= channels || co >= t.co) return T{0};
                  return weight[((group * channels + channel) * t.co + co) * kernel + tap];
                };
                for (std::int64_t co = co_begin; co < co_begin + width; ++co)
                  *target++ = pairs ? in_one_word(at(2 * ci, co), at(2 * ci + 1, co)) : at(ci, co);
              }
            }
          }
        }
      }
    }
  }
  bias_ = target;
  const std::int64_t width = ceil_div(t.co, t.lanes) * t.lanes;
  for (std::int64_t group = 0; group < p.groups; ++group) {
    for (std::int64_t co = 0; co < width; ++co) *target++ = bias != nullptr && co < t.co ? bias[group * t.co + co] : T{0};
  }
}

template <typename T>
const T* DirectWeights<T>::phase(std::int64_t group, std::int64_t chunk, const std::array<std::size_t, 3>& f) const {
  const DirectTiling& t = tiling_;
  const std::size_t phases = t.axes[0].phases.size() * t.axes[1].phases.size() * t.axes[2].phases.size();
  const std::size_t phase = (f[0] * t.axes[1].phases.size() + f[1]) * t.axes[2].phases.size() + f[2];
  return static_cast<const T*>(packed_.data()) +
         offsets_[(static_cast<std::size_t>(group * t.chunks + chunk)) * phases + phase];
}

template <typename T>
const T* DirectWeights<T>::bias(std::int64_t group, std::int64_t chunk) const {
  return bias_ + group * ceil_div(tiling_.co, tiling_.lanes) * tiling_.lanes + chunk * tiling_.nr * tiling_.lanes;
}

template class DirectWeights<float>;
template class DirectWeights<double>;

}  // namespace convt3d
