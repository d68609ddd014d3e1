#include "convt3d/nn/activations.hpp"

#include <limits>
#include <string>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/pointwise_layer.hpp"
#include "convt3d/nn/python_repr.hpp"

namespace convt3d {
namespace {

using Function = Pointwise::Function;

std::unique_ptr<Layer> layer_of(std::string_view type, std::string repr, Pointwise function) {
  return std::make_unique<PointwiseLayer>(LayerText{.type = type, .repr = std::move(repr)}, std::move(function));
}

std::string inplace_repr(bool inplace) { return inplace ? "inplace=True" : ""; }
std::string further_inplace_repr(bool inplace) { return inplace ? ", inplace=True" : ""; }

/// One of Softplus's numbers: its defaults are integers in PyTorch, so whole numbers print as such.
std::string integer_like_repr(double value) {
  const std::string text = python_repr(value);
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

}  // namespace

std::optional<GELU::Approximate> gelu_approximate_from_name(std::string_view name) {
  if (name == "none") return GELU::Approximate::kNone;
  if (name == "tanh") return GELU::Approximate::kTanh;
  return std::nullopt;
}

std::unique_ptr<Layer> make_layer(const ReLU& relu) {
  return layer_of("relu", "ReLU(" + inplace_repr(relu.inplace) + ")", {.function = Function::kRelu});
}

std::unique_ptr<Layer> make_layer(const LeakyReLU& leaky) {
  return layer_of(
      "leaky_relu",
      "LeakyReLU(negative_slope=" + python_repr(leaky.negative_slope) + further_inplace_repr(leaky.inplace) + ")",
      {.function = Function::kLeakyRelu, .p = {leaky.negative_slope}});
}

std::unique_ptr<Layer> make_layer(PReLU prelu) {
  const Tensor& weight = prelu.weight;
  if (weight.shape().size() != 1 || weight.size() < 1) {
    throw Error(ErrorKind::kShape, "PReLU's weight has shape (1,) or (channels,), found " + to_string(weight.shape()));
  }
  const Tensor slopes = convert(weight, DType::kFloat64);
  return std::make_unique<PointwiseLayer>(
      LayerText{.type = "prelu",
                .repr = "PReLU(num_parameters=" + std::to_string(slopes.size()) + ")",
                .parameters = slopes.size()},
      Pointwise{.function = Function::kLeakyRelu, .p = {slopes.values<double>().begin(), slopes.values<double>().end()}});
}

std::unique_ptr<Layer> make_layer(const ELU& elu) {
  return layer_of("elu", "ELU(alpha=" + python_repr(elu.alpha) + further_inplace_repr(elu.inplace) + ")",
                  {.function = Function::kElu, .p = {elu.alpha}});
}

std::unique_ptr<Layer> make_layer(const GELU& gelu) {
  const bool by_tanh = gelu.approximate == GELU::Approximate::kTanh;
  return layer_of("gelu", by_tanh ? "GELU(approximate='tanh')" : "GELU(approximate='none')",
                  {.function = by_tanh ? Function::kTanhGelu : Function::kGelu});
}

std::unique_ptr<Layer> make_layer(const SiLU& silu) {
  return layer_of("silu", "SiLU(" + inplace_repr(silu.inplace) + ")", {.function = Function::kSilu});
}

std::unique_ptr<Layer> make_layer(const Sigmoid&) {
  return layer_of("sigmoid", "Sigmoid()", {.function = Function::kSigmoid});
}

std::unique_ptr<Layer> make_layer(const Tanh&) { return layer_of("tanh", "Tanh()", {.function = Function::kTanh}); }

std::unique_ptr<Layer> make_layer(const Softplus& softplus) {
  if (softplus.beta == 0) throw Error(ErrorKind::kShape, "Softplus divides by beta: it must not be 0");
  return layer_of(
      "softplus",
      "Softplus(beta=" + integer_like_repr(softplus.beta) + ", threshold=" + integer_like_repr(softplus.threshold) + ")",
      {.function = Function::kSoftplus, .p = {softplus.beta}, .q = {softplus.threshold}});
}

std::unique_ptr<Layer> make_layer(const Hardtanh& hardtanh) {
  if (!(hardtanh.min_val < hardtanh.max_val)) {
    throw Error(ErrorKind::kShape, "Hardtanh needs min_val < max_val, found " + python_repr(hardtanh.min_val) + " and " +
                                       python_repr(hardtanh.max_val));
  }
  return layer_of("hardtanh",
                  "Hardtanh(min_val=" + python_repr(hardtanh.min_val) + ", max_val=" + python_repr(hardtanh.max_val) +
                      further_inplace_repr(hardtanh.inplace) + ")",
                  {.function = Function::kHardtanh, .p = {hardtanh.min_val}, .q = {hardtanh.max_val}});
}

std::unique_ptr<Layer> make_layer(const Clamp& clamp) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (!clamp.min && !clamp.max) throw Error(ErrorKind::kShape, "clamp needs min, max or both");
  const double min = clamp.min.value_or(-kInfinity);
  const double max = clamp.max.value_or(kInfinity);
  if (!(min <= max)) {
    throw Error(ErrorKind::kShape, "clamp needs min <= max, found " + python_repr(min) + " and " + python_repr(max));
  }
  const std::string lower = clamp.min ? "min=" + python_repr(min) : "";
  const std::string upper = clamp.max ? "max=" + python_repr(max) : "";
  return layer_of("clamp", "Clamp(" + lower + (clamp.min && clamp.max ? ", " : "") + upper + ")",
                  {.function = Function::kHardtanh, .p = {min}, .q = {max}});
}

}  // namespace convt3d
