#include "convt3d/nn/activations.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/conv/parallel.hpp"
#include "convt3d/nn/element_type.hpp"
#include "convt3d/nn/lanes.hpp"
#include "convt3d/nn/python_repr.hpp"

namespace convt3d {
namespace {

// 2^16 elements are 256 or 512 KiB: they stay in a core's L2, and starting a task is nothing against computing them.
constexpr std::int64_t kGrain = std::int64_t{1} << 16;

double element_total(const Shape& shape) { return static_cast<double>(element_count(shape)); }

LayerPlan in_place_plan(const Shape& input) {
  LayerPlan plan;
  plan.input = input;
  plan.output = input;
  plan.flops = element_total(input);
  plan.algorithm = "pointwise";
  plan.reason = "in place";
  plan.in_place = true;
  return plan;
}

// Each activation's row: its config name, what PyTorch prints, and its function of one element. A select of two values that
// are both computed is what compilers vectorise; hence the named values.

std::string_view type_of(const ReLU&) { return "relu"; }
std::string repr_of(const ReLU& relu) { return relu.inplace ? "ReLU(inplace=True)" : "ReLU()"; }
template <typename T>
auto function_of(const ReLU&) {
  return [](T x) { return x < 0 ? T(0) : x; };
}

std::string_view type_of(const LeakyReLU&) { return "leaky_relu"; }
std::string repr_of(const LeakyReLU& leaky) {
  return "LeakyReLU(negative_slope=" + python_repr(leaky.negative_slope) + (leaky.inplace ? ", inplace=True)" : ")");
}
template <typename T>
auto function_of(const LeakyReLU& leaky) {
  return [slope = static_cast<T>(leaky.negative_slope)](T x) {
    const T scaled = slope * x;
    return x > 0 ? x : scaled;
  };
}

std::string_view type_of(const ELU&) { return "elu"; }
std::string repr_of(const ELU& elu) {
  return "ELU(alpha=" + python_repr(elu.alpha) + (elu.inplace ? ", inplace=True)" : ")");
}
template <typename T>
auto function_of(const ELU& elu) {
  return [alpha = static_cast<T>(elu.alpha)](T x) {
    const T bent = alpha * lanes::expm1_of_nonpositive(x > 0 ? T(0) : x);
    return x > 0 ? x : bent;
  };
}

std::string_view type_of(const GELU&) { return "gelu"; }
std::string repr_of(const GELU& gelu) {
  return gelu.approximate == GELU::Approximate::kTanh ? "GELU(approximate='tanh')" : "GELU(approximate='none')";
}
/// (1 + tanh(u))/2 is 1/(1 + exp(-2u)).
struct TanhGelu {
  template <typename T>
  T operator()(T x) const {
    constexpr T kTwiceSqrtTwoOverPi = static_cast<T>(1.5957691216057307);
    return x / (1 + lanes::exp(-kTwiceSqrtTwoOverPi * (x + static_cast<T>(0.044715) * x * x * x)));
  }
};
struct ExactGelu {
  template <typename T>
  T operator()(T x) const {
    return x * lanes::normal_cdf(x);
  }
};

std::string_view type_of(const SiLU&) { return "silu"; }
std::string repr_of(const SiLU& silu) { return silu.inplace ? "SiLU(inplace=True)" : "SiLU()"; }
template <typename T>
auto function_of(const SiLU&) {
  return [](T x) { return x / (1 + lanes::exp(-x)); };
}

std::string_view type_of(const Sigmoid&) { return "sigmoid"; }
std::string repr_of(const Sigmoid&) { return "Sigmoid()"; }
template <typename T>
auto function_of(const Sigmoid&) {
  return [](T x) { return 1 / (1 + lanes::exp(-x)); };
}

std::string_view type_of(const Tanh&) { return "tanh"; }
std::string repr_of(const Tanh&) { return "Tanh()"; }
template <typename T>
auto function_of(const Tanh&) {
  return [](T x) { return lanes::tanh(x); };
}

std::string_view type_of(const Softplus&) { return "softplus"; }
std::string repr_of(const Softplus& softplus) {
  // Its defaults are integers in PyTorch, so whole numbers print as such.
  const auto print = [](double value) {
    const std::string text = python_repr(value);
    return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
  };
  return "Softplus(beta=" + print(softplus.beta) + ", threshold=" + print(softplus.threshold) + ")";
}
/// log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)), which does not overflow.
template <typename T>
auto function_of(const Softplus& softplus) {
  return [beta = static_cast<T>(softplus.beta), threshold = static_cast<T>(softplus.threshold)](T x) {
    const T z = beta * x;
    const T soft = ((z > 0 ? z : T(0)) + lanes::log1p_of_fraction(lanes::exp(-std::fabs(z)))) / beta;
    return z > threshold ? x : soft;
  };
}

std::string_view type_of(const Hardtanh&) { return "hardtanh"; }
std::string repr_of(const Hardtanh& hardtanh) {
  return "Hardtanh(min_val=" + python_repr(hardtanh.min_val) + ", max_val=" + python_repr(hardtanh.max_val) +
         (hardtanh.inplace ? ", inplace=True)" : ")");
}
template <typename T>
auto function_of(const Hardtanh& hardtanh) {
  return [low = static_cast<T>(hardtanh.min_val), high = static_cast<T>(hardtanh.max_val)](T x) {
    const T raised = x < low ? low : x;
    return raised > high ? high : raised;
  };
}

template <typename T, typename Function>
void apply_to(Tensor& tensor, const RunOptions& options, const Function& function) {
  T* const elements = tensor.data<T>();
  parallel_for(options.threads, tensor.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) elements[i] = function(elements[i]);
  });
}

template <typename Activation>
void apply(const Activation& activation, Tensor& tensor, const RunOptions& options) {
  with_element_type(tensor.dtype(), [&]<typename T>(T) { apply_to<T>(tensor, options, function_of<T>(activation)); });
}

void apply(const GELU& gelu, Tensor& tensor, const RunOptions& options) {
  with_element_type(tensor.dtype(), [&]<typename T>(T) {
    if (gelu.approximate == GELU::Approximate::kTanh) {
      apply_to<T>(tensor, options, TanhGelu{});
    } else {
      apply_to<T>(tensor, options, ExactGelu{});
    }
  });
}

template <typename Activation>
class Pointwise final : public Layer {
 public:
  explicit Pointwise(const Activation& activation) : activation_(activation) {}

  std::string_view type() const override { return type_of(activation_); }
  std::string repr() const override { return repr_of(activation_); }
  Shape output_shape(const Shape& input) const override {
    require_volumes(input);
    return input;
  }
  LayerPlan plan(const Shape& input, const RunOptions&) const override { return in_place_plan(output_shape(input)); }
  Tensor forward(Tensor input, const RunOptions& options) const override {
    require_volumes(input.shape());
    apply(activation_, input, options);
    return input;
  }

 private:
  Activation activation_;
};

/// The only one whose function depends on the channel.
class PReLULayer final : public Layer {
 public:
  explicit PReLULayer(PReLU prelu) : weight_(std::move(prelu.weight)) {
    if (weight_.shape().size() == 1 && weight_.size() >= 1) return;
    throw Error(ErrorKind::kShape, "PReLU's weight has shape (1,) or (channels,), found " + to_string(weight_.shape()));
  }

  std::string_view type() const override { return "prelu"; }
  std::string repr() const override { return "PReLU(num_parameters=" + std::to_string(weight_.size()) + ")"; }
  std::int64_t parameter_count() const override { return weight_.size(); }

  Shape output_shape(const Shape& input) const override {
    require_volumes(input);
    if (weight_.size() != 1 && weight_.size() != input[1]) {
      throw Error(ErrorKind::kShape, "PReLU has " + std::to_string(weight_.size()) + " parameters, but the input has " +
                                         std::to_string(input[1]) + " channels; it takes 1 parameter or one per channel");
    }
    return input;
  }

  LayerPlan plan(const Shape& input, const RunOptions&) const override { return in_place_plan(output_shape(input)); }

  Tensor forward(Tensor input, const RunOptions& options) const override {
    output_shape(input.shape());
    with_element_type(input.dtype(), [&]<typename T>(T) { bend<T>(input, options); });
    return input;
  }

 private:
  template <typename T>
  void bend(Tensor& input, const RunOptions& options) const {
    const Tensor weight = convert(weight_, input.dtype());
    const T* const slopes = weight.data<T>();
    T* const elements = input.data<T>();
    const Shape& shape = input.shape();
    const std::int64_t volume = shape[2] * shape[3] * shape[4];
    parallel_for(options.threads, input.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t at = begin; at < end;) {  // one channel's part of [begin, end) after the other
        const std::int64_t channel_end = std::min(end, (at / volume + 1) * volume);
        const T slope = slopes[weight.size() == 1 ? 0 : at / volume % shape[1]];
        for (; at < channel_end; ++at) {
          const T scaled = slope * elements[at];
          elements[at] = elements[at] > 0 ? elements[at] : scaled;
        }
      }
    });
  }

  Tensor weight_;
};

}  // namespace

std::optional<GELU::Approximate> gelu_approximate_from_name(std::string_view name) {
  if (name == "none") return GELU::Approximate::kNone;
  if (name == "tanh") return GELU::Approximate::kTanh;
  return std::nullopt;
}

std::unique_ptr<Layer> make_layer(const ReLU& relu) { return std::make_unique<Pointwise<ReLU>>(relu); }
std::unique_ptr<Layer> make_layer(const LeakyReLU& leaky) { return std::make_unique<Pointwise<LeakyReLU>>(leaky); }
std::unique_ptr<Layer> make_layer(PReLU prelu) { return std::make_unique<PReLULayer>(std::move(prelu)); }
std::unique_ptr<Layer> make_layer(const ELU& elu) { return std::make_unique<Pointwise<ELU>>(elu); }
std::unique_ptr<Layer> make_layer(const GELU& gelu) { return std::make_unique<Pointwise<GELU>>(gelu); }
std::unique_ptr<Layer> make_layer(const SiLU& silu) { return std::make_unique<Pointwise<SiLU>>(silu); }
std::unique_ptr<Layer> make_layer(const Sigmoid& sigmoid) { return std::make_unique<Pointwise<Sigmoid>>(sigmoid); }
std::unique_ptr<Layer> make_layer(const Tanh& tanh) { return std::make_unique<Pointwise<Tanh>>(tanh); }

std::unique_ptr<Layer> make_layer(const Softplus& softplus) {
  if (softplus.beta == 0) throw Error(ErrorKind::kShape, "Softplus divides by beta: it must not be 0");
  return std::make_unique<Pointwise<Softplus>>(softplus);
}

std::unique_ptr<Layer> make_layer(const Hardtanh& hardtanh) {
  if (!(hardtanh.min_val < hardtanh.max_val)) {
    throw Error(ErrorKind::kShape, "Hardtanh needs min_val < max_val, found " + python_repr(hardtanh.min_val) + " and " +
                                       python_repr(hardtanh.max_val));
  }
  return std::make_unique<Pointwise<Hardtanh>>(hardtanh);
}

}  // namespace convt3d
