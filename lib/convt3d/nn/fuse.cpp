#include "convt3d/nn/fuse.hpp"

#include <memory>
#include <string>
#include <utility>

namespace convt3d {
namespace {

/// Stands for a layer that another does.
class FusedLayer final : public Layer {
 public:
  FusedLayer(std::unique_ptr<Layer> layer, std::string where) : layer_(std::move(layer)), where_(std::move(where)) {}

  std::string_view type() const override { return layer_->type(); }
  std::string repr() const override { return layer_->repr(); }
  Shape output_shape(const Shape& input) const override { return layer_->output_shape(input); }
  Sampling sampling(const Shape& input) const override { return layer_->sampling(input); }
  std::int64_t parameter_count() const override { return layer_->parameter_count(); }

  LayerPlan plan(const Shape& input, const RunOptions& options) const override {
    LayerPlan plan = layer_->plan(input, options);
    plan.algorithm = "fused";
    plan.reason = where_;
    return plan;
  }

  Tensor forward(Tensor input, const RunOptions&) const override {
    layer_->output_shape(input.shape());
    return input;
  }

 private:
  std::unique_ptr<Layer> layer_;
  std::string where_;
};

}  // namespace

Sequential fuse(Sequential stack) {
  std::size_t doer = 0;  // the last layer that is not fused away
  for (std::size_t i = 1; i < stack.size(); ++i) {
    std::unique_ptr<Layer>& layer = stack.layers_[i].layer;
    const Pointwise* const function = layer->pointwise();
    const std::int64_t before = static_cast<std::int64_t>(i) - 1;
    const bool alone = stack.input_of(i) == before && !stack.last_taker_of(before);
    const Fusion fusion = function != nullptr && alone ? stack.layers_[doer].layer->absorb(*function) : Fusion::kNone;
    if (fusion == Fusion::kNone) {
      doer = i;
      continue;
    }
    const std::string part = fusion == Fusion::kWeights ? "in the weights" : "in the epilogue";
    layer = std::make_unique<FusedLayer>(std::move(layer), part + " of layer " + std::to_string(doer));
  }
  return stack;
}

}  // namespace convt3d
