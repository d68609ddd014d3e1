#include "convt3d/nn/pixel_shuffle.hpp"

#include <string>
#include <utility>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/conv/parallel.hpp"
#include "convt3d/nn/element_type.hpp"

namespace convt3d {
namespace {

/// Rows `stride` apart, interleaved: target[x·Factor + k] = source[k·stride + x]; Factor 0: as `factor` says.
template <int Factor, typename T>
void interleave(const T* source, std::int64_t stride, std::int64_t factor, std::int64_t count, T* target) {
  const std::int64_t step = Factor == 0 ? factor : Factor;
  for (std::int64_t x = 0; x < count; ++x) {
    for (std::int64_t k = 0; k < step; ++k) target[x * step + k] = source[k * stride + x];
  }
}

template <typename T>
void interleave(const T* source, std::int64_t stride, std::int64_t factor, std::int64_t count, T* target) {
  switch (factor) {
    case 1: return interleave<1>(source, stride, factor, count, target);
    case 2: return interleave<2>(source, stride, factor, count, target);
    case 3: return interleave<3>(source, stride, factor, count, target);
    case 4: return interleave<4>(source, stride, factor, count, target);
    default: return interleave<0>(source, stride, factor, count, target);
  }
}

class PixelShuffle3dLayer final : public Layer {
 public:
  explicit PixelShuffle3dLayer(const Extent3& factor) : factor_(factor) {
    const auto voxels = checked_mul(checked_mul(factor.d, factor.h), factor.w);
    if (factor.d < 1 || factor.h < 1 || factor.w < 1 || !voxels) {
      throw Error(ErrorKind::kShape, "upscale_factor is " + to_string(factor) +
                                         "; expected at least 1 on every axis, and blocks of at most 2^63 - 1 voxels");
    }
    voxels_ = *voxels;
  }

  std::string_view type() const override { return "pixel_shuffle3d"; }
  std::string repr() const override {
    const bool cube = factor_.d == factor_.h && factor_.h == factor_.w;
    return "PixelShuffle3d(upscale_factor=" + (cube ? std::to_string(factor_.d) : to_string(factor_)) + ")";
  }

  Shape output_shape(const Shape& input) const override {
    require_volumes(input);
    if (input[1] % voxels_ != 0) {
      throw Error(ErrorKind::kShape, "channels are shuffled into blocks of " + std::to_string(voxels_) +
                                         " voxels, but the input has " + std::to_string(input[1]) + " channels");
    }
    Shape output = {input[0], input[1] / voxels_, 0, 0, 0};
    for (int axis = 0; axis < 3; ++axis) {
      const auto at = static_cast<std::size_t>(axis) + 2;
      const auto extent = checked_mul(input[at], factor_[axis]);
      if (!extent) throw Error(ErrorKind::kShape, "the output passes 2^63 - 1 voxels on an axis");
      output[at] = *extent;
    }
    return output;
  }

  Sampling sampling(const Shape&) const override {
    return sampling_of(ConvTranspose3dOptions{.kernel_size = factor_, .stride = factor_});
  }

  std::optional<Extent3> receptive_field(const Extent3& outputs) const override {
    Extent3 field;
    for (int axis = 0; axis < 3; ++axis) {
      const std::int64_t factor = factor_[axis];
      const auto reach = checked_add(outputs[axis] - 1, factor - 1);  // over a border of blocks at every chance
      if (!reach) return std::nullopt;
      field[axis] = *reach / factor + 1;
    }
    return field;
  }

  LayerPlan plan(const Shape& input, const RunOptions&) const override {
    LayerPlan plan;
    plan.input = input;
    plan.output = output_shape(input);
    plan.algorithm = "copy";
    plan.reason = "interleaves rows";
    plan.reach = PlaneReach{.run = factor_.d, .input = input[2]};
    return plan;
  }

  Tensor forward(Tensor input, const RunOptions& options) const override {
    Tensor output = Tensor::empty(output_shape(input.shape()), input.dtype());
    const TensorView to = output.view();
    forward_planes({input.shape(), std::as_const(input).view(), {0, input.shape()[2]}, to, {0, to.extent.d}}, options);
    return output;
  }

  void forward_planes(const PlaneRun& run, const RunOptions& options) const override {
    with_element_type(run.input.dtype, [&]<typename T>(T) { shuffle<T>(run, options.threads); });
  }

 private:
  /// Output row (volume, od, oh) from rows (volume·voxels + phase, id, ih), phase = (i·rh + j)·rw + k, k = 0 … rw-1.
  template <typename T>
  void shuffle(const PlaneRun& run, int threads) const {
    const ConstTensorView& from = run.input;
    const TensorView& to = run.output;
    const std::int64_t channel = from.extent.d * from.extent.h * from.extent.w;
    constexpr std::int64_t kGrainElements = std::int64_t{1} << 16;
    parallel_for(
        threads, to.n * to.c * to.extent.d * to.extent.h, ceil_div(kGrainElements, std::max<std::int64_t>(to.extent.w, 1)),
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t oh = row % to.extent.h;
            const std::int64_t od = run.wanted.begin + row / to.extent.h % to.extent.d;
            const std::int64_t volume = row / to.extent.h / to.extent.d;
            const std::int64_t phase = (od % factor_.d * factor_.h + oh % factor_.h) * factor_.w;
            const std::int64_t line = (od / factor_.d - run.held.begin) * from.extent.h + oh / factor_.h;
            interleave(static_cast<const T*>(from.data) + (volume * voxels_ + phase) * channel + line * from.extent.w,
                       channel, factor_.w, from.extent.w, static_cast<T*>(to.data) + row * to.extent.w);
          }
        });
  }

  Extent3 factor_;
  std::int64_t voxels_ = 1;  ///< of a block
};

}  // namespace

std::unique_ptr<Layer> make_layer(const PixelShuffle3d& shuffle) {
  return std::make_unique<PixelShuffle3dLayer>(shuffle.upscale_factor);
}

}  // namespace convt3d
