#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "convt3d/base/tensor.hpp"
#include "convt3d/nn/layer.hpp"

/// The pointwise activations of torch.nn, with its names, arguments and defaults. make_layer(LeakyReLU{.negative_slope =
/// 0.2}) gives the layer; it works in place, in float32 or float64, and hands NaN on. `inplace` is PyTorch's argument: it
/// shows in repr() and changes no value. Source of the formulas: torch.nn's documentation of each module.
namespace convt3d {

/// max(x, 0)
struct ReLU {
  bool inplace = false;
};

/// x for x > 0, else negative_slope·x
struct LeakyReLU {
  double negative_slope = 0.01;
  bool inplace = false;
};

/// x for x > 0, else weight[c]·x; weight (1), for all channels, or (C).
struct PReLU {
  Tensor weight;
};

/// x for x > 0, else alpha·(exp(x) - 1)
struct ELU {
  double alpha = 1.0;
  bool inplace = false;
};

/// kNone: x·Φ(x), Φ the standard normal distribution function; kTanh: x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
struct GELU {
  enum class Approximate { kNone, kTanh };
  Approximate approximate = Approximate::kNone;
};

/// x/(1 + exp(-x))
struct SiLU {
  bool inplace = false;
};

/// 1/(1 + exp(-x))
struct Sigmoid {};

struct Tanh {};

/// log(1 + exp(beta·x))/beta, and x where beta·x > threshold; beta is not 0.
struct Softplus {
  double beta = 1;
  double threshold = 20;
};

/// x kept within [min_val, max_val]; min_val < max_val.
struct Hardtanh {
  double min_val = -1.0;
  double max_val = 1.0;
  bool inplace = false;
};

/// torch.clamp: x kept within [min, max], of which one may be left out; min <= max.
struct Clamp {
  std::optional<double> min = std::nullopt;
  std::optional<double> max = std::nullopt;
};

/// "none", "tanh"
std::optional<GELU::Approximate> gelu_approximate_from_name(std::string_view name);

/// Each throws Error{kShape} when an argument is not admissible.
std::unique_ptr<Layer> make_layer(const ReLU& relu);
std::unique_ptr<Layer> make_layer(const LeakyReLU& leaky_relu);
std::unique_ptr<Layer> make_layer(PReLU prelu);
std::unique_ptr<Layer> make_layer(const ELU& elu);
std::unique_ptr<Layer> make_layer(const GELU& gelu);
std::unique_ptr<Layer> make_layer(const SiLU& silu);
std::unique_ptr<Layer> make_layer(const Sigmoid& sigmoid);
std::unique_ptr<Layer> make_layer(const Tanh& tanh);
std::unique_ptr<Layer> make_layer(const Softplus& softplus);
std::unique_ptr<Layer> make_layer(const Hardtanh& hardtanh);
std::unique_ptr<Layer> make_layer(const Clamp& clamp);

}  // namespace convt3d
