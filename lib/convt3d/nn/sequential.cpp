#include "convt3d/nn/sequential.hpp"

#include <string_view>
#include <utility>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

/// Calls body(), and puts the layer's place in front of what it throws: `layer 1 "up1" (conv_transpose3d): ...`.
template <typename Body>
auto at_layer(std::size_t index, const std::string& name, const Layer& layer, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    const std::string quoted = name.empty() ? "" : " \"" + name + "\"";
    throw Error(error.kind(),
                "layer " + std::to_string(index) + quoted + " (" + std::string(layer.type()) + "): " + error.what());
  }
}

/// A layer's progress as its share of the stack's, every layer's share being the same.
class LayerObserver final : public Observer {
 public:
  LayerObserver(Observer* whole, std::size_t index, std::size_t layers)
      : whole_(whole), index_(static_cast<double>(index)), layers_(static_cast<double>(layers)) {}

  void progress(double fraction) override { whole_->progress((index_ + fraction) / layers_); }
  void note(std::string_view text) override { whole_->note(text); }
  bool stop_requested() const override { return whole_->stop_requested(); }

 private:
  Observer* whole_;
  double index_;
  double layers_;
};

/// Runs one layer, unless the observer wants the stack to end here.
Tensor run_layer(const Layer& layer, Tensor input, const RunOptions& options, std::size_t index, std::size_t layers) {
  if (options.observer == nullptr) return layer.forward(std::move(input), options);
  if (options.observer->stop_requested()) throw Error(ErrorKind::kStopped, "stopped");
  LayerObserver observer(options.observer, index, layers);
  return layer.forward(std::move(input), {.threads = options.threads, .observer = &observer});
}

}  // namespace

void Sequential::append(std::unique_ptr<Layer> layer, std::string name) {
  layers_.push_back({std::move(layer), std::move(name)});
}

Shape Sequential::output_shape(const Shape& input) const {
  Shape shape = input;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto& [layer, name] = layers_[i];
    shape = at_layer(i, name, *layer, [&] { return layer->output_shape(shape); });
  }
  return shape;
}

Sampling Sequential::sampling() const {
  Sampling total;
  for (const Entry& entry : layers_) total = compose(total, entry.layer->sampling());
  return total;
}

std::int64_t Sequential::parameter_count() const {
  std::int64_t count = 0;
  for (const Entry& entry : layers_) count += entry.layer->parameter_count();
  return count;
}

std::vector<LayerPlan> Sequential::plan(const Shape& input, const RunOptions& options) const {
  std::vector<LayerPlan> plans;
  plans.reserve(layers_.size());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto& [layer, name] = layers_[i];
    const Shape& shape = plans.empty() ? input : plans.back().output;
    plans.push_back(at_layer(i, name, *layer, [&] { return layer->plan(shape, options); }));
  }
  return plans;
}

Tensor Sequential::forward(Tensor input, const RunOptions& options) const {
  Tensor volumes = std::move(input);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto& [layer, name] = layers_[i];
    volumes = at_layer(i, name, *layer, [&] { return run_layer(*layer, std::move(volumes), options, i, layers_.size()); });
  }
  return volumes;
}

}  // namespace convt3d
