#pragma once

#include <functional>
#include <string>
#include <vector>

namespace convt3d::bench {

/// Something that can be run: returns the mean milliseconds of `repetitions` runs after `warmups` untimed ones.
using Runner = std::function<double(int warmups, int repetitions)>;

struct Pace {
  int rounds = 7;              ///< timed blocks of each contender; the median counts
  double budget_seconds = 10;  ///< per contender: one that takes longer gets fewer rounds, at least one
};

struct Timing {
  std::vector<double> samples_ms = {};  ///< one per round
  std::string failure = {};             ///< why it was not measured to the end; empty if it was

  /// NaN without a sample.
  double median_ms() const;
};

struct Comparison {
  std::vector<Timing> timings;  ///< one per contender
  double disturbed = 0;         ///< share of the time in which threads waited for a CPU, as Linux says; 0 where it does not
};

/// On a quiet machine it stays below 0.01; above this, other processes took part and the times are not worth much.
inline constexpr double kMaxDisturbed = 0.03;

/// Times the contenders in turns (A B C A B C ...), so that a drift of the machine's speed meets them alike. Short runs are
/// repeated within a turn and preceded by untimed ones, which fill caches and wake threads after the others' turns. A runner
/// that throws is out, with the message as its failure. What was disturbed is measured again while the budget lasts; the
/// quietest attempt counts.
Comparison compare(const std::vector<Runner>& contenders, const Pace& pace);

}  // namespace convt3d::bench
