#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "convt3d/base/machine.hpp"
#include "convt3d/conv/problem.hpp"
#include "limits.hpp"
#include "measure.hpp"
#include "rows.hpp"

namespace convt3d::bench {

/// One contender's times on a row.
struct Entry {
  std::string name;         ///< "ours", "dnnl", "torch", "ort"
  std::string detail = {};  ///< our algorithm, or how the peer runs it
  Timing timing = {};
  double error = 0;  ///< relative L2 difference of a peer's output from ours; 0 where there is nothing to compare
};

/// One row at one number of threads. Times are NaN where there are none.
struct Result {
  Row row;
  Problem problem;
  int threads = 1;
  Entry ours = {};
  std::int64_t ledger_bytes = 0;  ///< what our plan allocates beyond input and output
  std::vector<Entry> peers = {};
  double disturbed = 0;  ///< share of the time in which threads waited for a CPU

  double ours_ms() const { return ours.timing.median_ms(); }
  /// The fastest peer, or null.
  const Entry* best_peer() const;
  /// Best peer's time ÷ ours.
  double ratio() const;
  /// Least accepted ratio: the row's "must", nine tenths of it on one thread.
  double must() const { return threads == 1 ? 0.9 * row.must : row.must; }
  /// Whether all outputs that were compared agree.
  bool agrees() const;
};

/// Prints the machine's limits and the table's head, to stdout.
void print_head(const Limits& limits);
void print_row(const Result& result, const Limits& limits);
/// Geometric mean of the ratios, and the rows below their "must" or with wrong results.
void print_summary(const std::vector<Result>& results);

/// Everything as JSON: machine, limits, and all medians and samples. Throws std::runtime_error when it cannot be written.
void write_json(const std::filesystem::path& path, const Machine& machine, const std::vector<Limits>& limits,
                const std::vector<Result>& results);

}  // namespace convt3d::bench
