#include "convt3d/nn/moment_statistics.hpp"

#include <algorithm>
#include <span>

namespace convt3d {
namespace {

std::size_t index(std::int64_t at) { return static_cast<std::size_t>(at); }

}  // namespace

MomentStatistics::MomentStatistics(const Shape& input, std::int64_t groups)
    : shape_(input),
      per_volume_(groups),
      values_per_group_(static_cast<double>(input[1] / groups) * static_cast<double>(input[2] * input[3] * input[4])),
      planes_(index(input[0] * input[1] * input[2])) {}

void MomentStatistics::add(const ConstTensorView& planes, std::int64_t first_n, std::int64_t first_d, int threads) {
  const std::int64_t depth = planes.extent.d;
  std::vector<Moments> moments(index(planes.n * planes.c * depth));
  plane_moments(planes, moments, threads);
  for (std::int64_t row = 0; row < planes.n * planes.c; ++row) {
    const std::int64_t at = (first_n * shape_[1] + row) * shape_[2] + first_d;
    std::copy_n(moments.begin() + row * depth, depth, planes_.begin() + at);
  }
}

bool MomentStatistics::finish_pass() {
  const std::int64_t planes = shape_[1] / per_volume_ * shape_[2];  // of a group
  const auto plane = static_cast<double>(shape_[3] * shape_[4]);
  groups_.clear();
  for (std::int64_t group = 0; group < shape_[0] * per_volume_; ++group) {
    groups_.push_back(merged(std::span(planes_).subspan(index(group * planes), index(planes)), plane));
  }
  return false;
}

std::int64_t MomentStatistics::bytes(const Shape& input) {
  return 2 * input[0] * input[1] * input[2] * static_cast<std::int64_t>(sizeof(Moments));  // and a copy while they are added
}

}  // namespace convt3d
