#pragma once

#include <cstdint>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/machine.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/pointwise.hpp"

namespace convt3d {

/// An epilogue with its parameters as the kernels read them: a group's channels side by side, up to whole vectors of them.
/// Internal: not installed. Throws Error{kShape} for parameters that are neither one nor as many as the channels.
template <typename T>
class PackedEpilogue {
 public:
  PackedEpilogue(const Epilogue& epilogue, std::int64_t channels, std::int64_t groups, Isa isa);

  /// What an epilogue of so many functions takes.
  static std::int64_t bytes(int functions, std::int64_t channels, std::int64_t groups, Isa isa);

  bool empty() const { return steps_.empty(); }

  /// A staging row values[x*lanes + lane], x < count, of one vector of channels: those from `first` on of a group.
  void on_lanes(std::int64_t group, std::int64_t first, T* values, std::int64_t count) const {
    for (const Step& step : steps_) {
      const std::int64_t at = group * pitch_ + first;
      step.function(
          {.values = values, .count = count * lanes_, .p = &step.p[index(at)], .q = &step.q[index(at)], .per_lane = true});
    }
  }

  /// A row of one channel, counted through all groups.
  void on_row(std::int64_t channel, T* values, std::int64_t count) const {
    for (const Step& step : steps_) {
      const std::int64_t at = channel / per_group_ * pitch_ + channel % per_group_;
      step.function({.values = values, .count = count, .p = &step.p[index(at)], .q = &step.q[index(at)], .per_lane = false});
    }
  }

 private:
  struct Step {
    kernels::PointwiseFn<T> function;
    std::vector<T> p, q;
  };

  static std::size_t index(std::int64_t at) { return static_cast<std::size_t>(at); }

  std::int64_t lanes_, per_group_, pitch_;
  std::vector<Step> steps_;
};

}  // namespace convt3d
