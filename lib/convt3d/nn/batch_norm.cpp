#include "convt3d/nn/batch_norm.hpp"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/channel_values.hpp"
#include "convt3d/nn/pointwise_layer.hpp"
#include "convt3d/nn/python_repr.hpp"

namespace convt3d {

Pointwise affine_of(const BatchNorm3d& norm, std::string_view module) {
  const auto refuse = [&](const std::string& what) { throw Error(ErrorKind::kShape, std::string(module) + ": " + what); };
  const std::int64_t channels = norm.running_mean.size();
  if (channels < 1) refuse("running_mean is empty; expected one value for each channel");
  if (norm.weight.has_value() != norm.bias.has_value()) refuse("one of weight and bias is missing; expected both or none");
  const std::vector<double> mean = channel_values(module, "running_mean", norm.running_mean, channels);
  const std::vector<double> variance = channel_values(module, "running_var", norm.running_var, channels);
  Pointwise affine{.function = Pointwise::Function::kAffine, .p = {}, .q = {}};
  for (std::size_t c = 0; c < mean.size(); ++c) {
    const double factor = 1 / std::sqrt(variance[c] + norm.eps);
    if (!std::isfinite(factor)) {
      refuse("running_var is " + python_repr(variance[c]) + " for channel " + std::to_string(c) + ", with eps " +
             python_repr(norm.eps) + "; expected a sum above 0");
    }
    affine.p.push_back(factor);
  }
  if (norm.weight) {
    const std::vector<double> weight = channel_values(module, "weight", *norm.weight, channels);
    for (std::size_t c = 0; c < weight.size(); ++c) affine.p[c] *= weight[c];
  }
  const std::vector<double> bias =
      norm.bias ? channel_values(module, "bias", *norm.bias, channels) : std::vector<double>(mean.size(), 0.0);
  for (std::size_t c = 0; c < bias.size(); ++c) affine.q.push_back(bias[c] - mean[c] * affine.p[c]);
  return affine;
}

std::unique_ptr<Layer> make_layer(const BatchNorm3d& norm) {
  Pointwise affine = affine_of(norm);
  const auto channels = static_cast<std::int64_t>(affine.p.size());
  return std::make_unique<PointwiseLayer>(
      LayerText{.type = "batch_norm3d",
                .repr = "BatchNorm3d(" + std::to_string(channels) + ", eps=" + python_repr(norm.eps) +
                        ", momentum=" + (norm.momentum ? python_repr(*norm.momentum) : "None") +
                        ", affine=" + (norm.weight ? "True" : "False") + ", track_running_stats=True)",
                .parameters = norm.weight ? 2 * channels : 0},
      std::move(affine));
}

}  // namespace convt3d
