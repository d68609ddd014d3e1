#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "convt3d/nn/pointwise_layer.hpp"
#include "convt3d/nn/statistics.hpp"

namespace convt3d {

/// What instance_norm3d and group_norm share: y = (x - mean)/√(variance + eps)·weight + bias, mean and (biased) variance
/// being those of a group of channels of one volume. Internal: not installed.
struct GroupwiseNorm {
  LayerText text;
  std::int64_t channels = 1;
  std::int64_t groups = 1;  ///< divides the channels
  double eps = 1e-5;
  std::vector<double> weight = {};  ///< weight and bias: one per channel, or none
  std::vector<double> bias = {};
};

class GroupwiseNormLayer final : public Layer {
 public:
  explicit GroupwiseNormLayer(GroupwiseNorm norm) : norm_(std::move(norm)) {}

  std::string_view type() const override { return norm_.text.type; }
  std::string repr() const override { return norm_.text.repr; }
  std::int64_t parameter_count() const override { return norm_.text.parameters; }
  Shape output_shape(const Shape& input) const override;
  LayerPlan plan(const Shape& input, const RunOptions& options) const override;
  Tensor forward(Tensor input, const RunOptions& options) const override;
  std::unique_ptr<Statistics> statistics(const Shape& input) const override;
  Tensor forward_with(Tensor planes, std::int64_t first_n, const Statistics& statistics,
                      const RunOptions& options) const override;
  Fusion absorb(const Pointwise& function) override;

 private:
  GroupwiseNorm norm_;
  Epilogue absorbed_;
};

}  // namespace convt3d
