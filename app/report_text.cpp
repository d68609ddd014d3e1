#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "report.hpp"
#include "stage_figures.hpp"
#include "units.hpp"

namespace convt3d::app {
namespace {

using Triple = std::array<double, 3>;

std::string line(std::string_view label, std::string_view text) { return fmt::format("  {:<9}{}\n", label, text); }

std::string sizes(const Triple& mm) { return fmt::format("{:.6g} x {:.6g} x {:.6g} mm", mm[0], mm[1], mm[2]); }

std::string position(const Triple& values) {
  // Adding 0 turns -0 into 0.
  return fmt::format("({:.6g}, {:.6g}, {:.6g})", values[0] + 0.0, values[1] + 0.0, values[2] + 0.0);
}

std::string names_of(const std::vector<std::filesystem::path>& paths) {
  std::string names;
  for (const auto& path : paths) names += (names.empty() ? "" : " + ") + path.string();
  return names;
}

std::string route(const Job& job) { return names_of(job.inputs) + (job.output.empty() ? "" : " -> " + job.output.string()); }

std::string grid_lines(const VoxelGrid& grid) {
  std::string text = line("", fmt::format("spacing {}, origin {} mm", sizes(grid.spacing_mm), position(grid.origin_mm)));
  const auto& m = grid.direction;
  if (m == VoxelGrid().direction) return text;
  return text + line("", fmt::format("direction {} {} {}", position({m[0], m[1], m[2]}), position({m[3], m[4], m[5]}),
                                     position({m[6], m[7], m[8]})));
}

std::string considered(const Candidate& candidate) {
  if (!candidate.rejected.empty()) return fmt::format("{}: not possible, {}", candidate.algorithm, candidate.rejected);
  return fmt::format("{}: about {:.3g} ms", candidate.algorithm, 1e3 * candidate.seconds);
}

std::string buffer(const LedgerEntry& entry) { return fmt::format("{:>12}  {}", format_bytes(entry.bytes), entry.what); }

std::string layer_lines(const Model& model, const LayerPlan& layer, std::size_t index, bool verbose) {
  std::string text = line(fmt::format("layer {}", index), model.layers[index].repr());
  text +=
      line("", fmt::format("{} -> {}, {:.3g} GFLOP", to_string(layer.input), to_string(layer.output), layer.flops / 1e9));
  if (!layer.algorithm.empty()) {
    text += line("", fmt::format("{}{}{}", layer.algorithm, layer.reason.empty() ? "" : ": ", layer.reason));
    if (!layer.note.empty()) text += line("", layer.note);
  }
  if (!verbose) return text;
  for (const Candidate& candidate : layer.candidates) text += line("", "  " + considered(candidate));
  for (const LedgerEntry& entry : layer.ledger) text += line("", buffer(entry));
  return text;
}

std::string plan_lines(const JobResult& result, bool verbose) {
  const UpsamplePlan& plan = *result.plan;
  const VolumeHeader& input = plan.inputs.front();
  std::string text = line("config", fmt::format("{}, sha256 {:.12}", result.model->path.string(), result.model->sha256));
  text += line("input",
               fmt::format("{} {}, channels {}", to_string(plan.input_shape), name_of(input.pixel_type), plan.channels));
  text += grid_lines(input.grid);
  for (std::size_t i = 0; i < plan.layers.size(); ++i) text += layer_lines(*result.model, plan.layers[i], i, verbose);
  text += line("shift", fmt::format("{} voxels of the input (x, y, z), {} mm (LPS)", position(plan.shift_voxels),
                                    position(plan.shift_mm)));
  text += line("output", fmt::format("{} {}, {}", to_string(plan.output_shape), name_of(plan.output_type),
                                     format_bytes(plan.output_bytes)));
  text += grid_lines(plan.output_grid);
  const std::string slabs = plan.memory.tiles > 1 ? fmt::format("; {} slabs", plan.memory.tiles) : "";
  text += line("memory", fmt::format("{} at most, {}{}", format_bytes(plan.memory.peak_bytes), plan.memory.stage, slabs));
  if (!verbose) return text;
  for (const LedgerEntry& entry : plan.memory.ledger) text += line("", buffer(entry));
  return text;
}

std::string brief_line(const UpsamplePlan& plan) {
  return fmt::format("  {} {} -> {} {}, {}\n", to_string(plan.input_shape), name_of(plan.inputs.front().pixel_type),
                     to_string(plan.output_shape), name_of(plan.output_type), sizes(plan.output_grid.spacing_mm));
}

std::string time_line(const UpsampleReport& run) {
  return fmt::format("  read {}, compute {}, write {} ({}); {} in all\n", format_seconds(run.read_seconds),
                     format_seconds(run.compute_seconds), format_seconds(run.write_seconds), format_bytes(run.written.bytes),
                     format_seconds(run.total_seconds));
}

std::string rate_line(const JobResult& result) {
  const StageRates rates = rates_of(result);
  return fmt::format("  read {:.3g} MB/s, compute {:.3g} MB/s, write {:.3g} MB/s of voxels; bound by {}\n", rates.read,
                     rates.compute, rates.write, bound_by(seconds_of(*result.run)));
}

}  // namespace

std::string heading(const BatchResult& batch) {
  const bool chosen = batch.threads != batch.machine.threads;
  return fmt::format("convt3d {}: {} thread{} ({}), {}\n", CONVT3D_VERSION, batch.threads, batch.threads == 1 ? "" : "s",
                     chosen ? "--threads" : batch.machine.threads_limited_by, name_of(batch.machine.isa));
}

std::string describe(const JobResult& result, const Options& options) {
  if (result.status == JobStatus::kSkipped) return fmt::format("{}: skipped, the output exists\n", route(result.job));
  std::string text = route(result.job) + "\n";
  text += options.dry_run || options.verbose ? plan_lines(result, options.verbose) : brief_line(*result.plan);
  if (!result.run) return text;
  text += time_line(*result.run);
  return options.verbose ? text + rate_line(result) : text;
}

std::string summary(const BatchResult& batch) {
  const auto count = [&](JobStatus status) {
    return std::count_if(batch.jobs.begin(), batch.jobs.end(), [&](const JobResult& job) { return job.status == status; });
  };
  std::string text;
  for (const auto& [status, word] : {std::pair{JobStatus::kDone, "done"},
                                     {JobStatus::kPlanned, "planned"},
                                     {JobStatus::kSkipped, "skipped"},
                                     {JobStatus::kFailed, "failed"}}) {
    if (count(status) > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count(status), word);
  }
  if (batch.seconds > 0)
    text += fmt::format("; {} in all, bound by {}", format_seconds(batch.seconds), bound_by(seconds_of(batch)));
  return fmt::format("{} volumes: {}\n", batch.jobs.size(), text.empty() ? "nothing to do" : text);
}

}  // namespace convt3d::app
