#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "convt3d/base/dtype.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/model/node.hpp"
#include "convt3d/model/weight_files.hpp"

namespace convt3d {

/// The dtypes that a layer's weights may be stored as.
inline constexpr std::array<std::string_view, 12> kStoredDTypes = {
    "float32", "float64", "float16", "bfloat16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"};

/// Where a tensor of a layer comes from, as the config says it.
struct WeightSource {
  enum class Form { kValues, kKaimingUniform, kConstant, kKernel };

  Node node;
  Form form = Form::kValues;

  std::shared_ptr<const Tensor> values = nullptr;  ///< kValues: as stored
  bool shaped = false;                             ///< the values' shape is the tensor's; else only their number is known
  bool from_file = false;
  /// A convolution weight is stored as (out, in/groups, kd, kh, kw), or as (in, out/groups, kd, kh, kw); nullopt: not said.
  std::optional<bool> oidhw = {};
  std::string holder = {};  ///< who holds them, for messages: "up2.npy", "\"up1.weight\" of m.npz", "the list"

  std::uint64_t seed = 0;   ///< kKaimingUniform
  double constant = 0;      ///< kConstant
  std::string kernel = {};  ///< kKernel
};

/// Reads a weight source: a list; a key of the top-level weights file; {"file": ...}; {"key": ...}; {"init": ...};
/// {"kernel": ...}.
WeightSource parse_weight_source(const Node& node, WeightFiles& files);

/// The sources of a layer's state, in the order of `states`, PyTorch's names for it ("weight", "bias"). The layer's
/// "weights" maps names to sources; or it is a module of the top-level weights file, "up1", and stands for those of `states`
/// that the file has under it: "up1.weight", "up1.bias".
void parse_weights(const Node& layer, std::span<const std::string_view> states, WeightFiles& files,
                   std::span<std::optional<WeightSource>> sources);

/// The same, to be unpacked: `auto [weight, bias] = parse_weights(layer, std::array{"weight"sv, "bias"sv}, files)`.
template <std::size_t N>
std::array<std::optional<WeightSource>, N> parse_weights(const Node& layer, const std::array<std::string_view, N>& states,
                                                         WeightFiles& files) {
  std::array<std::optional<WeightSource>, N> sources;
  parse_weights(layer, states, files, sources);
  return sources;
}

/// Throws Error{kConfig} if the source of a tensor with one axis has a "layout".
void refuse_layout(const WeightSource& source);

/// The values of a kValues or kConstant source as a tensor of `shape`, in `dtype` (float32 or float64). `axes` names the
/// axes for the message: "(in, out/groups, kd, kh, kw)". `advice` ends the message. The layout is not looked at. Throws
/// Error{kConfig} when shape or count are others, or a value is not finite in that dtype.
Tensor tensor_from(const WeightSource& source, const Shape& shape, DType dtype, const std::string& axes,
                   const std::string& advice = "");

}  // namespace convt3d
