#include "convt3d/nn/groupwise_norm.hpp"

#include <cmath>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/centred_affine.hpp"
#include "convt3d/nn/element_type.hpp"
#include "convt3d/nn/moment_statistics.hpp"

namespace convt3d {
Shape GroupwiseNormLayer::output_shape(const Shape& input) const {
  require_volumes(input);
  if (input[1] != norm_.channels) {
    throw Error(ErrorKind::kShape, norm_.text.repr + " normalises " + std::to_string(norm_.channels) +
                                       " channels, but the input has " + std::to_string(input[1]) + " channels");
  }
  if (input[0] > 0 && element_count({norm_.channels / norm_.groups, input[2], input[3], input[4]}) < 2) {
    throw Error(ErrorKind::kShape,
                norm_.text.repr + " needs more than one value to a mean, found input " + to_string(input));
  }
  return input;
}

LayerPlan GroupwiseNormLayer::plan(const Shape& input, const RunOptions&) const {
  const double flops = 5 * static_cast<double>(element_count(input));  // sum and squares, then centre, factor and summand
  LayerPlan plan = in_place_plan(output_shape(input), flops, "two passes", "moments of all planes, then in place");
  plan.reach = pointwise_reach(input);
  plan.ledger = {{"moments of planes", MomentStatistics::bytes(input)}};
  plan.bytes = plan.ledger.front().bytes;
  return plan;
}

Tensor GroupwiseNormLayer::forward(Tensor input, const RunOptions& options) const {
  output_shape(input.shape());
  const std::unique_ptr<const Statistics> statistics = gathered(*this, input, options.threads);
  return forward_with(std::move(input), 0, *statistics, options);
}

std::unique_ptr<Statistics> GroupwiseNormLayer::statistics(const Shape& input) const {
  return std::make_unique<MomentStatistics>(output_shape(input), norm_.groups);
}

Tensor GroupwiseNormLayer::forward_with(Tensor planes, std::int64_t first_n, const Statistics& statistics,
                                        const RunOptions& options) const {
  const auto& moments = dynamic_cast<const MomentStatistics&>(statistics);
  const TensorView volumes = planes.view();
  CentredAffine normalising(volumes.dtype);
  for (std::int64_t n = 0; n < volumes.n; ++n) {
    for (std::int64_t c = 0; c < norm_.channels; ++c) {
      const std::int64_t group = c / (norm_.channels / norm_.groups);
      const double factor = 1 / std::sqrt(moments.variance(first_n + n, group) + norm_.eps);
      const auto at = static_cast<std::size_t>(c);
      normalising.add_channel(moments.mean(first_n + n, group), norm_.weight.empty() ? factor : factor * norm_.weight[at],
                              norm_.bias.empty() ? 0 : norm_.bias[at]);
    }
  }
  Epilogue functions = std::move(normalising).functions();
  for (const Pointwise& function : absorbed_) functions.push_back(repeated(function, volumes.n));
  apply_to_each(functions, volumes, options.threads);
  return planes;
}

Fusion GroupwiseNormLayer::absorb(const Pointwise& function) {
  if (!fits_channels(function, norm_.channels)) return Fusion::kNone;
  absorbed_.push_back(function);
  return Fusion::kEpilogue;
}

}  // namespace convt3d
