#pragma once

#include <string_view>

#include "batch.hpp"

namespace convt3d::app {

/// Seconds that stages were at work; those that overlap count in each.
struct StageSeconds {
  double read = 0;
  double compute = 0;
  double write = 0;
  double total = 0;  ///< from the beginning to the end
};

/// Of a job that was run. Its total includes that it waited for the jobs before it.
StageSeconds seconds_of(const UpsampleReport& run);

/// Of all jobs that were run, and of running them all.
StageSeconds seconds_of(const BatchResult& batch);

/// Megabytes (10^6 bytes) that a stage took care of in a second: of voxels, not compressed. Reading counts the input's, the
/// others the output's. 0 for what took no time.
struct StageRates {
  double read = 0;
  double compute = 0;
  double write = 0;
};

/// Of a job that was run.
StageRates rates_of(const JobResult& result);

/// The stage that took longest: "read", "compute" or "write".
std::string_view bound_by(const StageSeconds& seconds);

}  // namespace convt3d::app
