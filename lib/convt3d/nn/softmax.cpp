#include "convt3d/nn/softmax.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/conv/parallel.hpp"
#include "convt3d/conv/pointwise.hpp"
#include "convt3d/nn/element_type.hpp"

namespace convt3d {
namespace {

// Voxels that a task takes at a time: with 8 channels 32 or 64 KiB, which stay in a core's first caches from one sweep over
// the channels to the next.
constexpr std::int64_t kVoxels = std::int64_t{1} << 10;

/// Calls body(n, first, count) for runs of neighbouring voxels of each volume.
template <typename Body>
void for_runs(const Extent3& extent, std::int64_t volumes, int threads, const Body& body) {
  const std::int64_t voxels = extent.d * extent.h * extent.w;
  const std::int64_t runs = ceil_div(voxels, kVoxels);
  constexpr std::int64_t kGrain = 8;
  parallel_for(threads, volumes * runs, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t run = begin; run < end; ++run) {
      const std::int64_t first = run % runs * kVoxels;
      body(run / runs, first, std::min(kVoxels, voxels - first));
    }
  });
}

void require_channels(const Shape& input, const char* what) {
  require_volumes(input);
  if (input[1] < 1) throw Error(ErrorKind::kShape, std::string(what) + " is over channels, but the input has none");
}

/// Of `count` voxels whose channels lie `stride` apart. exp(x - max) cannot overflow, and one of them is 1.
template <typename T>
void softmax_run(T* values, std::int64_t channels, std::int64_t stride, std::int64_t count, std::vector<T>& scratch) {
  scratch.resize(static_cast<std::size_t>((channels + 1) * count));
  T* const most = scratch.data();
  T* const powers = most + count;
  std::copy_n(values, count, most);
  for (std::int64_t c = 1; c < channels; ++c) {
    const T* const x = values + c * stride;
    for (std::int64_t i = 0; i < count; ++i) most[i] = most[i] < x[i] ? x[i] : most[i];
  }
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t i = 0; i < count; ++i) powers[c * count + i] = values[c * stride + i] - most[i];
  }
  apply({.function = Pointwise::Function::kExp}, {powers, dtype_of<T>(), 1, 1, {1, channels, count}}, 1);
  T* const scale = most;
  std::fill_n(scale, count, T(0));
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t i = 0; i < count; ++i) scale[i] += powers[c * count + i];
  }
  for (std::int64_t i = 0; i < count; ++i) scale[i] = 1 / scale[i];
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t i = 0; i < count; ++i) values[c * stride + i] = powers[c * count + i] * scale[i];
  }
}

template <typename T>
void argmax_run(const T* values, std::int64_t channels, std::int64_t stride, std::int64_t count, T* output,
                std::vector<T>& scratch) {
  scratch.assign(values, values + count);
  T* const most = scratch.data();
  std::fill_n(output, count, T(0));
  for (std::int64_t c = 1; c < channels; ++c) {
    const T* const x = values + c * stride;
    const auto index = static_cast<T>(c);
    for (std::int64_t i = 0; i < count; ++i) {
      const bool larger = (x[i] > most[i]) | ((x[i] != x[i]) & (most[i] == most[i]));  // without branches: in lanes
      output[i] = larger ? index : output[i];
      most[i] = larger ? x[i] : most[i];
    }
  }
}

class SoftmaxLayer final : public Layer {
 public:
  std::string_view type() const override { return "softmax"; }
  std::string repr() const override { return "Softmax(dim=1)"; }

  Shape output_shape(const Shape& input) const override {
    require_channels(input, "softmax");
    return input;
  }

  LayerPlan plan(const Shape& input, const RunOptions&) const override {
    const double flops = 5 * static_cast<double>(element_count(input));  // compare, subtract, exp, add, multiply
    LayerPlan plan = in_place_plan(output_shape(input), flops, "over channels", "in place");
    plan.reach = pointwise_reach(input);
    return plan;
  }

  Tensor forward(Tensor input, const RunOptions& options) const override {
    output_shape(input.shape());
    const TensorView volumes = input.view();
    const std::int64_t voxels = volumes.extent.d * volumes.extent.h * volumes.extent.w;
    with_element_type(input.dtype(), [&]<typename T>(T) {
      for_runs(volumes.extent, volumes.n, options.threads, [&](std::int64_t n, std::int64_t first, std::int64_t count) {
        thread_local std::vector<T> scratch;
        T* const values = static_cast<T*>(volumes.data) + n * volumes.c * voxels + first;
        softmax_run(values, volumes.c, voxels, count, scratch);
      });
    });
    return input;
  }
};

class ArgmaxLayer final : public Layer {
 public:
  std::string_view type() const override { return "argmax"; }
  std::string repr() const override { return "Argmax(dim=1, keepdim=True)"; }

  Shape output_shape(const Shape& input) const override {
    require_channels(input, "argmax");
    return {input[0], 1, input[2], input[3], input[4]};
  }

  LayerPlan plan(const Shape& input, const RunOptions&) const override {
    LayerPlan plan;
    plan.input = input;
    plan.output = output_shape(input);
    plan.flops = static_cast<double>(element_count(input));
    plan.reach = pointwise_reach(input);
    plan.algorithm = "over channels";
    plan.reason = "compares";
    return plan;
  }

  Tensor forward(Tensor input, const RunOptions& options) const override {
    Tensor output = Tensor::empty(output_shape(input.shape()), input.dtype());
    const Extent3 extent(input.shape()[2], input.shape()[3], input.shape()[4]);
    const std::int64_t voxels = extent.d * extent.h * extent.w;
    const std::int64_t channels = input.shape()[1];
    with_element_type(input.dtype(), [&]<typename T>(T) {
      const T* const from = std::as_const(input).data<T>();
      T* const to = output.data<T>();
      for_runs(extent, input.shape()[0], options.threads, [&](std::int64_t n, std::int64_t first, std::int64_t count) {
        thread_local std::vector<T> scratch;
        argmax_run(from + n * channels * voxels + first, channels, voxels, count, to + n * voxels + first, scratch);
      });
    });
    return output;
  }
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Softmax&) { return std::make_unique<SoftmaxLayer>(); }
std::unique_ptr<Layer> make_layer(const Argmax&) { return std::make_unique<ArgmaxLayer>(); }

}  // namespace convt3d
