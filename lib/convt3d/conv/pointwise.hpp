#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "convt3d/base/machine.hpp"
#include "convt3d/base/tensor.hpp"

namespace convt3d {

/// A function of one element, y = f(x; p, q), whose parameters may differ from channel to channel. NaN gives NaN. In float32
/// errors are below 2 ulp; every element of a row, its tail too, is computed alike, alone or in an epilogue.
struct Pointwise {
  enum class Function {
    kRelu,       ///< max(x, 0)
    kLeakyRelu,  ///< x for x > 0, else p·x
    kElu,        ///< x for x > 0, else p·(exp(x) - 1)
    kGelu,       ///< x·Φ(x), Φ the standard normal distribution function
    kTanhGelu,   ///< x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
    kSilu,       ///< x/(1 + exp(-x))
    kSigmoid,    ///< 1/(1 + exp(-x))
    kTanh,
    kSoftplus,  ///< log(1 + exp(p·x))/p, and x where p·x > q
    kHardtanh,  ///< x kept within [p, q]; q where p > q
    kExp,
    kAffine,  ///< p·x + q
  };

  Function function = Function::kRelu;
  std::vector<double> p = {0.0};  ///< one value, or one per channel
  std::vector<double> q = {0.0};  ///< likewise

  friend bool operator==(const Pointwise&, const Pointwise&) = default;
};

/// What is done to every output of a layer, in this order, before it leaves the cache.
using Epilogue = std::vector<Pointwise>;

/// Whether the function's parameters are of one value, or of one per channel.
bool fits_channels(const Pointwise& pointwise, std::int64_t channels);

/// Applies the function to every element of (n, c, extent), float32 or float64, in place, with the kernels of `isa`
/// (this machine's best if empty). threads 0: the CPUs this process may use. Throws Error{kShape} where fits_channels is
/// false.
void apply(const Pointwise& pointwise, const TensorView& volumes, int threads = 0, std::optional<Isa> isa = std::nullopt);

/// The same of several functions, one after the other: memory is touched once for all.
void apply_all(const Epilogue& functions, const TensorView& volumes, int threads = 0, std::optional<Isa> isa = std::nullopt);

}  // namespace convt3d
