#include "convt3d/upsample/memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "convt3d/base/buffer.hpp"
#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/upsample/input_planes.hpp"

namespace convt3d {
namespace {

using Ledger = std::vector<LedgerEntry>;

std::int64_t sum(const Ledger& ledger) {
  std::int64_t bytes = 0;
  for (const LedgerEntry& entry : ledger) bytes += entry.bytes;
  return bytes;
}

/// Of a Tensor with these volumes.
std::int64_t tensor_bytes(const Shape& volumes, DType dtype) { return Buffer::taken(byte_count(volumes, dtype)); }

Ledger held_while_reading(const Model& model, const UpsamplePlan& plan) {
  std::int64_t file_bytes = 0;  // of the fullest file: files are read one after the other
  for (const VolumeHeader& input : plan.inputs) file_bytes = std::max(file_bytes, reading_bytes(input, model.dtype));
  if (plan.inputs.size() == 1) return {{"input and its reader", file_bytes}};
  return {{"input " + to_string(plan.input_shape), tensor_bytes(plan.input_shape, model.dtype)}, {"reader", file_bytes}};
}

/// What layers [0, end) have allocated: they keep it from one run to the next. For planes that are held for a while only,
/// `most_planes` tells how many layer i has at once.
void add_layers(const std::vector<LayerPlan>& layers, std::size_t end,
                const std::function<std::int64_t(std::size_t i)>& most_planes, Ledger& ledger) {
  for (std::size_t i = 0; i < end; ++i) {
    for (LedgerEntry entry : layers[i].ledger) {
      if (entry.planes > 0) entry.bytes = entry.bytes / entry.planes * std::min(entry.planes, most_planes(i));
      if (entry.bytes > 0) ledger.push_back({fmt::format("layer {}: {}", i, entry.what), entry.bytes});
    }
  }
}

void add_kept(const LayerPlan& layer, DType dtype, Ledger& ledger) {
  for (const KeptVolume& kept : layer.kept) {
    ledger.push_back({"kept " + kept.what + " " + to_string(kept.shape), tensor_bytes(kept.shape, dtype)});
  }
}

/// Layer i on the whole.
Ledger held_in_layer(const std::vector<LayerPlan>& layers, std::size_t i, DType dtype) {
  const LayerPlan& layer = layers[i];
  Ledger ledger = {{"input " + to_string(layer.input), tensor_bytes(layer.input, dtype)}};
  if (!layer.in_place) ledger.push_back({"output " + to_string(layer.output), tensor_bytes(layer.output, dtype)});
  add_kept(layer, dtype, ledger);
  add_layers(
      layers, i + 1, [&](std::size_t at) { return at == i ? std::numeric_limits<std::int64_t>::max() : 0; }, ledger);
  return ledger;
}

/// A plan without an output is not run; it is reckoned with one of the input's format.
std::filesystem::path path_to_reckon(const UpsamplePlan& plan) {
  if (!plan.output.empty()) return plan.output;
  return plan.inputs.front().format == VolumeFormat::kNifti ? "output.nii.gz" : "output.mha";
}

LedgerEntry writer_of(const UpsamplePlan& plan, const UpsampleOptions& options, DType dtype) {
  return {"writer", writing_bytes(path_to_reckon(plan), plan.output_shape, dtype, write_options(plan, options))};
}

/// Where a pass takes its planes from: windows of the input, or volumes that are held.
void add_sources(const Model& model, const UpsamplePlan& plan, const Way& way, Ledger& ledger) {
  const LayerPlan& first = way.layers[way.whole_layers];
  if (way.whole_layers > 0) {
    ledger.push_back({"held " + to_string(first.input), tensor_bytes(first.input, model.dtype)});
    return add_kept(first, model.dtype, ledger);
  }
  const std::int64_t planes = most_planes(model.layers, way, 0);
  ledger.push_back({fmt::format("input, 2 windows of {} planes", planes),
                    2 * Buffer::taken(plane_bytes(first.input, model.dtype, planes))});
  const Ledger reading = input_planes_ledger(plan, model.dtype, planes);
  ledger.insert(ledger.end(), reading.begin(), reading.end());
}

Ledger held_in_pass(const Model& model, const UpsamplePlan& plan, const Way& way, const SlabPlan& pass) {
  Ledger ledger;
  add_sources(model, plan, way, ledger);
  for (const std::int64_t bytes : pass.slot_bytes) ledger.push_back({"planes of slabs", Buffer::taken(bytes)});
  const auto planes = [&](std::size_t i) {
    const std::int64_t padding =
        way.layers[i].ledger.empty() ? 0 : way.layers[i].ledger.back().planes - way.layers[i].input[2];
    return most_planes(model.layers, way, i) + std::max<std::int64_t>(padding, 0);
  };
  add_layers(way.layers, std::min(pass.end + 1, way.layers.size()), planes, ledger);
  return ledger;
}

using Stages = std::vector<std::pair<std::string, Ledger>>;

void add_whole_layers(const Model& model, const std::vector<LayerPlan>& layers, std::size_t end, Stages& stages) {
  for (std::size_t i = 0; i < end; ++i) {
    stages.emplace_back(fmt::format("layer {} ({})", i, model.layers[i].type()), held_in_layer(layers, i, model.dtype));
  }
}

Stages stages_of(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options, const Way& way) {
  Stages stages;
  if (!way.in_slabs()) {
    stages.emplace_back("reading", held_while_reading(model, plan));
    add_whole_layers(model, plan.layers, plan.layers.size(), stages);
    Ledger writing = {{"output " + to_string(plan.output_shape), tensor_bytes(plan.output_shape, model.dtype)},
                      writer_of(plan, options, model.dtype)};
    add_layers(
        plan.layers, plan.layers.size(), [](std::size_t) { return 0; }, writing);
    stages.emplace_back("writing", std::move(writing));
    return stages;
  }
  if (way.whole_layers > 0) {
    stages.emplace_back("reading", held_while_reading(model, plan));
    add_whole_layers(model, way.layers, way.whole_layers, stages);
  }
  for (std::size_t pass = 0; pass < way.passes.size(); ++pass) {
    const bool last = pass + 1 == way.passes.size();
    Ledger ledger = held_in_pass(model, plan, way, way.passes[pass]);
    if (last) ledger.push_back(writer_of(plan, options, model.dtype));
    stages.emplace_back(last ? "slabs" : fmt::format("slabs for layer {}", way.passes[pass].end), std::move(ledger));
  }
  return stages;
}

/// For messages.
std::string listed(const MemoryPlan& memory) {
  std::string held;
  for (const LedgerEntry& entry : memory.ledger) held += fmt::format("\n  {:>15} {}", entry.bytes, entry.what);
  return held;
}

[[noreturn]] void refuse(const UpsamplePlan& plan, const MemoryPlan& least, std::int64_t limit_bytes) {
  throw Error(ErrorKind::kMemory,
              fmt::format("{}: the memory bound of {} bytes cannot be met; the least that can is {} bytes ({} MiB)\n"
                          "  held at the fullest moment, {}, in bytes:{}",
                          plan.inputs.front().path.string(), limit_bytes, least.peak_bytes,
                          ceil_div(least.peak_bytes, std::int64_t{1} << 20), least.stage, listed(least)));
}

/// The layers' plans for one of the volumes.
std::vector<LayerPlan> plans_of_one(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options) {
  if (plan.input_shape[0] == 1) return plan.layers;
  Shape one = plan.input_shape;
  one[0] = 1;
  return model.layers.plan(one, {.threads = options.threads});
}

}  // namespace

MemoryPlan plan_memory(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options, const Way& way) {
  Stages stages = stages_of(model, plan, options, way);
  const auto fullest = std::max_element(stages.begin(), stages.end(),
                                        [](const auto& a, const auto& b) { return sum(a.second) < sum(b.second); });
  MemoryPlan memory;
  memory.stage = fullest->first;
  memory.ledger = std::move(fullest->second);
  memory.ledger.insert(memory.ledger.begin(), {"process: program, libraries, weights", options.process_bytes});
  memory.peak_bytes = sum(memory.ledger);
  if (way.in_slabs()) memory.tiles = plan.output_shape[0] * static_cast<std::int64_t>(way.passes.back().slabs.size());
  return memory;
}

void choose_way(const Model& model, UpsamplePlan& plan, const UpsampleOptions& options) {
  const std::int64_t limit = options.limit_bytes.value_or(std::numeric_limits<std::int64_t>::max());
  const std::vector<LayerPlan> layers = plans_of_one(model, plan, options);
  const std::vector<std::size_t> begins = slab_begins(model.layers, layers);
  std::optional<MemoryPlan> least;
  const auto take = [&](Way way) {
    MemoryPlan memory = plan_memory(model, plan, options, way);
    const bool fits = memory.peak_bytes <= limit;
    if (!least || memory.peak_bytes < least->peak_bytes) least = memory;
    if (fits) {
      plan.way = std::move(way);
      plan.memory = std::move(memory);
    }
    return fits;
  };
  const auto slabs = [&](std::size_t begin, std::int64_t height) {
    return slab_way(model.layers, layers, model.dtype, begin, height);
  };

  const auto fast = begins.empty() ? std::nullopt : fast_height(model.layers, layers, model.dtype, begins.back());
  const bool whole_fits = take(whole_way(model.layers));
  const std::int64_t whole_bytes = least->peak_bytes;
  if (fast) {
    Way way = slabs(begins.back(), *fast);
    // Of volumes that are not much larger than a slab, slabs would take the more memory.
    if (plan_memory(model, plan, options, way).peak_bytes < whole_bytes && take(std::move(way))) return;
  }
  if (whole_fits) return;
  for (auto begin = begins.rbegin(); begin != begins.rend(); ++begin) {
    if (!take(slabs(*begin, 1))) continue;
    greatest_height(plan.output_shape[2], [&](std::int64_t height) { return take(slabs(*begin, height)); });
    return;
  }
  refuse(plan, *least, limit);
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

std::vector<std::int64_t> bytes_left_by(const UpsamplePlan& plan) {
  std::vector<std::int64_t> left;
  for (const LayerPlan& layer : plan.way.in_slabs() ? plan.way.layers : plan.layers) {
    std::int64_t& bytes = left.emplace_back(0);
    for (const LedgerEntry& entry : layer.ledger) bytes += entry.planes > 0 ? 0 : entry.bytes;
  }
  return left;
}

std::int64_t weight_bytes(const Model& model) {
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    bytes += Buffer::taken(model.layers[i].parameter_count() * static_cast<std::int64_t>(size_of(model.dtype)));
  }
  return bytes;
}

}  // namespace convt3d
