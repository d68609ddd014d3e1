#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/layer.hpp"

// What running a layer of a stack takes besides the layer. Internal: not installed.
namespace convt3d {

/// Calls body(), and puts the layer's place in front of what it throws: `layer 1 "up1" (conv_transpose3d): ...`.
template <typename Body>
auto at_layer(std::size_t index, const std::string& name, const Layer& layer, Body&& body) {
  try {
    return std::forward<Body>(body)();
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

/// The options one layer is run with: it reports its share of the progress. Throws Error{kStopped} if the stack is to end
/// before it.
class LayerRun {
 public:
  LayerRun(const RunOptions& options, std::size_t index, std::size_t layers)
      : observer_(options.observer, index, layers),
        options_{.threads = options.threads, .observer = options.observer == nullptr ? nullptr : &observer_} {
    if (options.observer != nullptr && options.observer->stop_requested()) throw Error(ErrorKind::kStopped, "stopped");
  }
  LayerRun(const LayerRun&) = delete;
  LayerRun& operator=(const LayerRun&) = delete;

  const RunOptions& options() const { return options_; }

 private:
  LayerObserver observer_;
  RunOptions options_;
};

}  // namespace convt3d
