#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/conv3d_options.hpp"
#include "convt3d/conv/plan.hpp"
#include "convt3d/conv/pointwise.hpp"
#include "convt3d/nn/fusion.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// torch.nn.Conv3d on the CPU. Everything invalid throws Error{kShape}. May be used by several threads at once, each with
/// its own output.
class Conv3d {
 public:
  /// weight (out, in/groups, kd, kh, kw) and bias (out) are drawn from U(-b, b), b = initial_bound(options): PyTorch's
  /// Kaiming-uniform distribution, from a generator of our own that gives the same values everywhere.
  explicit Conv3d(const Conv3dOptions& options, std::uint64_t seed = 0);
  /// With these weights; bias is empty exactly when options.bias is false.
  Conv3d(const Conv3dOptions& options, Tensor weight, std::optional<Tensor> bias);
  Conv3d(Conv3d&&) noexcept;
  Conv3d& operator=(Conv3d&&) noexcept;
  ~Conv3d();

  const Conv3dOptions& options() const;

  /// Writing to them takes effect at the next run.
  Tensor& weight();
  const Tensor& weight() const;
  std::optional<Tensor>& bias();
  const std::optional<Tensor>& bias() const;

  /// As ConvTranspose3d's.
  Fusion absorb(const Pointwise& function);

  /// (N, C, D, H, W) to (N, C', D', H', W'), or both without N.
  Tensor forward(const Tensor& input, const RunOptions& options = {}) const;

  /// Plans and packs for inputs of this shape; a later run of the same shape allocates nothing but, under a padding_mode
  /// other than zeros, the padded input.
  void prepare(const Shape& input, const RunOptions& options = {});

  /// Gives back the packed weights and the scratch that the last run has left for the next, which packs anew.
  void release() const;

  /// Overwrites `output`, which has the shape that forward would return.
  void forward_into(const Tensor& input, Tensor& output, const RunOptions& options = {}) const;

  /// Throws Error{kShape} when an input of this shape cannot be taken.
  Shape output_shape(const Shape& input) const;

  /// Planes of the output, from at least those planes of the input that plan(run.whole).reach names.
  void forward_planes(const PlaneRun& run, const RunOptions& options = {}) const;

  /// How an input of this shape would be run. Under a padding_mode other than zeros the problem's input is the padded one,
  /// which the ledger has.
  Plan plan(const Shape& input, const RunOptions& options = {}) const;

  /// "64, 32, kernel_size=(3, 3, 3), stride=(2, 2, 2), padding=(1, 1, 1)"
  std::string extra_repr() const;

  /// Elements of weight and bias.
  std::int64_t parameter_count() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convt3d
