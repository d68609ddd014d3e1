#pragma once

#include <cstddef>
#include <exception>
#include <functional>

#include "console.hpp"

namespace convt3d::app {

/// Jobs of a batch that overlap: one is read while the one before it computes and the one before that is written.
struct Flight {
  std::size_t jobs = 0;

  /// Whether `next` may be in flight beside those from `front` on, which are already. One alone is never asked about.
  std::function<bool(std::size_t front, std::size_t next)> admits;

  /// Runs a job, telling the observer which stage it enters and stopping when that says so. Called on any thread.
  std::function<void(std::size_t job, Observer& observer)> work;

  /// What a job is called on the progress bar.
  std::function<std::string(std::size_t job)> name;

  /// Is told of each job in their order, on the caller's thread, with what it threw, if it did. False ends the flight: jobs
  /// that are on their way are stopped, and nothing is told of them.
  std::function<bool(std::size_t job, std::exception_ptr thrown)> ended;
};

/// Runs all jobs of a flight. None overtakes another: a job enters a stage when all before it have left that, and it begins
/// to write when `ended` has been told of all before it. So a flight that ends early leaves the files that one job after the
/// other would have left. The console shows the first job that has not ended.
void run(const Flight& flight, Console& console);

}  // namespace convt3d::app
