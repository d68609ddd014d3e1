#include "stage_figures.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace convt3d::app {
namespace {

double rate(std::int64_t bytes, double seconds) { return seconds > 0 ? static_cast<double>(bytes) / 1e6 / seconds : 0; }

std::int64_t voxel_bytes(const VolumeHeader& input) {
  const Extent3& extent = input.grid.extent;
  return input.frames * input.components * extent.d * extent.h * extent.w *
         static_cast<std::int64_t>(size_of(input.pixel_type));
}

}  // namespace

StageSeconds seconds_of(const UpsampleReport& run) {
  return {.read = run.read_seconds, .compute = run.compute_seconds, .write = run.write_seconds, .total = run.total_seconds};
}

StageSeconds seconds_of(const BatchResult& batch) {
  StageSeconds sum{.total = batch.seconds};
  for (const JobResult& job : batch.jobs) {
    if (!job.run) continue;
    sum.read += job.run->read_seconds;
    sum.compute += job.run->compute_seconds;
    sum.write += job.run->write_seconds;
  }
  return sum;
}

StageRates rates_of(const JobResult& result) {
  std::int64_t input_bytes = 0;
  for (const VolumeHeader& input : result.plan->inputs) input_bytes += voxel_bytes(input);
  const StageSeconds seconds = seconds_of(*result.run);
  const std::int64_t output_bytes = result.plan->output_bytes;
  return {.read = rate(input_bytes, seconds.read),
          .compute = rate(output_bytes, seconds.compute),
          .write = rate(output_bytes, seconds.write)};
}

std::string_view bound_by(const StageSeconds& seconds) {
  const std::array<std::pair<double, std::string_view>, 3> stages = {
      {{seconds.read, "read"}, {seconds.compute, "compute"}, {seconds.write, "write"}}};
  return std::max_element(stages.begin(), stages.end())->second;
}

}  // namespace convt3d::app
