#include "convt3d/nn/pad.hpp"

#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/conv/parallel.hpp"
#include "convt3d/nn/element_type.hpp"

namespace convt3d {
namespace {

/// In PyTorch's order, which starts at the fastest axis: "(left, right, top, bottom, front, back)".
std::string pytorch_order(const Margins& margins) {
  std::string text = "(";
  for (int axis = 2; axis >= 0; --axis) {
    text += std::to_string(margins.begin[axis]) + ", " + std::to_string(margins.end[axis]) + (axis > 0 ? ", " : ")");
  }
  return text;
}

void require_not_negative(const Margins& margins, const char* what, const char* advice) {
  for (int axis = 0; axis < 3; ++axis) {
    if (margins.begin[axis] >= 0 && margins.end[axis] >= 0) continue;
    throw Error(ErrorKind::kShape, std::string(what) + " must not be negative, found " +
                                       std::to_string(std::min(margins.begin[axis], margins.end[axis])) + " at the " +
                                       kAxisNames[static_cast<std::size_t>(axis)] + "; " + advice);
  }
}

/// Where the voxels of one axis come from: source[o] is an input index, or -1 for a zero. Outputs from first to first +
/// count are the input's own voxels, one after the other.
struct AxisMap {
  std::vector<std::int64_t> source;
  std::int64_t first = 0;
  std::int64_t count = 0;
};

std::int64_t outside_source(PadMode mode, std::int64_t i, std::int64_t extent) {
  switch (mode) {
    case PadMode::kZeros: return -1;
    case PadMode::kReplicate: return i < 0 ? 0 : extent - 1;
    case PadMode::kReflect: return i < 0 ? -i : 2 * (extent - 1) - i;
  }
  return -1;
}

AxisMap pad_map(PadMode mode, std::int64_t begin, std::int64_t extent, std::int64_t output) {
  AxisMap map{std::vector<std::int64_t>(static_cast<std::size_t>(output)), begin, extent};
  for (std::int64_t o = 0; o < output; ++o) {
    const std::int64_t i = o - begin;
    map.source[static_cast<std::size_t>(o)] = i >= 0 && i < extent ? i : outside_source(mode, i, extent);
  }
  return map;
}

AxisMap crop_map(std::int64_t begin, std::int64_t output) {
  AxisMap map{std::vector<std::int64_t>(static_cast<std::size_t>(output)), 0, output};
  for (std::int64_t o = 0; o < output; ++o) map.source[static_cast<std::size_t>(o)] = o + begin;
  return map;
}

template <typename T>
void gather_row(const AxisMap& map, const T* input, T* output) {
  const auto take = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t o = from; o < to; ++o) {
      const std::int64_t i = map.source[static_cast<std::size_t>(o)];
      output[o] = i < 0 ? T(0) : input[i];
    }
  };
  take(0, map.first);
  std::memcpy(output + map.first, input + map.source[static_cast<std::size_t>(map.first)],
              static_cast<std::size_t>(map.count) * sizeof(T));
  take(map.first + map.count, static_cast<std::int64_t>(map.source.size()));
}

/// Output row (n, c, od, oh) from input row (n, c, maps[0][od], maps[1][oh]), or zeros; `from` begins with input plane
/// first_id, `to` with output plane first_od.
template <typename T>
void gather(const ConstTensorView& from, std::int64_t first_id, const TensorView& to, std::int64_t first_od,
            const std::array<AxisMap, 3>& maps, int threads) {
  constexpr std::int64_t kGrainElements = std::int64_t{1} << 16;
  parallel_for(threads, to.n * to.c * to.extent.d * to.extent.h, ceil_div(kGrainElements, to.extent.w),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   const std::int64_t oh = row % to.extent.h;
                   const std::int64_t od = first_od + row / to.extent.h % to.extent.d;
                   const std::int64_t volume = row / to.extent.h / to.extent.d;
                   const std::int64_t ih = maps[1].source[static_cast<std::size_t>(oh)];
                   const std::int64_t id = maps[0].source[static_cast<std::size_t>(od)];
                   T* const target = static_cast<T*>(to.data) + row * to.extent.w;
                   if (id < 0 || ih < 0) {
                     std::fill_n(target, to.extent.w, T(0));
                   } else {
                     const std::int64_t source_row = (volume * from.extent.d + id - first_id) * from.extent.h + ih;
                     gather_row(maps[2], static_cast<const T*>(from.data) + source_row * from.extent.w, target);
                   }
                 }
               });
}

/// What padding and cropping share: the output is a gather of the input's rows.
class GatherLayer : public Layer {
 public:
  LayerPlan plan(const Shape& input, const RunOptions&) const override {
    LayerPlan plan;
    plan.input = input;
    plan.output = output_shape(input);
    plan.algorithm = "copy";
    plan.reason = "moves rows";
    plan.reach = reach(input[2]);
    return plan;
  }

  Tensor forward(Tensor input, const RunOptions& options) const override {
    require_volumes(input.shape());
    return gathered(std::as_const(input).view(), options.threads);
  }

  Tensor gathered(const ConstTensorView& input, int threads) const {
    const Extent3& extent = input.extent;
    const Shape whole = {input.n, input.c, extent.d, extent.h, extent.w};
    Tensor output = Tensor::empty(output_shape(whole), input.dtype);
    gather_planes({whole, input, {0, extent.d}, output.view(), {0, output.shape()[2]}}, threads);
    return output;
  }

  void forward_planes(const PlaneRun& run, const RunOptions& options) const override { gather_planes(run, options.threads); }

  void gather_planes(const PlaneRun& run, int threads) const {
    const Shape output = output_shape(run.whole);
    std::array<AxisMap, 3> maps;
    for (int axis = 0; axis < 3; ++axis) {
      const auto at = static_cast<std::size_t>(axis) + 2;
      maps[at - 2] = axis_map(axis, run.whole[at], output[at]);
    }
    with_element_type(run.input.dtype, [&]<typename T>(T) {
      gather<T>(run.input, run.held.begin, run.output, run.wanted.begin, maps, threads);
    });
  }

  virtual PlaneReach reach(std::int64_t input_planes) const = 0;

 protected:
  virtual AxisMap axis_map(int axis, std::int64_t input, std::int64_t output) const = 0;
};

class PadLayer final : public GatherLayer {
 public:
  explicit PadLayer(const Pad& pad) : pad_(pad) {
    require_not_negative(pad.padding, "padding", "a crop layer takes voxels away");
  }

  std::string_view type() const override { return "pad"; }

  std::string repr() const override {
    const char* const module = pad_.mode == PadMode::kZeros       ? "ZeroPad3d"
                               : pad_.mode == PadMode::kReplicate ? "ReplicationPad3d"
                                                                  : "ReflectionPad3d";
    return module + ("(" + pytorch_order(pad_.padding) + ")");
  }

  Sampling sampling(const Shape&) const override {
    Sampling sampling;
    for (int axis = 0; axis < 3; ++axis) {
      sampling.offset[static_cast<std::size_t>(axis)] = -static_cast<double>(pad_.padding.begin[axis]);
    }
    return sampling;
  }

  Shape output_shape(const Shape& input) const override {
    require_volumes(input);
    Shape output = input;
    for (int axis = 0; axis < 3; ++axis) {
      std::int64_t& extent = output[static_cast<std::size_t>(axis) + 2];
      require_source(axis, extent);
      const auto padded = checked_add(checked_add(extent, pad_.padding.begin[axis]), pad_.padding.end[axis]);
      if (!padded) {
        throw Error(ErrorKind::kShape,
                    std::string(kAxisNames[static_cast<std::size_t>(axis)]) + " passes 2^63 - 1 voxels through padding");
      }
      extent = *padded;
    }
    return output;
  }

  PlaneReach reach(std::int64_t input_planes) const override { return padded_reach(pad_, input_planes); }

 private:
  AxisMap axis_map(int axis, std::int64_t input, std::int64_t output) const override {
    return pad_map(pad_.mode, pad_.padding.begin[axis], input, output);
  }

  void require_source(int axis, std::int64_t extent) const {
    const std::string name = kAxisNames[static_cast<std::size_t>(axis)];
    if (extent < 1) throw Error(ErrorKind::kShape, "the input's " + name + " is 0: there is nothing to pad");
    const std::int64_t widest = std::max(pad_.padding.begin[axis], pad_.padding.end[axis]);
    if (pad_.mode == PadMode::kReflect && widest >= extent) {
      throw Error(ErrorKind::kShape, "reflect padding of " + std::to_string(widest) + " needs an input of at least " +
                                         std::to_string(widest + 1) + " voxels in " + name + ", found " +
                                         std::to_string(extent) + "; mode replicate takes any");
    }
  }

  Pad pad_;
};

class CropLayer final : public GatherLayer {
 public:
  explicit CropLayer(const Crop& crop) : crop_(crop) {
    require_not_negative(crop.padding, "a crop's padding", "a pad layer adds voxels");
  }

  std::string_view type() const override { return "crop"; }
  std::string repr() const override { return "Crop3d(" + pytorch_order(crop_.padding) + ")"; }

  Sampling sampling(const Shape&) const override {
    Sampling sampling;
    for (int axis = 0; axis < 3; ++axis) {
      sampling.offset[static_cast<std::size_t>(axis)] = static_cast<double>(crop_.padding.begin[axis]);
    }
    return sampling;
  }

  Shape output_shape(const Shape& input) const override {
    require_volumes(input);
    Shape output = input;
    for (int axis = 0; axis < 3; ++axis) {
      std::int64_t& extent = output[static_cast<std::size_t>(axis) + 2];
      const std::int64_t begin = crop_.padding.begin[axis];
      const std::int64_t end = crop_.padding.end[axis];
      if (begin >= extent || end >= extent - begin) {
        throw Error(ErrorKind::kShape, "cropping " + std::to_string(begin) + " and " + std::to_string(end) +
                                           " voxels leaves nothing of a " + kAxisNames[static_cast<std::size_t>(axis)] +
                                           " of " + std::to_string(extent));
      }
      extent -= begin + end;
    }
    return output;
  }

  PlaneReach reach(std::int64_t input_planes) const override {
    return {.lowest = crop_.padding.begin.d, .highest = crop_.padding.begin.d, .input = input_planes};
  }

 private:
  AxisMap axis_map(int axis, std::int64_t, std::int64_t output) const override {
    return crop_map(crop_.padding.begin[axis], output);
  }

  Crop crop_;
};

}  // namespace

Tensor padded(const ConstTensorView& input, const Pad& pad, int threads) { return PadLayer(pad).gathered(input, threads); }
Shape padded_shape(const Shape& input, const Pad& pad) { return PadLayer(pad).output_shape(input); }

void pad_planes(const PlaneRun& run, const Pad& pad, int threads) { PadLayer(pad).gather_planes(run, threads); }

PlaneReach padded_reach(const Pad& pad, std::int64_t input_planes) {
  const std::int64_t begin = pad.padding.begin.d;
  return {.lowest = -begin, .highest = -begin, .input = input_planes, .mirrors = pad.mode == PadMode::kReflect};
}

std::unique_ptr<Layer> make_layer(const Pad& pad) { return std::make_unique<PadLayer>(pad); }
std::unique_ptr<Layer> make_layer(const Crop& crop) { return std::make_unique<CropLayer>(crop); }

}  // namespace convt3d
