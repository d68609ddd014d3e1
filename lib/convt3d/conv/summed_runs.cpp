#include "convt3d/conv/summed_runs.hpp"

#include <algorithm>
#include <limits>

namespace convt3d {
namespace {

double cycles_of(const SummedRun& run, std::int64_t sums, std::int64_t ci) {
  constexpr double kCall = 60, kTap = 10;
  const double step = static_cast<double>(std::max(kSumsInFlight, run.cells() * sums)) / 2;
  return kCall + static_cast<double>(run.taps()) * (kTap + step * static_cast<double>(ci));
}

}  // namespace

void SummedRuns::group(const WinogradAxis& axis, const std::vector<std::int64_t>& shifts, std::int64_t begin,
                       std::int64_t end) {
  const auto place = [&](std::int64_t shift) {
    return std::lower_bound(shifts.begin(), shifts.end(), shift) - shifts.begin();
  };
  groups_.clear();
  for (std::int64_t cell = begin; cell < end; ++cell) {
    const std::int64_t lowest = cell + axis.cells.lowest;  // plane at shift 0
    const SummedRun run = {cell, cell + 1, place(-lowest), place(axis.cells.input - lowest)};
    if (!groups_.empty() && groups_.back().run.first_tap == run.first_tap && groups_.back().run.end_tap == run.end_tap) {
      groups_.back().run.end = run.end;
    } else {
      groups_.push_back({.run = run});
    }
  }
}

/// As cells ascend, the shifts that reach either end of the volume descend.
SummedRun SummedRuns::join(std::size_t first, std::size_t last) const {
  return {groups_[first].run.begin, groups_[last].run.end, groups_[last].run.first_tap, groups_[first].run.end_tap};
}

const std::vector<SummedRun>& SummedRuns::cut(const WinogradAxis& axis, std::int64_t residue, std::int64_t begin,
                                              std::int64_t end, std::int64_t sums, std::int64_t ci) {
  const std::vector<std::int64_t>& shifts = axis.shifts[static_cast<std::size_t>(residue)];
  const auto reads_within_margin = [&](const SummedRun& run) {
    if (run.taps() <= 0) return true;
    const std::int64_t first = run.begin + axis.cells.lowest + shifts[static_cast<std::size_t>(run.first_tap)];
    const std::int64_t last = run.end - 1 + axis.cells.lowest + shifts[static_cast<std::size_t>(run.end_tap - 1)];
    return first >= -axis.margin && last < axis.cells.input + axis.margin;
  };
  group(axis, shifts, begin, end);
  for (std::size_t last = 0; last < groups_.size(); ++last) {
    Group& group = groups_[last];
    group.cycles = std::numeric_limits<double>::infinity();
    for (std::size_t first = last + 1; first-- > 0;) {
      const SummedRun run = join(first, last);
      if (!reads_within_margin(run)) break;
      const double cycles = cycles_of(run, sums, ci) + (first > 0 ? groups_[first - 1].cycles : 0);
      if (cycles >= group.cycles) continue;
      group.cycles = cycles;
      group.last_run = first;
    }
  }
  runs_.clear();
  for (std::size_t count = groups_.size(); count > 0; count = groups_[count - 1].last_run)
    runs_.push_back(join(groups_[count - 1].last_run, count - 1));
  return runs_;
}

}  // namespace convt3d
