#pragma once

#include <memory>
#include <string>
#include <vector>

#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// Layers one after the other, as torch.nn.Sequential; a layer may have a name. Errors of a layer come with its index and
/// name in front.
class Sequential {
 public:
  void append(std::unique_ptr<Layer> layer, std::string name = "");

  std::size_t size() const { return layers_.size(); }
  const Layer& operator[](std::size_t index) const { return *layers_[index].layer; }
  const std::string& name(std::size_t index) const { return layers_[index].name; }

  Shape output_shape(const Shape& input) const;
  Sampling sampling() const;
  std::int64_t parameter_count() const;
  /// One entry per layer.
  std::vector<LayerPlan> plan(const Shape& input, const RunOptions& options = {}) const;
  Tensor forward(Tensor input, const RunOptions& options = {}) const;

 private:
  struct Entry {
    std::unique_ptr<Layer> layer;
    std::string name;
  };
  std::vector<Entry> layers_;
};

}  // namespace convt3d
