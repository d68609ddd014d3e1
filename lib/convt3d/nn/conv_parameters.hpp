#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/executor.hpp"
#include "convt3d/conv/plan.hpp"
#include "convt3d/conv/pointwise.hpp"
#include "convt3d/nn/fusion.hpp"

// What the convolution modules share: a weight and a bias that one may write to. Internal: not installed.
namespace convt3d {

/// What a module's weight and bias are.
struct ParameterSpec {
  const char* module;                        ///< for messages: "ConvTranspose3d"
  std::array<std::int64_t, 5> weight_shape;  ///< (in, out/groups, kd, kh, kw), or with `correlates` (out, in/groups, ...)
  std::int64_t out_channels;
  bool bias;
  DType dtype;
  /// The weight is a correlation's: the engine gets its kernels reversed on every axis, in and out changed over within each
  /// group (docs/math.md, "Convolution").
  bool correlates;
};

/// A weight, a bias, and what they were packed to for the last problem. May be used by several threads at once.
class ConvParameters {
 public:
  /// Drawn from U(-bound, bound), the weight before the bias.
  ConvParameters(const ParameterSpec& spec, double bound, std::uint64_t seed);
  /// Throws Error{kShape} unless they are what the spec says.
  ConvParameters(const ParameterSpec& spec, Tensor weight, std::optional<Tensor> bias);

  /// Writable references: from then on it is looked whether the elements changed.
  Tensor& weight();
  std::optional<Tensor>& bias();
  const Tensor& weight() const { return weight_; }
  const std::optional<Tensor>& bias() const { return bias_; }
  std::int64_t count() const { return weight_.size() + (bias_ ? bias_->size() : 0); }

  /// Does `function` to every output too. An affine one that comes first is multiplied out with weight and bias, where that
  /// gives finite numbers; there is a bias then.
  Fusion absorb(const Pointwise& function);

  Plan plan(const Problem& problem, int threads) const;
  /// The packed weights for this problem, from the last time if they still hold.
  std::shared_ptr<const Executor> prepare(const Problem& problem, int threads) const;
  /// What was packed last, if it takes `from` to `to` and still holds; else null. Allocates nothing.
  std::shared_ptr<const Executor> prepared_for(const ConstTensorView& from, const TensorView& to, int threads) const;
  /// Gives back what was packed last, once no run uses it.
  void release() const;

 private:
  /// With the fingerprint of the weights it was packed from.
  struct Packed {
    std::uint64_t print;
    Executor executor;
  };

  void require() const;
  bool multiply_out(const Pointwise& affine);
  std::uint64_t print() const;
  bool holds(int threads) const;

  ParameterSpec spec_;
  Tensor weight_;
  std::optional<Tensor> bias_;
  Epilogue epilogue_;
  bool exposed_ = false;  ///< a writable reference to weight or bias is out: they may change at any time
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Packed> packed_;
};

}  // namespace convt3d
