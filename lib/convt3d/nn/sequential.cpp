#include "convt3d/nn/sequential.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <string_view>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/layer_run.hpp"

namespace convt3d {
namespace {

std::string place_of(std::int64_t index, const std::string& name) {
  if (index == Sequential::kInput) return "the input";
  return "the output of layer " + std::to_string(index) + (name.empty() ? "" : " \"" + name + "\"");
}

/// In a list that begins with the stack's input: entry 0 is the input's, entry i + 1 that of what layer i gives.
std::size_t entry_of(std::int64_t index) { return static_cast<std::size_t>(index + 1); }

bool same_grid(const Sampling& a, const Sampling& b) {
  constexpr double kVoxels = 1e-9;  // what composing a few layers leaves of rounding
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (std::abs(a.step[axis] - b.step[axis]) > kVoxels || std::abs(a.offset[axis] - b.offset[axis]) > kVoxels) return false;
  }
  return true;
}

std::string triple(const std::array<double, 3>& values) {
  std::array<char, 96> text{};  // three numbers of at most 13 characters each
  std::snprintf(text.data(), text.size(), "(%.6g, %.6g, %.6g)", values[0], values[1], values[2]);
  return text.data();
}

}  // namespace

void Sequential::append(std::unique_ptr<Layer> layer, std::string name, std::optional<std::int64_t> from) {
  const auto* const join = dynamic_cast<const JoinLayer*>(layer.get());
  const auto index = static_cast<std::int64_t>(layers_.size());
  if (from.has_value() != (join != nullptr)) {
    throw Error(ErrorKind::kShape,
                std::string(layer->type()) + (join ? " joins two volumes; it needs the layer that the second comes from"
                                                   : " takes one input; it joins nothing from another layer"));
  }
  if (from && (*from < kInput || *from >= index)) {
    throw Error(ErrorKind::kShape, "layer " + std::to_string(index) + " joins what layer " + std::to_string(*from) +
                                       " gives; only the layers before it are there by then");
  }
  if (from) (*from == kInput ? last_join_of_input_ : layers_[static_cast<std::size_t>(*from)].last_join) = layers_.size();
  layers_.push_back({std::move(layer), std::move(name), from, join});
}

std::optional<std::size_t> Sequential::last_join_of(std::int64_t index) const {
  return index == kInput ? last_join_of_input_ : layers_[static_cast<std::size_t>(index)].last_join;
}

std::vector<Shape> Sequential::shapes_from(const Shape& input) const {
  std::vector<Shape> shapes = {input};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Entry& entry = layers_[i];
    shapes.push_back(at_layer(i, entry.name, *entry.layer, [&] {
      return entry.join ? entry.join->join_shape(shapes.back(), shapes[entry_of(*entry.from)])
                        : entry.layer->output_shape(shapes.back());
    }));
  }
  return shapes;
}

Shape Sequential::output_shape(const Shape& input) const { return shapes_from(input).back(); }

Sampling Sequential::sampling(const Shape& input) const {
  const std::vector<Shape> shapes = shapes_from(input);
  Sampling total;
  for (std::size_t i = 0; i < layers_.size(); ++i) total = compose(total, layers_[i].layer->sampling(shapes[i]));
  return total;
}

std::int64_t Sequential::parameter_count() const {
  std::int64_t count = 0;
  for (const Entry& entry : layers_) count += entry.layer->parameter_count();
  return count;
}

std::vector<KeptVolume> Sequential::kept_during(std::size_t index, const std::vector<Shape>& shapes) const {
  std::vector<KeptVolume> kept;
  for (std::int64_t earlier = kInput; entry_of(earlier) < index; ++earlier) {
    if (last_join_of(earlier) < index) continue;  // nullopt is less than any
    const std::string name = earlier == kInput ? "" : layers_[static_cast<std::size_t>(earlier)].name;
    kept.push_back({place_of(earlier, name), shapes[entry_of(earlier)]});
  }
  return kept;
}

std::string Sequential::note_on_grids(std::size_t index, const std::vector<Sampling>& samplings) const {
  const std::int64_t from = *layers_[index].from;
  const Sampling& here = samplings[index];
  const Sampling& there = samplings[entry_of(from)];
  if (same_grid(here, there)) return "";
  const std::string name = from == kInput ? "" : layers_[static_cast<std::size_t>(from)].name;
  return "joins voxels that lie elsewhere: those of " + place_of(from, name) + " have step " + triple(there.step) +
         " and offset " + triple(there.offset) + ", in voxels of the stack's input, those they join " + triple(here.step) +
         " and " + triple(here.offset);
}

std::vector<LayerPlan> Sequential::plan(const Shape& input, const RunOptions& options) const {
  std::vector<LayerPlan> plans;
  std::vector<Shape> shapes = {input};
  std::vector<Sampling> samplings = {Sampling{}};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Entry& entry = layers_[i];
    LayerPlan plan = at_layer(i, entry.name, *entry.layer, [&] {
      return entry.join ? entry.join->join_plan(shapes.back(), shapes[entry_of(*entry.from)], options)
                        : entry.layer->plan(shapes.back(), options);
    });
    plan.kept = kept_during(i, shapes);
    const std::optional<std::size_t> last = last_join_of(static_cast<std::int64_t>(i) - 1);
    if (plan.in_place && last >= i) {  // nullopt is less than any
      plan.in_place = false;
      plan.reason = "on a copy, since layer " + std::to_string(*last) + " joins its input";
    }
    if (entry.join && plan.note.empty()) plan.note = note_on_grids(i, samplings);
    samplings.push_back(compose(samplings.back(), entry.layer->sampling(shapes.back())));
    shapes.push_back(plan.output);
    plans.push_back(std::move(plan));
  }
  return plans;
}

Tensor Sequential::forward(Tensor input, const RunOptions& options) const {
  return forward_first(layers_.size(), std::move(input), options).last;
}

Sequential::Volumes Sequential::forward_first(std::size_t count, Tensor input, const RunOptions& options) const {
  Tensor volumes = std::move(input);
  std::map<std::int64_t, Tensor> kept;
  for (std::size_t i = 0; i < count; ++i) {
    const Entry& entry = layers_[i];
    const std::int64_t before = static_cast<std::int64_t>(i) - 1;
    at_layer(i, entry.name, *entry.layer, [&] {
      const LayerRun run(options, i, layers_.size());
      if (last_join_of(before) >= i) {  // nullopt is less than any
        const Tensor& original = kept[before] = std::move(volumes);
        // A layer that works in place has a copy to spoil; the others only read.
        const bool spoils = entry.join
                                ? entry.join->join_plan(original.shape(), kept.at(*entry.from).shape(), options).in_place
                                : entry.layer->plan(original.shape(), options).in_place;
        volumes = spoils ? Tensor(original) : original.borrowed();
      }
      volumes = entry.join ? entry.join->join(std::move(volumes), kept.at(*entry.from), run.options())
                           : entry.layer->forward(std::move(volumes), run.options());
    });
    std::erase_if(kept, [&](const auto& volume) { return last_join_of(volume.first) <= i; });
  }
  return {std::move(volumes), std::move(kept)};
}

}  // namespace convt3d
