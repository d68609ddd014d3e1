#include "convt3d/nn/receptive_field.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>

#include "convt3d/base/checked.hpp"
#include "convt3d/nn/conv3d_layer.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"

namespace convt3d {
namespace {

/// Layers whose output voxel depends on one voxel of the input, or on the same one of what they join.
constexpr std::array<std::string_view, 8> kOnEachVoxel = {"pad",     "crop",   "add",   "concat",
                                                          "softmax", "argmax", "clamp", "batch_norm3d"};

using Axis = std::optional<std::int64_t>;

std::optional<Extent3> of_axes(const Axis& d, const Axis& h, const Axis& w) {
  return d && h && w ? std::optional(Extent3(*d, *h, *w)) : std::nullopt;
}

/// d(k-1), and the outputs-1 at this distance from each other.
Axis reach(std::int64_t outputs, std::int64_t step, std::int64_t kernel, std::int64_t dilation) {
  return checked_add(checked_mul(outputs - 1, step), checked_mul(dilation, kernel - 1));
}

Axis transposed(std::int64_t outputs, std::int64_t stride, std::int64_t kernel, std::int64_t dilation) {
  const Axis width = reach(outputs, 1, kernel, dilation);
  return width ? Axis(*width / stride + 1) : width;
}

}  // namespace

std::optional<Extent3> receptive_field(const Layer& layer, const Extent3& outputs) {
  if (const auto* up = dynamic_cast<const ConvTranspose3dLayer*>(&layer)) {
    const auto [k, s, d] =
        std::tie(up->module().options().kernel_size, up->module().options().stride, up->module().options().dilation);
    return of_axes(transposed(outputs.d, s.d, k.d, d.d), transposed(outputs.h, s.h, k.h, d.h),
                   transposed(outputs.w, s.w, k.w, d.w));
  }
  if (const auto* conv = dynamic_cast<const Conv3dLayer*>(&layer)) {
    const auto [k, s, d] =
        std::tie(conv->module().options().kernel_size, conv->module().options().stride, conv->module().options().dilation);
    return of_axes(checked_add(reach(outputs.d, s.d, k.d, d.d), 1), checked_add(reach(outputs.h, s.h, k.h, d.h), 1),
                   checked_add(reach(outputs.w, s.w, k.w, d.w), 1));
  }
  const bool on_each = layer.pointwise() != nullptr ||
                       std::find(kOnEachVoxel.begin(), kOnEachVoxel.end(), layer.type()) != kOnEachVoxel.end();
  return on_each ? std::optional(outputs) : layer.receptive_field(outputs);
}

std::vector<std::optional<Extent3>> receptive_fields(const Sequential& layers) {
  // Behind the last layer one voxel is asked for; going forwards to the input, a join asks two volumes for the same.
  std::vector<std::optional<Extent3>> fields(layers.size() + 1, Extent3(1));
  const auto ask = [&](std::size_t volume, const std::optional<Extent3>& field) {
    std::optional<Extent3>& asked = fields[volume];
    if (!field || !asked) {
      asked.reset();
    } else {
      asked = Extent3(std::max(asked->d, field->d), std::max(asked->h, field->h), std::max(asked->w, field->w));
    }
  };
  for (std::size_t i = layers.size(); i-- > 0;) {
    std::optional<Extent3> field;
    if (const auto& wanted = fields[i + 1]) field = receptive_field(layers[i], *wanted);
    ask(static_cast<std::size_t>(layers.input_of(i) + 1), field);
    if (const auto joined = layers.joined_by(i)) ask(static_cast<std::size_t>(*joined + 1), field);
  }
  return fields;
}

}  // namespace convt3d
