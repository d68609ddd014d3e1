#include "measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <utility>

namespace convt3d::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kBlockMs = 6;  // a turn lasts at least this long: hundreds of clock ticks and of thread wake-ups
constexpr double kLongMs = 20;  // of such a run, waking threads and refilling L2 (about 0.1 ms) is noise

// Between turns: until our idle workers, which cannot be stopped as the peers can, have given up spinning.
constexpr auto kSettle = std::chrono::milliseconds(3);

struct Turn {
  int warmups = 0;
  int repetitions = 1;
  int rounds = 0;
};

/// Runs once or twice to learn how long a run takes. What takes all of the budget is not run again.
Turn find_turn(const Runner& run_ms, const Pace& pace, Timing& timing) {
  double ms = run_ms(0, 1);
  if (2 * ms > 1000 * pace.budget_seconds) {
    timing.samples_ms.push_back(ms);
    return {};
  }
  if (ms < kLongMs) ms = run_ms(1, 2);  // the first one paid for page faults
  const int affordable = static_cast<int>(std::min<double>(pace.rounds, 1000 * pace.budget_seconds / ms));
  const int repetitions = static_cast<int>(std::clamp(std::ceil(kBlockMs / ms), 1.0, 1000.0));
  return {.warmups = ms < kLongMs ? std::max(1, repetitions / 4) : 0,
          .repetitions = repetitions,
          .rounds = std::max(1, affordable)};
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Seconds since the system's start in which some thread waited for a CPU (Linux's pressure stall information); 0 where the
/// kernel does not tell.
double cpu_wait_seconds() {
  std::ifstream file("/proc/pressure/cpu");  // some avg10=0.00 avg60=0.00 avg300=0.00 total=<microseconds>
  std::string line;
  if (!std::getline(file, line)) return 0;
  const std::size_t total = line.rfind("total=");
  return total == std::string::npos ? 0 : std::strtod(line.c_str() + total + 6, nullptr) / 1e6;
}

/// Does `what`, or notes why it failed.
void attempt(Timing& timing, const std::function<void(Timing&)>& what) {
  try {
    what(timing);
  } catch (const std::exception& error) {
    timing.failure = error.what();
  }
}

/// Adds the samples of all turns to what is known already.
Comparison alternate(const std::vector<Runner>& contenders, const std::vector<Turn>& turns, Comparison comparison) {
  const auto start = Clock::now();
  const double waited = cpu_wait_seconds();
  for (int round = 0; std::ranges::any_of(turns, [&](const Turn& turn) { return round < turn.rounds; }); ++round) {
    for (std::size_t which = 0; which < contenders.size(); ++which) {
      const Turn turn = turns[which];
      Timing& timing = comparison.timings[which];
      if (round >= turn.rounds || !timing.failure.empty()) continue;
      std::this_thread::sleep_for(kSettle);
      attempt(timing, [&](Timing& t) { t.samples_ms.push_back(contenders[which](turn.warmups, turn.repetitions)); });
    }
  }
  comparison.disturbed = (cpu_wait_seconds() - waited) / seconds_since(start);
  return comparison;
}

}  // namespace

double Timing::median_ms() const {
  if (samples_ms.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> sorted = samples_ms;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

Comparison compare(const std::vector<Runner>& contenders, const Pace& pace) {
  Comparison comparison;
  comparison.timings.resize(contenders.size());
  std::vector<Turn> turns(contenders.size());
  for (std::size_t which = 0; which < contenders.size(); ++which) {
    attempt(comparison.timings[which], [&](Timing& timing) { turns[which] = find_turn(contenders[which], pace, timing); });
  }
  const auto start = Clock::now();
  Comparison best = alternate(contenders, turns, comparison);
  while (best.disturbed > kMaxDisturbed && seconds_since(start) < pace.budget_seconds) {
    Comparison again = alternate(contenders, turns, comparison);
    if (again.disturbed < best.disturbed) best = std::move(again);
  }
  return best;
}

}  // namespace convt3d::bench
