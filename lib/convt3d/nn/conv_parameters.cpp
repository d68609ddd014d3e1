#include "convt3d/nn/conv_parameters.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/base/buffer.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/base/machine.hpp"
#include "convt3d/conv/separable_factors.hpp"
#include "convt3d/nn/element_type.hpp"
#include "convt3d/nn/random.hpp"

namespace convt3d {
namespace {

[[noreturn]] void refuse(const char* module, const std::string& what) {
  throw Error(ErrorKind::kShape, std::string(module) + ": " + what);
}

/// U(-bound, bound), rounded to the tensor's dtype.
Tensor uniform(Shape shape, DType dtype, double bound, SplitMix64& random) {
  Tensor tensor = Tensor::empty(std::move(shape), dtype);
  with_element_type(dtype, [&]<typename T>(T) {
    for (T& value : tensor.values<T>()) value = static_cast<T>(bound * random.next_signed_unit());
  });
  return tensor;
}

void require_parameter(const char* module, const char* name, const Tensor& tensor, std::span<const std::int64_t> shape,
                       DType dtype) {
  if (!std::ranges::equal(tensor.shape(), shape)) {
    refuse(module, std::string(name) + " has shape " + to_string(tensor.shape()) + "; expected " +
                       to_string(Shape(shape.begin(), shape.end())));
  }
  if (tensor.dtype() != dtype) {
    refuse(module, std::string(name) + " is " + std::string(name_of(tensor.dtype())) + "; expected the layer's dtype, " +
                       std::string(name_of(dtype)));
  }
}

/// A fingerprint of the elements: what was packed from them is stale when it differs. Four independent chains, since one
/// multiplication per word is the cost.
std::uint64_t fingerprint(const Tensor& tensor) {
  constexpr std::uint64_t kPrime = 0x9fb21c651e98df25u;
  std::array<std::uint64_t, 4> chain = {1, 2, 3, 4};
  const auto* bytes = static_cast<const unsigned char*>(tensor.raw());
  const auto size = static_cast<std::size_t>(tensor.size_bytes());
  std::size_t at = 0;
  for (; at + 32 <= size; at += 32) {
    std::array<std::uint64_t, 4> words{};
    std::memcpy(words.data(), bytes + at, 32);
    for (std::size_t i = 0; i < 4; ++i) chain[i] = std::rotl(chain[i] ^ words[i], 29) * kPrime;
  }
  for (; at < size; ++at) chain[0] = std::rotl(chain[0] ^ bytes[at], 29) * kPrime;
  return chain[0] ^ std::rotl(chain[1], 13) ^ std::rotl(chain[2], 27) ^ std::rotl(chain[3], 41);
}

/// (out, in/groups, taps) to (in, out/groups, taps reversed): reversing all of a kernel's taps reverses it on every axis.
Tensor turned(const Tensor& weight, const Problem& problem) {
  const std::int64_t ins = problem.ci / problem.groups;
  const std::int64_t outs = problem.co / problem.groups;
  const std::int64_t taps = problem.kernel.d * problem.kernel.h * problem.kernel.w;
  Tensor result = Tensor::empty({problem.ci, outs, problem.kernel.d, problem.kernel.h, problem.kernel.w}, weight.dtype());
  with_element_type(weight.dtype(), [&]<typename T>(T) {
    const T* const from = weight.data<T>();
    T* const to = result.data<T>();
    for (std::int64_t co = 0; co < problem.co; ++co) {
      for (std::int64_t ci = 0; ci < ins; ++ci) {
        const T* const source = from + (co * ins + ci) * taps;
        std::reverse_copy(source, source + taps, to + ((co / outs * ins + ci) * outs + co % outs) * taps);
      }
    }
  });
  return result;
}

}  // namespace

ConvParameters::ConvParameters(const ParameterSpec& spec, double bound, std::uint64_t seed) : spec_(spec) {
  SplitMix64 random(seed);
  weight_ = uniform(Shape(spec.weight_shape.begin(), spec.weight_shape.end()), spec.dtype, bound, random);
  if (spec.bias) bias_ = uniform({spec.out_channels}, spec.dtype, bound, random);
}

ConvParameters::ConvParameters(const ParameterSpec& spec, Tensor weight, std::optional<Tensor> bias)
    : spec_(spec), weight_(std::move(weight)), bias_(std::move(bias)) {
  require();
}

Tensor& ConvParameters::weight() {
  exposed_ = true;
  return weight_;
}

std::optional<Tensor>& ConvParameters::bias() {
  exposed_ = true;
  return bias_;
}

Fusion ConvParameters::absorb(const Pointwise& function) {
  if (!fits_channels(function, spec_.out_channels)) return Fusion::kNone;
  packed_.reset();
  if (function.function == Pointwise::Function::kAffine && epilogue_.empty() && multiply_out(function)) {
    return Fusion::kWeights;
  }
  epilogue_.push_back(function);
  return Fusion::kEpilogue;
}

/// p·(Σ w·x + b) + q = Σ (p·w)·x + (p·b + q). False, and nothing changed, where a product is too large for the dtype.
bool ConvParameters::multiply_out(const Pointwise& affine) {
  const auto at = [](const std::vector<double>& values, std::int64_t channel) {
    return values[values.size() == 1 ? 0 : static_cast<std::size_t>(channel)];
  };
  // A transposed weight is (in, out/groups, taps), a correlation's (out, in/groups, taps).
  const auto& shape = spec_.weight_shape;
  const std::int64_t taps = shape[2] * shape[3] * shape[4];
  const std::int64_t ins_of_group = shape[0] * shape[1] / spec_.out_channels;
  const auto channel_of = [&](std::int64_t kernel) {
    return spec_.correlates ? kernel / shape[1] : kernel / shape[1] / ins_of_group * shape[1] + kernel % shape[1];
  };
  Tensor weight = Tensor::empty(weight_.shape(), spec_.dtype);
  Tensor bias = Tensor::empty({spec_.out_channels}, spec_.dtype);
  bool finite = true;
  with_element_type(spec_.dtype, [&]<typename T>(T) {
    const auto rounded = [&](double value) {
      const T result = static_cast<T>(value);
      finite = finite && std::isfinite(result);
      return result;
    };
    const T* from = std::as_const(weight_).data<T>();
    T* to = weight.data<T>();
    for (std::int64_t kernel = 0; kernel < shape[0] * shape[1]; ++kernel) {
      const double factor = at(affine.p, channel_of(kernel));
      for (std::int64_t tap = 0; tap < taps; ++tap) *to++ = rounded(factor * static_cast<double>(*from++));
    }
    T* const sums = bias.data<T>();
    for (std::int64_t c = 0; c < bias.size(); ++c) {
      const double before = bias_ ? static_cast<double>(std::as_const(*bias_).data<T>()[c]) : 0;
      sums[c] = rounded(at(affine.p, c) * before + at(affine.q, c));
    }
  });
  if (!finite) return false;
  weight_ = std::move(weight);
  bias_ = std::move(bias);
  spec_.bias = true;
  return true;
}

Plan ConvParameters::plan(const Problem& problem, int threads) const {
  static const Machine machine = Machine::detect();
  require();
  const bool separable = is_separable(problem, weight_.raw());
  const int functions = static_cast<int>(epilogue_.size());
  Plan plan = make_plan(problem, machine,
                        {.threads = threads, .force_algorithm = {}, .epilogue = functions, .separable = separable});
  if (spec_.correlates)
    plan.ledger.push_back({"kernels turned about, while they are packed", Buffer::taken(weight_.size_bytes())});
  return plan;
}

std::shared_ptr<const Executor> ConvParameters::prepare(const Problem& problem, int threads) const {
  require();
  const std::lock_guard lock(mutex_);
  if (!packed_ || packed_->executor.plan().problem != problem || !holds(threads)) {
    packed_.reset();  // first give back, then take: the peak is one copy of the weights, not two
    const void* bias = bias_ ? std::as_const(*bias_).raw() : nullptr;
    const Tensor engine_weight = spec_.correlates ? turned(weight_, problem) : Tensor();
    const void* weight = spec_.correlates ? engine_weight.raw() : std::as_const(weight_).raw();
    packed_ = std::make_shared<const Packed>(Packed{print(), Executor(plan(problem, threads), weight, bias, epilogue_)});
  }
  return {packed_, &packed_->executor};
}

std::shared_ptr<const Executor> ConvParameters::prepared_for(const ConstTensorView& from, const TensorView& to,
                                                             int threads) const {
  require();
  const std::lock_guard lock(mutex_);
  if (!packed_ || !holds(threads)) return nullptr;
  const Problem& p = packed_->executor.plan().problem;
  const bool takes = from.dtype == p.dtype && from.n == p.n && from.c == p.ci && from.extent == p.input;
  const bool gives = to.dtype == p.dtype && to.n == p.n && to.c == p.co && to.extent == p.output;
  if (!takes || !gives) return nullptr;
  return {packed_, &packed_->executor};
}

void ConvParameters::release() const {
  const std::lock_guard lock(mutex_);
  packed_.reset();
}

void ConvParameters::require() const {
  require_parameter(spec_.module, "weight", weight_, spec_.weight_shape, spec_.dtype);
  if (bias_.has_value() != spec_.bias) {
    refuse(spec_.module,
           spec_.bias ? "bias is missing; expected a tensor of " + std::to_string(spec_.out_channels) + ", or bias=false"
                      : "a bias is given to a layer with bias=false");
  }
  if (bias_) require_parameter(spec_.module, "bias", *bias_, std::array{spec_.out_channels}, spec_.dtype);
}

std::uint64_t ConvParameters::print() const {
  if (!exposed_) return 0;
  return fingerprint(weight_) ^ (bias_ ? std::rotl(fingerprint(*bias_), 1) : 0);
}

bool ConvParameters::holds(int threads) const {
  return (threads <= 0 || packed_->executor.plan().threads == threads) && packed_->print == print();
}

}  // namespace convt3d
