#include "convt3d/nn/slabs.hpp"

#include <algorithm>
#include <utility>

#include "convt3d/base/checked.hpp"
#include "convt3d/nn/layer_run.hpp"

namespace convt3d {
namespace {

/// Volume v's shape.
const Shape& shape_of(std::span<const LayerPlan> layers, std::size_t v) {
  return v == 0 ? layers.front().input : layers[v - 1].output;
}

/// The volume that a layer takes.
std::size_t taken_volume(const Sequential& stack, std::size_t layer) {
  return static_cast<std::size_t>(stack.input_of(layer) + 1);
}

/// The volume that a join takes as its second.
std::optional<std::size_t> joined_volume(const Sequential& stack, std::size_t layer) {
  const std::optional<std::int64_t> from = stack.joined_by(layer);
  return from ? std::optional(static_cast<std::size_t>(*from + 1)) : std::nullopt;
}

/// The last layer that reads each volume; `end` for volume `end`.
std::vector<std::size_t> last_readers(const Sequential& stack, std::size_t end) {
  std::vector<std::size_t> readers;
  for (std::size_t v = 0; v <= end; ++v) readers.push_back(v);
  for (std::size_t i = 0; i < end; ++i) {
    readers[taken_volume(stack, i)] = std::max(readers[taken_volume(stack, i)], i);
    if (const auto joined = joined_volume(stack, i)) readers[*joined] = std::max(readers[*joined], i);
  }
  return readers;
}

/// Gives every volume a buffer from when it is made until it is read last. Of those that are free the largest is taken: it
/// has to grow least.
class Slots {
 public:
  explicit Slots(SlabPlan& plan) : plan_(plan) {}

  std::size_t take(std::int64_t bytes) {
    std::optional<std::size_t> slot;
    for (std::size_t s = 0; s < in_use_.size(); ++s) {
      if (!in_use_[s] && (!slot || plan_.slot_bytes[s] > plan_.slot_bytes[*slot])) slot = s;
    }
    if (!slot) {
      slot = in_use_.size();
      in_use_.push_back(false);
      plan_.slot_bytes.push_back(0);
    }
    in_use_[*slot] = true;
    plan_.slot_bytes[*slot] = std::max(plan_.slot_bytes[*slot], bytes);
    return *slot;
  }

  void give(std::size_t slot) { in_use_[slot] = false; }

 private:
  SlabPlan& plan_;
  std::vector<bool> in_use_;
};

void assign_slots(const Sequential& stack, std::span<const LayerPlan> layers, const std::vector<std::int64_t>& most_planes,
                  SlabPlan& plan) {
  const std::vector<std::size_t> readers = last_readers(stack, plan.end);
  Slots slots(plan);
  const auto slot_of = [&](std::size_t v) -> std::size_t& { return plan.slots[v - plan.begin - 1]; };
  plan.slots.resize(plan.end - plan.begin);
  for (std::size_t i = plan.begin; i < plan.end; ++i) {
    const std::size_t taken = taken_volume(stack, i);
    // Of a volume that others have read, they may have needed other planes.
    const bool in_place = layers[i].in_place && taken == i && i > plan.begin;
    const std::int64_t bytes = plane_bytes(layers[i].output, plan.dtype, most_planes[i + 1]);
    slot_of(i + 1) = in_place ? slot_of(taken) : slots.take(bytes);
    for (std::size_t v = plan.begin + 1; v <= i; ++v) {
      if (readers[v] == i && slot_of(v) != slot_of(i + 1)) slots.give(slot_of(v));
    }
  }
}

/// Planes that a layer computes for those wanted: whole runs.
std::int64_t computed_planes(const LayerPlan& layer, const Planes& wanted) {
  const std::int64_t run = layer.reach->run;
  const std::int64_t first = layer.reach->first;
  const std::int64_t begin = first + floor_div(wanted.begin - first, run) * run;
  const std::int64_t end = first + (floor_div(wanted.end - 1 - first, run) + 1) * run;
  return std::min(end, layer.output[2]) - std::max<std::int64_t>(begin, 0);
}

}  // namespace

std::vector<Planes> needed_planes(const Sequential& stack, std::span<const LayerPlan> layers, std::size_t begin,
                                  std::size_t end, const Planes& output) {
  std::vector<Planes> needed(end + 1);
  needed[end] = output;
  for (std::size_t i = end; i-- > begin;) {
    Planes& taken = needed[taken_volume(stack, i)];
    taken = hull(taken, layers[i].reach->of(needed[i + 1]));
    if (const auto joined = joined_volume(stack, i)) needed[*joined] = hull(needed[*joined], needed[i + 1]);
  }
  return needed;
}

std::int64_t plane_bytes(const Shape& volumes, DType dtype, std::int64_t count) {
  return byte_count({volumes[0], volumes[1], count, volumes[3], volumes[4]}, dtype);
}

SlabPlan plan_slabs(const Sequential& stack, std::span<const LayerPlan> layers, DType dtype, std::size_t begin,
                    std::size_t end, std::int64_t height, std::int64_t first_height) {
  SlabPlan plan;
  plan.begin = begin;
  plan.end = end;
  plan.dtype = dtype;
  const std::int64_t depth = shape_of(layers, end)[2];
  std::vector<std::int64_t> most_planes(end + 1);
  double whole = 0;
  double computed = 0;
  for (std::size_t i = begin; i < end; ++i) whole += layers[i].flops;
  for (Planes slab = {0, std::min(first_height, depth)}; !slab.empty();
       slab = {slab.end, std::min(slab.end + height, depth)}) {
    plan.slabs.push_back(slab);
    const std::vector<Planes> needed = needed_planes(stack, layers, begin, end, plan.slabs.back());
    for (std::size_t v = 0; v <= end; ++v) most_planes[v] = std::max(most_planes[v], needed[v].count());
    for (std::size_t i = begin; i < end; ++i) {
      const LayerPlan& layer = layers[i];
      computed +=
          layer.flops / static_cast<double>(layer.output[2]) * static_cast<double>(computed_planes(layer, needed[i + 1]));
    }
  }
  plan.work = whole > 0 ? computed / whole : 1;
  assign_slots(stack, layers, most_planes, plan);
  return plan;
}

SlabRunner::SlabRunner(const Sequential& stack, std::span<const LayerPlan> layers, const SlabPlan& plan)
    : stack_(stack), layers_(layers), plan_(plan) {
  for (const std::int64_t bytes : plan.slot_bytes) buffers_.emplace_back(static_cast<std::size_t>(bytes));
}

ConstTensorView SlabRunner::run(const Planes& output, const Sources& sources, const StatisticsOf& statistics,
                                const RunOptions& options) {
  const std::vector<Planes> needed = needed_planes(stack_, layers_, plan_.begin, plan_.end, output);
  const auto view_of = [&](std::size_t v) {
    const Shape& shape = shape_of(layers_, v);
    void* const data = buffers_[plan_.slots[v - plan_.begin - 1]].data();
    return TensorView{data, plan_.dtype, shape[0], shape[1], {needed[v].count(), shape[3], shape[4]}};
  };
  const auto source_of = [&](std::size_t v) {
    if (v <= plan_.begin) return sources.at(v);
    const TensorView view = view_of(v);
    return Source{{view.data, view.dtype, view.n, view.c, view.extent}, needed[v]};
  };
  for (std::size_t i = plan_.begin; i < plan_.end; ++i) {
    const Layer& layer = stack_[i];
    at_layer(i, stack_.name(i), layer, [&] {
      const LayerRun layer_run(options, i - plan_.begin, plan_.end - plan_.begin);
      const Source from = source_of(taken_volume(stack_, i));
      const PlaneRun run{layers_[i].input, from.voxels, from.planes, view_of(i + 1), needed[i + 1]};
      if (const auto joined = joined_volume(stack_, i)) {
        const Source second = source_of(*joined);
        stack_.join(i)->join_planes(run, second.voxels, second.planes, layer_run.options());
      } else if (const auto known = statistics.find(stack_.lender_of(i).value_or(i)); known != statistics.end()) {
        run_alone(run, options.threads,
                  [&](Tensor planes) { return layer.forward_with(std::move(planes), 0, *known->second, options); });
      } else {
        layer.forward_planes(run, layer_run.options());
      }
    });
  }
  return source_of(plan_.end).voxels;
}

}  // namespace convt3d
