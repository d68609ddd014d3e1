#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/base/observer.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/options.hpp"
#include "convt3d/conv/plan.hpp"
#include "convt3d/conv/pointwise.hpp"
#include "convt3d/nn/fusion.hpp"
#include "convt3d/nn/plane_run.hpp"

namespace convt3d {

struct ForwardOptions {
  std::vector<std::int64_t> output_size = {};  ///< (d, h, w), or as many as the output's rank; empty: by output_padding
  int threads = 0;                             ///< 0: the CPUs this process may use
  Observer* observer = nullptr;
};

/// torch.nn.ConvTranspose3d on the CPU. Everything invalid throws Error{kShape}. May be used by several threads at once,
/// each with its own output.
class ConvTranspose3d {
 public:
  /// weight (in, out/groups, kd, kh, kw) and bias (out) are drawn from U(-b, b), b = initial_bound(options): PyTorch's
  /// Kaiming-uniform distribution, from a generator of our own that gives the same values everywhere.
  explicit ConvTranspose3d(const ConvTranspose3dOptions& options, std::uint64_t seed = 0);
  /// With these weights; bias is empty exactly when options.bias is false.
  ConvTranspose3d(const ConvTranspose3dOptions& options, Tensor weight, std::optional<Tensor> bias);
  ConvTranspose3d(ConvTranspose3d&&) noexcept;
  ConvTranspose3d& operator=(ConvTranspose3d&&) noexcept;
  ~ConvTranspose3d();

  const ConvTranspose3dOptions& options() const;

  /// Writing to them takes effect at the next run.
  Tensor& weight();
  const Tensor& weight() const;
  std::optional<Tensor>& bias();
  const std::optional<Tensor>& bias() const;

  /// Does `function` to every output too, from now on, where its parameters are one or as many as the output channels. An
  /// affine one that comes first goes into weight and bias (options().bias is true then), others into the epilogue.
  Fusion absorb(const Pointwise& function);

  /// (N, C, D, H, W) to (N, C', D', H', W'), or both without N.
  Tensor forward(const Tensor& input, const ForwardOptions& options = {}) const;

  /// Plans and packs for inputs of this shape; a later run of the same shape allocates nothing.
  void prepare(const Shape& input, const ForwardOptions& options = {});

  /// Gives back the packed weights and the scratch that the last run has left for the next, which packs anew.
  void release() const;

  /// Overwrites `output`, which has the shape that forward would return. Threads and output_size are prepare's, if it was
  /// called for this shape; else the output's shape tells the output_size.
  void forward_into(const Tensor& input, Tensor& output, const ForwardOptions& options = {}) const;

  /// Planes of the output, from at least those planes of the input that plan(run.whole).reach names.
  void forward_planes(const PlaneRun& run, const ForwardOptions& options = {}) const;

  /// How an input of this shape would be run.
  Plan plan(const Shape& input, const ForwardOptions& options = {}) const;

  /// "64, 32, kernel_size=(4, 4, 4), stride=(2, 2, 2), padding=(1, 1, 1)"
  std::string extra_repr() const;

  /// Elements of weight and bias.
  std::int64_t parameter_count() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convt3d
