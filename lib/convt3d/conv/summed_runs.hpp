#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "convt3d/conv/winograd_axis.hpp"

namespace convt3d {

/// Cells [begin, end) of a summed axis that one product makes, each the sum of the same taps: [first_tap, end_tap) of the
/// residue's shifts.
struct SummedRun {
  std::int64_t begin = 0, end = 0;
  std::int64_t first_tap = 0, end_tap = 0;

  std::int64_t cells() const { return end - begin; }
  std::int64_t taps() const { return end_tap - first_tap; }
};

/// Sums that hide the latency of a multiplication: two a cycle, four cycles each.
inline constexpr std::int64_t kSumsInFlight = 8;

/// Cuts cells into runs of the least cycles. Near the volume's ends taps read nothing, which a run of few cells leaves out;
/// but few sums at a time leave multipliers idle. Allocates nothing once it was asked for as many runs.
class SummedRuns {
 public:
  /// Of cells [begin, end) with so many vectors of sums each, of `ci` terms a tap. No run reads further beyond the volume
  /// than axis.margin.
  const std::vector<SummedRun>& cut(const WinogradAxis& axis, std::int64_t residue, std::int64_t begin, std::int64_t end,
                                    std::int64_t sums, std::int64_t ci);

 private:
  /// Neighbouring cells of the same taps, and the fastest way to cut what ends with them.
  struct Group {
    SummedRun run;
    double cycles = 0;
    std::size_t last_run = 0;  ///< the last run's first group
  };

  void group(const WinogradAxis& axis, const std::vector<std::int64_t>& shifts, std::int64_t begin, std::int64_t end);
  SummedRun join(std::size_t first, std::size_t last) const;

  std::vector<Group> groups_;
  std::vector<SummedRun> runs_;
};

}  // namespace convt3d
