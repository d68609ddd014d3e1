#include "convt3d/nn/pointwise_layer.hpp"

#include <algorithm>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/element_type.hpp"

namespace convt3d {

Shape PointwiseLayer::output_shape(const Shape& input) const {
  require_volumes(input);
  if (fits_channels(function_, input[1])) return input;
  const std::size_t channels = std::max(function_.p.size(), function_.q.size());
  throw Error(ErrorKind::kShape, text_.repr + " has parameters for " + std::to_string(channels) +
                                     " channels, but the input has " + std::to_string(input[1]) + " channels");
}

LayerPlan PointwiseLayer::plan(const Shape& input, const RunOptions&) const {
  LayerPlan plan = in_place_plan(output_shape(input), static_cast<double>(element_count(input)), "pointwise", "in place");
  plan.reach = pointwise_reach(input);
  return plan;
}

Tensor PointwiseLayer::forward(Tensor input, const RunOptions& options) const {
  output_shape(input.shape());
  apply(function_, input.view(), options.threads);
  return input;
}

}  // namespace convt3d
