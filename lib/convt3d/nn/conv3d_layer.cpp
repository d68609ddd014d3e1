#include "convt3d/nn/conv3d_layer.hpp"

#include <utility>

#include "convt3d/conv/problem.hpp"
#include "convt3d/nn/element_type.hpp"

namespace convt3d {

Shape Conv3dLayer::output_shape(const Shape& input) const {
  require_volumes(input);
  return module_.output_shape(input);
}

LayerPlan Conv3dLayer::plan(const Shape& input, const RunOptions& options) const {
  LayerPlan result;
  result.input = input;
  result.output = output_shape(input);
  Plan plan = module_.plan(input, options);
  result.flops = flops(plan.problem);
  result.bytes = ledger_bytes(plan);
  result.algorithm = std::move(plan.algorithm);
  result.reason = std::move(plan.reason);
  result.reach = plan.reach;
  result.ledger = std::move(plan.ledger);
  result.candidates = std::move(plan.candidates);
  return result;
}

Tensor Conv3dLayer::forward(Tensor input, const RunOptions& options) const {
  require_volumes(input.shape());
  return module_.forward(input, options);
}

}  // namespace convt3d
