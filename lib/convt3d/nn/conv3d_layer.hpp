#pragma once

#include <string>
#include <string_view>

#include "convt3d/nn/conv3d.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// The module Conv3d as a step of a stack.
class Conv3dLayer final : public Layer {
 public:
  explicit Conv3dLayer(Conv3d module) : module_(std::move(module)) {}

  std::string_view type() const override { return "conv3d"; }
  std::string repr() const override { return "Conv3d(" + module_.extra_repr() + ")"; }
  Shape output_shape(const Shape& input) const override;
  Sampling sampling() const override { return sampling_of(module_.options()); }
  std::int64_t parameter_count() const override { return module_.parameter_count(); }
  LayerPlan plan(const Shape& input, const RunOptions& options) const override;
  Tensor forward(Tensor input, const RunOptions& options) const override;

  const Conv3d& module() const { return module_; }

 private:
  Conv3d module_;
};

}  // namespace convt3d
