#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "report.hpp"
#include "stage_figures.hpp"

namespace convt3d::app {
namespace {

using Json = nlohmann::ordered_json;

std::string_view name_of(JobStatus status) {
  switch (status) {
    case JobStatus::kPlanned: return "planned";
    case JobStatus::kDone: return "done";
    case JobStatus::kSkipped: return "skipped";
    case JobStatus::kFailed: break;
  }
  return "failed";
}

Json path_or_null(const std::filesystem::path& path) { return path.empty() ? Json() : Json(path.string()); }

/// A count that a double holds; an integer where it is exact, as counts are read.
Json count(double value) { return value < 0x1p53 ? Json(static_cast<std::int64_t>(std::llround(value))) : Json(value); }

Json grid_members(Json object, const VoxelGrid& grid) {
  object["spacing"] = grid.spacing_mm;
  object["origin"] = grid.origin_mm;
  object["direction"] = grid.direction;
  return object;
}

Json config_of(const JobResult& result) {
  if (!result.model) return {{"path", result.job.config}, {"sha256", nullptr}};
  return {{"path", result.model->path.string()}, {"sha256", result.model->sha256}};
}

Json ledger_of(const std::vector<LedgerEntry>& ledger) {
  Json entries = Json::array();
  for (const LedgerEntry& entry : ledger) entries.push_back({{"what", entry.what}, {"bytes", entry.bytes}});
  return entries;
}

Json input_of(const JobResult& result) {
  Json paths = Json::array();
  for (const auto& path : result.job.inputs) paths.push_back(path.string());
  Json input = {{"path", paths.front()}, {"paths", paths}, {"shape", nullptr}};
  for (const char* key : {"spacing", "origin", "direction", "pixel_type", "channels"}) input[key] = nullptr;
  if (!result.plan) return input;
  const UpsamplePlan& plan = *result.plan;
  input["shape"] = plan.input_shape;
  input = grid_members(std::move(input), plan.inputs.front().grid);
  input["pixel_type"] = convt3d::name_of(plan.inputs.front().pixel_type);
  input["channels"] = plan.channels;
  return input;
}

Json layer_of(const Model& model, const LayerPlan& plan, std::size_t index) {
  const Layer& layer = model.layers[index];
  Json candidates = Json::array();
  for (const Candidate& candidate : plan.candidates) {
    const bool rejected = !candidate.rejected.empty();
    candidates.push_back({{"algorithm", candidate.algorithm},
                          {"seconds", rejected ? Json() : Json(candidate.seconds)},
                          {"rejected", rejected ? Json(candidate.rejected) : Json()}});
  }
  return {{"index", index},
          {"type", layer.type()},
          {"name", model.layers.name(index)},
          {"repr", layer.repr()},
          {"input_shape", plan.input},
          {"output_shape", plan.output},
          {"parameters", layer.parameter_count()},
          {"flops", count(plan.flops)},
          {"algorithm", plan.algorithm},
          {"reason", plan.reason},
          {"bytes", plan.bytes},
          {"ledger", ledger_of(plan.ledger)},
          {"candidates", std::move(candidates)}};
}

Json layers_of(const JobResult& result) {
  Json layers = Json::array();
  if (!result.plan) return layers;
  for (std::size_t i = 0; i < result.plan->layers.size(); ++i) {
    layers.push_back(layer_of(*result.model, result.plan->layers[i], i));
  }
  return layers;
}

Json output_of(const JobResult& result) {
  Json output = {{"path", path_or_null(result.job.output)}, {"shape", nullptr}};
  for (const char* key : {"spacing", "origin", "direction", "pixel_type", "bytes", "file_bytes", "clipped_voxels",
                          "shift_voxels", "shift_mm"}) {
    output[key] = nullptr;
  }
  if (!result.plan) return output;
  const UpsamplePlan& plan = *result.plan;
  output["shape"] = plan.output_shape;
  output = grid_members(std::move(output), plan.output_grid);
  output["pixel_type"] = convt3d::name_of(plan.output_type);
  output["bytes"] = plan.output_bytes;
  output["shift_voxels"] = plan.shift_voxels;
  output["shift_mm"] = plan.shift_mm;
  if (!result.run) return output;
  output["file_bytes"] = result.run->written.bytes;
  output["clipped_voxels"] = result.run->written.clipped;
  return output;
}

Json memory_of(const JobResult& result) {
  if (!result.plan) return {{"peak_bytes", nullptr}, {"tiles", nullptr}, {"stage", nullptr}, {"ledger", Json::array()}};
  const MemoryPlan& memory = result.plan->memory;
  return {{"peak_bytes", memory.peak_bytes},
          {"tiles", memory.tiles},
          {"stage", memory.stage},
          {"ledger", ledger_of(memory.ledger)}};
}

Json seconds_or_null(const std::optional<StageSeconds>& seconds) {
  if (!seconds) return {{"read", nullptr}, {"compute", nullptr}, {"write", nullptr}, {"total", nullptr}};
  return {{"read", seconds->read}, {"compute", seconds->compute}, {"write", seconds->write}, {"total", seconds->total}};
}

Json rates_or_null(const JobResult& result) {
  if (!result.run) return {{"read", nullptr}, {"compute", nullptr}, {"write", nullptr}};
  const StageRates rates = rates_of(result);
  return {{"read", rates.read}, {"compute", rates.compute}, {"write", rates.write}};
}

Json bound_or_null(const std::optional<StageSeconds>& seconds) { return seconds ? Json(bound_by(*seconds)) : Json(); }

Json job_of(const JobResult& result) {
  const auto seconds = result.run ? std::optional(seconds_of(*result.run)) : std::nullopt;
  return {{"input", input_of(result)},
          {"config", config_of(result)},
          {"layers", layers_of(result)},
          {"output", output_of(result)},
          {"memory", memory_of(result)},
          {"status", name_of(result.status)},
          {"error", result.failure ? Json(result.failure->message) : Json()},
          {"exit_code", result.failure ? result.failure->exit_code : 0},
          {"warnings", result.model ? Json(result.model->warnings) : Json::array()},
          {"seconds", seconds_or_null(seconds)},
          {"mb_per_s", rates_or_null(result)},
          {"bound_by", bound_or_null(seconds)}};
}

/// Text that is no UTF-8, as paths may be, gets U+FFFD: the report stays valid JSON.
std::string to_text(const Json& object) { return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace

std::string report_json(const BatchResult& batch) {
  Json jobs = Json::array();
  for (const JobResult& result : batch.jobs) jobs.push_back(job_of(result));
  const auto seconds = batch.seconds > 0 ? std::optional(seconds_of(batch)) : std::nullopt;
  return to_text({{"version", 1},
                  {"tool", "convt3d " CONVT3D_VERSION},
                  {"config", batch.jobs.empty() ? Json() : config_of(batch.jobs.front())},
                  {"threads", batch.threads},
                  {"threads_limited_by", batch.machine.threads_limited_by},
                  {"isa", convt3d::name_of(batch.machine.isa)},
                  {"jobs", std::move(jobs)},
                  {"seconds", seconds_or_null(seconds)},
                  {"bound_by", bound_or_null(seconds)}});
}

std::string list_configs(bool as_json) {
  const std::vector<ShippedConfig> configs = shipped_configs();
  Json list = Json::array();
  std::string text;
  for (const ShippedConfig& config : configs) {
    list.push_back({{"name", config.name}, {"description", config.description}, {"path", config.path.string()}});
    text += fmt::format("{:<16} {}\n", config.name, config.description);
  }
  return as_json ? to_text({{"version", 1}, {"configs", std::move(list)}}) : text;
}

}  // namespace convt3d::app
