#include "convt3d/conv/few_channel_weights.hpp"

namespace convt3d {
namespace {

std::int64_t count_planes(const FewChannelTiling& t, std::int64_t rd) {
  std::int64_t planes = 0;
  for (std::int64_t e = t.axes[0].lowest; e <= t.axes[0].highest; ++e) planes += t.axes[0].reads(rd, 1, e);
  return planes;
}

std::int64_t count_rows(const FewChannelTiling& t, const ColumnSet& set, std::int64_t rd) {
  std::int64_t rows_h = 0;
  for (std::int64_t e = t.axes[1].lowest; e <= t.axes[1].highest; ++e) rows_h += t.axes[1].reads(set.rh, set.rh_count, e);
  return count_planes(t, rd) * rows_h;
}

}  // namespace

template <typename T>
FewChannelWeights<T>::FewChannelWeights(const Problem& problem, const FewChannelTiling& tiling, const T* weight,
                                        const T* bias)
    : tiling_(tiling), packed_(static_cast<std::size_t>(elements(problem, tiling)) * sizeof(T)) {
  const FewChannelTiling& t = tiling_;
  T* target = static_cast<T*>(packed_.data());
  const std::size_t sets = t.sets.size() * static_cast<std::size_t>(problem.groups);
  init_.reserve(sets);
  reductions_.reserve(sets * static_cast<std::size_t>(t.axes[0].stride));
  for (std::int64_t group = 0; group < problem.groups; ++group) {
    for (const ColumnSet& set : t.sets) {
      init_.push_back(target);
      for (int p = 0; p < set.columns(); ++p) {
        *target++ = bias != nullptr ? bias[group * t.co + set.co + p / (set.rh_count * set.rw_count)] : T{0};
      }
      for (std::int64_t rd = 0; rd < t.axes[0].stride; ++rd)
        reductions_.push_back(pack_reduction(weight, group, set, rd, target));
    }
  }
}

template <typename T>
std::int64_t FewChannelWeights<T>::elements(const Problem& p, const FewChannelTiling& t) {
  std::int64_t elements = 0;
  for (const ColumnSet& set : t.sets) {
    elements += set.columns();
    for (std::int64_t rd = 0; rd < t.axes[0].stride; ++rd)
      elements += count_rows(t, set, rd) * t.ci * t.axes[2].shifts() * set.columns();
  }
  return elements * p.groups;
}

template <typename T>
std::int64_t FewChannelWeights<T>::list_bytes(const Problem& p, const FewChannelTiling& t) {
  std::int64_t bytes = 0;
  for (const ColumnSet& set : t.sets) {
    bytes += static_cast<std::int64_t>(sizeof(const T*));
    for (std::int64_t rd = 0; rd < t.axes[0].stride; ++rd) {
      bytes += static_cast<std::int64_t>(sizeof(Reduction)) +
               (count_rows(t, set, rd) + count_planes(t, rd)) * static_cast<std::int64_t>(sizeof(std::int64_t));
    }
  }
  return bytes * p.groups;
}

template <typename T>
const FewChannelReduction<T>& FewChannelWeights<T>::reduction(std::int64_t group, std::size_t set, std::int64_t rd) const {
  const std::size_t at = static_cast<std::size_t>(group) * tiling_.sets.size() + set;
  return reductions_[at * static_cast<std::size_t>(tiling_.axes[0].stride) + static_cast<std::size_t>(rd)];
}

template <typename T>
const T* FewChannelWeights<T>::init(std::int64_t group, std::size_t set) const {
  return init_[static_cast<std::size_t>(group) * tiling_.sets.size() + set];
}

template <typename T>
FewChannelReduction<T> FewChannelWeights<T>::pack_reduction(const T* weight, std::int64_t group, const ColumnSet& set,
                                                            std::int64_t rd, T*& target) const {
  const FewChannelTiling& t = tiling_;
  const CellAxis& d = t.axes[0];
  const CellAxis& h = t.axes[1];
  const CellAxis& w = t.axes[2];
  Reduction reduction{.planes = {}, .rows = {}, .weights = target};
  reduction.planes.reserve(static_cast<std::size_t>(count_planes(t, rd)));
  reduction.rows.reserve(static_cast<std::size_t>(count_rows(t, set, rd)));
  for (std::int64_t ed = d.lowest; ed <= d.highest; ++ed) {
    const std::int64_t td = d.kernel_index(rd, ed);
    if (td < 0) continue;
    reduction.planes.push_back(ed);
    for (std::int64_t eh = h.lowest; eh <= h.highest; ++eh) {
      if (!h.reads(set.rh, set.rh_count, eh)) continue;
      reduction.rows.push_back(((ed - d.lowest) * t.panel_h + eh - h.lowest) * t.pitch);
      for (std::int64_t ci = 0; ci < t.ci; ++ci) {
        for (std::int64_t ew = w.lowest; ew <= w.highest; ++ew) {
          for (std::int64_t p = 0; p < set.columns(); ++p) {
            const std::int64_t co = set.co + p / (set.rh_count * set.rw_count);
            const std::int64_t th = h.kernel_index(set.rh + p / set.rw_count % set.rh_count, eh);
            const std::int64_t tw = w.kernel_index(set.rw + p % set.rw_count, ew);
            const std::int64_t at = ((((group * t.ci + ci) * t.co + co) * d.kernel + td) * h.kernel + th) * w.kernel + tw;
            *target++ = th >= 0 && tw >= 0 ? weight[at] : T{0};
          }
        }
      }
    }
  }
  return reduction;
}

template class FewChannelWeights<float>;
template class FewChannelWeights<double>;

}  // namespace convt3d
