#include "convt3d/upsample/memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

using Ledger = std::vector<LedgerEntry>;

std::int64_t sum(const Ledger& ledger) {
  std::int64_t bytes = 0;
  for (const LedgerEntry& entry : ledger) bytes += entry.bytes;
  return bytes;
}

Ledger held_while_reading(const Model& model, const UpsamplePlan& plan) {
  std::int64_t file_bytes = 0;  // of the fullest file: files are read one after the other
  for (const VolumeHeader& input : plan.inputs) file_bytes = std::max(file_bytes, reading_bytes(input, model.dtype));
  if (plan.inputs.size() == 1) return {{"input and its reader", file_bytes}};
  return {{"input " + to_string(plan.input_shape), byte_count(plan.input_shape, model.dtype)}, {"reader", file_bytes}};
}

Ledger held_in_layer(const LayerPlan& layer, DType dtype) {
  Ledger ledger = {{"input " + to_string(layer.input), byte_count(layer.input, dtype)}};
  if (!layer.in_place) ledger.push_back({"output " + to_string(layer.output), byte_count(layer.output, dtype)});
  for (const KeptVolume& kept : layer.kept) {
    ledger.push_back({"kept " + kept.what + " " + to_string(kept.shape), byte_count(kept.shape, dtype)});
  }
  ledger.insert(ledger.end(), layer.ledger.begin(), layer.ledger.end());
  return ledger;
}

/// A plan without an output is not run; it is reckoned with one of the input's format.
std::filesystem::path path_to_reckon(const UpsamplePlan& plan) {
  if (!plan.output.empty()) return plan.output;
  return plan.inputs.front().format == VolumeFormat::kNifti ? "output.nii.gz" : "output.mha";
}

Ledger held_while_writing(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options) {
  return {{"output " + to_string(plan.output_shape), byte_count(plan.output_shape, model.dtype)},
          {"writer", writing_bytes(path_to_reckon(plan), plan.output_shape, model.dtype, write_options(plan, options))}};
}

}  // namespace

MemoryPlan plan_memory(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options) {
  std::vector<std::pair<std::string, Ledger>> stages = {{"reading", held_while_reading(model, plan)}};
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    stages.emplace_back(fmt::format("layer {} ({})", i, model.layers[i].type()), held_in_layer(plan.layers[i], model.dtype));
  }
  stages.emplace_back("writing", held_while_writing(model, plan, options));

  const auto fullest = std::max_element(stages.begin(), stages.end(),
                                        [](const auto& a, const auto& b) { return sum(a.second) < sum(b.second); });
  MemoryPlan memory;
  memory.stage = fullest->first;
  memory.ledger = std::move(fullest->second);
  memory.ledger.insert(memory.ledger.begin(), {"process: program, libraries, weights", options.process_bytes});
  memory.peak_bytes = sum(memory.ledger);
  return memory;
}

WriteOptions write_options(const UpsamplePlan& plan, const UpsampleOptions& options) {
  WriteOptions write;
  write.pixel_type = plan.output_type;
  write.compression_level = options.compression_level.value_or(write.compression_level);
  write.compress_metaimage = options.compression_level.value_or(0) > 0;
  write.threads = options.threads;
  write.provenance = options.provenance;
  return write;
}

void require_within(const UpsamplePlan& plan, std::int64_t limit_bytes) {
  const MemoryPlan& memory = plan.memory;
  if (memory.peak_bytes <= limit_bytes) return;
  std::string held;
  for (const LedgerEntry& entry : memory.ledger) held += fmt::format("\n  {:>15} {}", entry.bytes, entry.what);
  throw Error(ErrorKind::kMemory,
              fmt::format("{}: the memory bound of {} bytes cannot be met; the least that can is {} bytes ({} MiB)\n"
                          "  held at the fullest moment, {}, in bytes:{}",
                          plan.inputs.front().path.string(), limit_bytes, memory.peak_bytes,
                          ceil_div(memory.peak_bytes, std::int64_t{1} << 20), memory.stage, held));
}

std::int64_t weight_bytes(const Model& model) {
  return model.layers.parameter_count() * static_cast<std::int64_t>(size_of(model.dtype));
}

}  // namespace convt3d
