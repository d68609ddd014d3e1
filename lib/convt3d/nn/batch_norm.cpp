#include "convt3d/nn/batch_norm.hpp"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/pointwise_layer.hpp"
#include "convt3d/nn/python_repr.hpp"

namespace convt3d {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kShape, "BatchNorm3d: " + what); }

/// The elements of a tensor (C,), in double.
std::vector<double> vector_of(const char* name, const Tensor& tensor, std::int64_t channels) {
  if (tensor.shape() != Shape{channels}) {
    refuse(std::string(name) + " has shape " + to_string(tensor.shape()) + "; expected " + to_string(Shape{channels}) +
           ", one value for each channel");
  }
  const Tensor wide = convert(tensor, DType::kFloat64);
  return {wide.values<double>().begin(), wide.values<double>().end()};
}

}  // namespace

std::unique_ptr<Layer> make_layer(const BatchNorm3d& norm) {
  const std::int64_t channels = norm.running_mean.size();
  if (channels < 1) refuse("running_mean is empty; expected one value for each channel");
  if (norm.weight.has_value() != norm.bias.has_value()) refuse("one of weight and bias is missing; expected both or none");
  const std::vector<double> mean = vector_of("running_mean", norm.running_mean, channels);
  const std::vector<double> variance = vector_of("running_var", norm.running_var, channels);
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
    const std::vector<double> weight = vector_of("weight", *norm.weight, channels);
    for (std::size_t c = 0; c < weight.size(); ++c) affine.p[c] *= weight[c];
  }
  const std::vector<double> bias =
      norm.bias ? vector_of("bias", *norm.bias, channels) : std::vector<double>(mean.size(), 0.0);
  for (std::size_t c = 0; c < bias.size(); ++c) affine.q.push_back(bias[c] - mean[c] * affine.p[c]);
  return std::make_unique<PointwiseLayer>(
      LayerText{.type = "batch_norm3d",
                .repr = "BatchNorm3d(" + std::to_string(channels) + ", eps=" + python_repr(norm.eps) +
                        ", momentum=" + (norm.momentum ? python_repr(*norm.momentum) : "None") +
                        ", affine=" + (norm.weight ? "True" : "False") + ", track_running_stats=True)",
                .parameters = norm.weight ? 2 * channels : 0},
      std::move(affine));
}

}  // namespace convt3d
