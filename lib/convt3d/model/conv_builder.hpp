#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "convt3d/base/extent.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/model/layer_table.hpp"
#include "convt3d/model/weight_source.hpp"

// What building both convolutions from a config has in common.
namespace convt3d {

/// What the config says of a layer before anything is inferred.
struct ConvSaid {
  std::optional<std::int64_t> in_channels;
  std::optional<std::int64_t> out_channels;
  std::optional<std::int64_t> groups;
  std::optional<Extent3> kernel_size;
  std::optional<bool> bias;
  std::optional<DType> stored_dtype;  ///< float16, bfloat16 or an integer: what the weight files hold
  std::optional<WeightSource> weight_source;
  std::optional<WeightSource> bias_source;
};

/// A module's parameters: a weight, and a bias where it has one.
using ConvTensors = std::pair<Tensor, std::optional<Tensor>>;

/// The layer's sizes, and how its module draws its parameters from a seed. The weight is (in, out/groups, kd, kh, kw) or,
/// with `oidhw`, (out, in/groups, kd, kh, kw).
struct ConvForm {
  bool oidhw = false;
  std::int64_t in_channels = 1;
  std::int64_t out_channels = 1;
  std::int64_t groups = 1;
  Extent3 kernel_size = {};
  bool bias = true;
  DType dtype = DType::kFloat32;
  std::function<ConvTensors(std::uint64_t seed)> draw;
};

/// Reads what both have, `oidhw` being the layout of a weight that does not say its own; fills in the sizes that the
/// weight's shape tells, and the groups and bias that nothing does. Throws Error{kConfig}, also where no kernel_size is
/// left.
ConvSaid parse_conv(const Node& layer, bool oidhw, BuildContext& context);

/// The channels that nothing tells: those that arrive, or one per group, and as many out as in.
void fill_channels(ConvSaid& said, const BuildContext& context);

/// Whether the weight is to be an interpolation kernel.
bool has_kernel(const ConvSaid& said);

/// The parameters, from their sources or drawn. `interpolate` makes the weight of a {"kernel": ...}. Throws Error{kConfig}.
ConvTensors build_tensors(const Node& layer, const ConvSaid& said, const ConvForm& form,
                          const std::function<Tensor(const WeightSource&)>& interpolate, BuildContext& context);

}  // namespace convt3d
