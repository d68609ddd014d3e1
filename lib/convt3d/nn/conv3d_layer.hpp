#pragma once

#include <string>
#include <string_view>

#include "convt3d/nn/conv3d.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// The module Conv3d as a step of a stack.
class Conv3dLayer final : public Layer {
 public:
  explicit Conv3dLayer(Conv3d module)
      : module_(std::move(module)), repr_("Conv3d(" + module_.extra_repr() + ")"), parameters_(module_.parameter_count()) {}

  std::string_view type() const override { return "conv3d"; }
  std::string repr() const override { return repr_; }
  Shape output_shape(const Shape& input) const override;
  Sampling sampling(const Shape&) const override { return sampling_of(module_.options()); }
  std::int64_t parameter_count() const override { return parameters_; }
  LayerPlan plan(const Shape& input, const RunOptions& options) const override;
  Tensor forward(Tensor input, const RunOptions& options) const override;
  void forward_planes(const PlaneRun& run, const RunOptions& options) const override {
    module_.forward_planes(run, options);
  }

  void release() const override { module_.release(); }
  Fusion absorb(const Pointwise& function) override { return module_.absorb(function); }

  const Conv3d& module() const { return module_; }

 private:
  Conv3d module_;
  std::string repr_;  ///< and what follows: of the module as it was given, whatever it absorbs
  std::int64_t parameters_;
};

}  // namespace convt3d
