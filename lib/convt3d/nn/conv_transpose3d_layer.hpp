#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "convt3d/nn/conv_transpose3d.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// Which channels a kernel mixes: those the module says; or none, the module being 1 -> 1 and run on every channel there is.
enum class ChannelUse { kMixed, kEachAlone };

/// The module as a step of a stack. With kEachAlone an input (N, C, D, H, W) of any C is run as (N·C, 1, D, H, W), so one
/// kernel serves all channels. `output_size` (d, h, w) is asked of every forward; empty: output_padding says it.
/// Errors: Error{kShape} for kEachAlone with a module that is not 1 -> 1.
class ConvTranspose3dLayer final : public Layer {
 public:
  explicit ConvTranspose3dLayer(ConvTranspose3d module, std::vector<std::int64_t> output_size = {},
                                ChannelUse channels = ChannelUse::kMixed);

  std::string_view type() const override { return "conv_transpose3d"; }
  std::string repr() const override { return repr_; }
  Shape output_shape(const Shape& input) const override;
  Sampling sampling(const Shape& input) const override;
  std::int64_t parameter_count() const override { return parameters_; }
  LayerPlan plan(const Shape& input, const RunOptions& options) const override;
  Tensor forward(Tensor input, const RunOptions& options) const override;
  void forward_planes(const PlaneRun& run, const RunOptions& options) const override;

  void release() const override { module_.release(); }
  Fusion absorb(const Pointwise& function) override;

  const ConvTranspose3d& module() const { return module_; }

 private:
  ForwardOptions forward_options(const RunOptions& options) const;
  /// The shape the module sees, and its output's shape as the stack sees it.
  Shape folded(const Shape& input) const;
  Shape unfolded(const Shape& input, Shape output) const;

  ConvTranspose3d module_;
  std::string repr_;  ///< and what follows: of the module as it was given, whatever it absorbs
  std::int64_t parameters_;
  std::vector<std::int64_t> output_size_;
  ChannelUse channels_;
};

}  // namespace convt3d
