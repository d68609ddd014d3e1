#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "convt3d/conv/pointwise.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// What a layer says of itself.
struct LayerText {
  std::string_view type;
  std::string repr;
  std::int64_t parameters = 0;
};

/// A pointwise function as a step of a stack: in place, in float32 or float64.
class PointwiseLayer final : public Layer {
 public:
  PointwiseLayer(LayerText text, Pointwise function) : text_(std::move(text)), function_(std::move(function)) {}

  std::string_view type() const override { return text_.type; }
  std::string repr() const override { return text_.repr; }
  std::int64_t parameter_count() const override { return text_.parameters; }
  Shape output_shape(const Shape& input) const override;
  LayerPlan plan(const Shape& input, const RunOptions& options) const override;
  Tensor forward(Tensor input, const RunOptions& options) const override;
  const Pointwise* pointwise() const override { return &function_; }

 private:
  LayerText text_;
  Pointwise function_;
};

}  // namespace convt3d
