#include "convt3d/nn/groupwise_norm.hpp"

#include <cmath>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/element_type.hpp"
#include "convt3d/nn/moment_statistics.hpp"

namespace convt3d {
namespace {

/// The functions (x - centre) and p·x + q of each of `channels` channels. With the mean rounded to the type as centre, the
/// difference of numbers near it is exact, and q has what the rounding left: mean and scale alone, p·x + (bias - p·mean),
/// would cancel where the mean is large against the deviation.
class CentredAffine {
 public:
  explicit CentredAffine(DType dtype) : dtype_(dtype) {}

  void add_channel(double mean, double factor, double bias) {
    const double centre = dtype_ == DType::kFloat32 ? static_cast<double>(static_cast<float>(mean)) : mean;
    centred_.q.push_back(-centre);
    affine_.p.push_back(factor);
    affine_.q.push_back(bias - (mean - centre) * factor);
  }

  Epilogue functions() && { return {std::move(centred_), std::move(affine_)}; }

 private:
  DType dtype_;
  Pointwise centred_{.function = Pointwise::Function::kAffine, .p = {1}, .q = {}};
  Pointwise affine_{.function = Pointwise::Function::kAffine, .p = {}, .q = {}};
};

/// Of one volume's channels, for those of `volumes` side by side.
Pointwise repeated(Pointwise function, std::int64_t volumes) {
  for (std::vector<double>* values : {&function.p, &function.q}) {
    if (values->size() == 1) continue;
    const std::vector<double> once = *values;
    for (std::int64_t n = 1; n < volumes; ++n) values->insert(values->end(), once.begin(), once.end());
  }
  return function;
}

}  // namespace

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
  LayerPlan plan;
  plan.input = input;
  plan.output = output_shape(input);
  plan.flops = 5 * static_cast<double>(element_count(input));  // sum and squares, then centre, factor and summand
  plan.algorithm = "two passes";
  plan.reason = "moments of all planes, then in place";
  plan.reach = pointwise_reach(input);
  plan.in_place = true;
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
  // A channel of each volume has functions of its own: as if all were of one volume.
  apply_all(functions, {volumes.data, volumes.dtype, 1, volumes.n * volumes.c, volumes.extent}, options.threads);
  return planes;
}

Fusion GroupwiseNormLayer::absorb(const Pointwise& function) {
  if (!fits_channels(function, norm_.channels)) return Fusion::kNone;
  absorbed_.push_back(function);
  return Fusion::kEpilogue;
}

}  // namespace convt3d
