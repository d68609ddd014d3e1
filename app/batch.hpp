#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "console.hpp"
#include "convt3d/base/machine.hpp"
#include "convt3d/upsample/upsample.hpp"
#include "exit_code.hpp"
#include "jobs.hpp"
#include "options.hpp"

namespace convt3d::app {

enum class JobStatus { kPlanned, kDone, kSkipped, kFailed };

/// What became of a job. What is not known, because it failed or was skipped before, is empty.
struct JobResult {
  Job job;
  std::shared_ptr<const Model> model = nullptr;
  std::optional<UpsamplePlan> plan = std::nullopt;
  std::optional<UpsampleReport> run = std::nullopt;
  JobStatus status = JobStatus::kPlanned;
  std::optional<Failure> failure = std::nullopt;
};

struct BatchResult {
  Machine machine;
  int threads = 1;
  double seconds = 0;  ///< that running all of them took
  std::vector<JobResult> jobs;
};

/// Is told of each job as it ends.
using Finished = std::function<void(const BatchResult&, const JobResult&)>;

/// Loads each config once, plans all jobs, and unless it is a dry run runs those that could be planned, overlapping
/// (flight.hpp), telling `finished` of each in their order. A job that fails is reported on the console and does not stop
/// the others without --fail-fast; an interrupt does. Throws Error when nothing can be run at all: an output exists, or the
/// one config of all jobs is invalid.
BatchResult run_batch(const Options& options, const std::vector<Job>& jobs, Console& console, const Finished& finished);

/// What the shell gets: the signal that interrupted, the failure of a single job, or whether any job of a batch failed.
int exit_code_of(const BatchResult& batch);

}  // namespace convt3d::app
