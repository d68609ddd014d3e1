#include "convt3d/nn/sequential.hpp"

#include <algorithm>
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
  if (join != nullptr && !from) {
    throw Error(ErrorKind::kShape,
                std::string(layer->type()) + " joins two volumes; it needs the layer that the second comes from");
  }
  if (from && (*from < kInput || *from >= index)) {
    throw Error(ErrorKind::kShape, "layer " + std::to_string(index) + " takes what layer " + std::to_string(*from) +
                                       " gives; only the layers before it are there by then");
  }
  const auto* const denormalizing = dynamic_cast<const DenormalizingLayer*>(layer.get());
  if (denormalizing != nullptr) {
    const bool lends =
        from && *from != kInput &&
        dynamic_cast<const NormalizingLayer*>(layers_[static_cast<std::size_t>(*from)].layer.get()) != nullptr;
    if (!lends) {
      throw Error(ErrorKind::kShape,
                  std::string(layer->type()) + " undoes what a normalize layer before it did" +
                      (from ? ", and " + place_of(*from, "") + " is none of one" : "; it needs its index"));
    }
    layers_.push_back({std::move(layer), std::move(name), from, nullptr, denormalizing});
    return;
  }
  if (from) (*from == kInput ? last_taker_of_input_ : layers_[static_cast<std::size_t>(*from)].last_taker) = layers_.size();
  layers_.push_back({std::move(layer), std::move(name), from, join});
}

std::int64_t Sequential::input_of(std::size_t index) const {
  const Entry& entry = layers_[index];
  return entry.from && !entry.join && !entry.denormalizing ? *entry.from : static_cast<std::int64_t>(index) - 1;
}

std::optional<std::int64_t> Sequential::joined_by(std::size_t index) const {
  return layers_[index].join ? layers_[index].from : std::nullopt;
}

std::optional<std::size_t> Sequential::lender_of(std::size_t index) const {
  return layers_[index].denormalizing ? std::optional(static_cast<std::size_t>(*layers_[index].from)) : std::nullopt;
}

bool Sequential::lends(std::size_t index) const {
  for (std::size_t later = index + 1; later < layers_.size(); ++later) {
    if (lender_of(later) == index) return true;
  }
  return false;
}

void Sequential::require_lender_fits(std::size_t index, const std::vector<Shape>& shapes) const {
  const std::optional<std::size_t> lender = lender_of(index);
  if (!lender) return;
  layers_[index].denormalizing->require_fit(shapes[entry_of(input_of(index))], shapes[entry_of(input_of(*lender))]);
}

std::optional<std::size_t> Sequential::first_unread() const {
  for (std::size_t i = 0; i + 1 < layers_.size(); ++i) {
    const auto volume = static_cast<std::int64_t>(i);
    if (input_of(i + 1) != volume && !last_taker_of(volume)) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> Sequential::last_taker_of(std::int64_t index) const {
  return index == kInput ? last_taker_of_input_ : layers_[static_cast<std::size_t>(index)].last_taker;
}

bool Sequential::input_is_taken_again(std::size_t index) const {
  const std::optional<std::size_t> last = last_taker_of(input_of(index));
  return last > index || (last == index && layers_[index].join);  // nullopt is less than any
}

std::vector<Shape> Sequential::shapes_from(const Shape& input) const {
  std::vector<Shape> shapes = {input};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Entry& entry = layers_[i];
    const Shape& taken = shapes[entry_of(input_of(i))];
    shapes.push_back(at_layer(i, entry.name, *entry.layer, [&] {
      require_lender_fits(i, shapes);
      return entry.join ? entry.join->join_shape(taken, shapes[entry_of(*entry.from)]) : entry.layer->output_shape(taken);
    }));
  }
  return shapes;
}

Shape Sequential::output_shape(const Shape& input) const { return shapes_from(input).back(); }

Sampling Sequential::sampling(const Shape& input) const {
  const std::vector<Shape> shapes = shapes_from(input);
  std::vector<Sampling> samplings = {Sampling{}};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::size_t taken = entry_of(input_of(i));
    samplings.push_back(compose(samplings[taken], layers_[i].layer->sampling(shapes[taken])));
  }
  return samplings.back();
}

std::int64_t Sequential::parameter_count() const {
  std::int64_t count = 0;
  for (const Entry& entry : layers_) count += entry.layer->parameter_count();
  return count;
}

std::vector<KeptVolume> Sequential::kept_during(std::size_t index, const std::vector<Shape>& shapes) const {
  std::vector<KeptVolume> kept;
  for (std::int64_t earlier = kInput; entry_of(earlier) <= index; ++earlier) {
    if (earlier == input_of(index) || last_taker_of(earlier) < index) continue;  // nullopt is less than any
    const std::string name = earlier == kInput ? "" : layers_[static_cast<std::size_t>(earlier)].name;
    kept.push_back({place_of(earlier, name), shapes[entry_of(earlier)]});
  }
  return kept;
}

std::string Sequential::note_on_grids(std::size_t index, const std::vector<Sampling>& samplings) const {
  const std::int64_t from = *layers_[index].from;
  const Sampling& here = samplings[entry_of(input_of(index))];
  const Sampling& there = samplings[entry_of(from)];
  if (same_grid(here, there)) return "";
  const std::string name = from == kInput ? "" : layers_[static_cast<std::size_t>(from)].name;
  return "joins voxels that lie elsewhere: those of " + place_of(from, name) + " have step " + triple(there.step) +
         " and offset " + triple(there.offset) + ", in voxels of the stack's input, those they join " + triple(here.step) +
         " and " + triple(here.offset);
}

bool Sequential::lender_is_in_reach(std::size_t index, const std::vector<LayerPlan>& plans) const {
  const std::optional<std::size_t> lender = lender_of(index);
  if (!lender) return true;
  return std::all_of(plans.begin() + static_cast<std::ptrdiff_t>(*lender), plans.end(),
                     [](const LayerPlan& plan) { return plan.reach.has_value(); });
}

std::vector<LayerPlan> Sequential::plan(const Shape& input, const RunOptions& options) const {
  std::vector<LayerPlan> plans;
  std::vector<Shape> shapes = {input};
  std::vector<Sampling> samplings = {Sampling{}};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Entry& entry = layers_[i];
    const std::int64_t source = input_of(i);
    const Shape taken = shapes[entry_of(source)];
    LayerPlan plan = at_layer(i, entry.name, *entry.layer, [&] {
      require_lender_fits(i, shapes);
      return entry.join ? entry.join->join_plan(taken, shapes[entry_of(*entry.from)], options)
                        : entry.layer->plan(taken, options);
    });
    plan.kept = kept_during(i, shapes);
    if (plan.in_place && input_is_taken_again(i)) {
      plan.in_place = false;
      plan.reason = "on a copy, since layer " + std::to_string(*last_taker_of(source)) + " takes its input too";
    }
    if (!lender_is_in_reach(i, plans)) plan.reach.reset();
    if (entry.join && plan.note.empty()) plan.note = note_on_grids(i, samplings);
    if (source != static_cast<std::int64_t>(i) - 1) {
      const std::string name = source == kInput ? "" : layers_[static_cast<std::size_t>(source)].name;
      plan.note = "takes " + place_of(source, name) + (plan.note.empty() ? "" : "; " + plan.note);
      // Statistics of a branch's volume are gathered where the volume is there as a whole.
      if (entry.layer->statistics(taken)) plan.reach.reset();
    }
    samplings.push_back(compose(samplings[entry_of(source)], entry.layer->sampling(taken)));
    shapes.push_back(plan.output);
    plans.push_back(std::move(plan));
  }
  return plans;
}

Tensor Sequential::forward(Tensor input, const RunOptions& options) const {
  return forward_first(layers_.size(), std::move(input), options).last;
}

Tensor Sequential::taken_by(std::size_t index, std::map<std::int64_t, Tensor>& volumes, const RunOptions& options) const {
  const Entry& entry = layers_[index];
  Tensor& original = volumes.at(input_of(index));
  if (!input_is_taken_again(index)) return std::move(original);
  // A layer that works in place has a copy to spoil; the others only read.
  const bool spoils = entry.join ? entry.join->join_plan(original.shape(), volumes.at(*entry.from).shape(), options).in_place
                                 : entry.layer->plan(original.shape(), options).in_place;
  return spoils ? Tensor(original) : original.borrowed();
}

Sequential::Volumes Sequential::forward_first(std::size_t count, Tensor input, const RunOptions& options) const {
  std::map<std::int64_t, Tensor> volumes;
  std::map<std::size_t, std::unique_ptr<const Statistics>> lent;
  volumes[kInput] = std::move(input);
  for (std::size_t i = 0; i < count; ++i) {
    const Entry& entry = layers_[i];
    at_layer(i, entry.name, *entry.layer, [&] {
      const LayerRun run(options, i, layers_.size());
      const auto is_done = [&](const auto& volume) {
        return volume.first != input_of(i) && !(last_taker_of(volume.first) >= i);  // nullopt is less than any
      };
      std::erase_if(volumes, is_done);
      Tensor taken = taken_by(i, volumes, run.options());
      Tensor& given = volumes[static_cast<std::int64_t>(i)];
      if (entry.join) {
        given = entry.join->join(std::move(taken), volumes.at(*entry.from), run.options());
      } else if (lends(i)) {
        lent[i] = gathered(*entry.layer, taken, options.threads);
        given = entry.layer->forward_with(std::move(taken), 0, *lent[i], run.options());
      } else if (const auto lender = lender_of(i)) {
        given = entry.layer->forward_with(std::move(taken), 0, *lent.at(*lender), run.options());
      } else {
        given = entry.layer->forward(std::move(taken), run.options());
      }
    });
    std::erase_if(volumes, [&](const auto& volume) {
      return volume.first != static_cast<std::int64_t>(i) && !(last_taker_of(volume.first) > i);
    });
  }
  auto last = volumes.extract(static_cast<std::int64_t>(count) - 1);
  return {std::move(last.mapped()), std::move(volumes)};
}

void Sequential::release() const {
  for (const Entry& entry : layers_) entry.layer->release();
}

}  // namespace convt3d
