#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "convt3d/base/dtype.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/model/node.hpp"

namespace convt3d {

/// Bounds on the weights of one config, so that no few bytes of JSON ask for all memory: what its files and lists hold, and
/// what is made up for it (initialised, constant or interpolation kernels).
inline constexpr std::int64_t kMaxStoredBytes = std::int64_t{4} << 30;
inline constexpr std::int64_t kMaxGeneratedBytes = std::int64_t{256} << 20;

/// The dtypes that a layer's weights may be stored as.
inline constexpr std::array<std::string_view, 12> kStoredDTypes = {
    "float32", "float64", "float16", "bfloat16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"};

/// The weight files of one config: each is read once. Paths are relative to the config's folder.
class WeightFiles {
 public:
  explicit WeightFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// `node` is the place of the file's name. Throws Error{kConfig} for what cannot be read.
  std::shared_ptr<const Tensor> read_npy(const Node& node);
  /// Little-endian elements one after the other; the result has one axis.
  std::shared_ptr<const Tensor> read_raw(const Node& node, DType dtype);

  /// Each counts `bytes` more before they are allocated; throws Error{kConfig} at `node` past the bound.
  void count_stored(const Node& node, std::int64_t bytes);
  void count_generated(const Node& node, std::int64_t bytes);

 private:
  std::filesystem::path folder_;
  std::map<std::string, std::shared_ptr<const Tensor>> read_;
  std::int64_t stored_bytes_ = 0;
  std::int64_t generated_bytes_ = 0;
};

/// Where a tensor of a layer comes from, as the config says it.
struct WeightSource {
  enum class Form { kValues, kKaimingUniform, kConstant, kKernel };

  Node node;
  Form form = Form::kValues;

  std::shared_ptr<const Tensor> values = nullptr;  ///< kValues: as stored
  bool shaped = false;                             ///< the values' shape is the tensor's; else only their number is known
  bool from_file = false;
  bool oidhw = false;       ///< a convolution weight is stored as (out, in/groups, kd, kh, kw)
  std::string holder = {};  ///< who holds them, for messages: "up2.npy", "the list"

  std::uint64_t seed = 0;   ///< kKaimingUniform
  double constant = 0;      ///< kConstant
  std::string kernel = {};  ///< kKernel
};

/// Reads a weight source: a list; {"file": ...}; {"init": ...}; {"kernel": ...}.
WeightSource parse_weight_source(const Node& node, WeightFiles& files);

/// Throws Error{kConfig} if the source of a tensor with one axis has a "layout".
void refuse_layout(const WeightSource& source);

/// The values of a kValues or kConstant source as a tensor of `shape`, in `dtype` (float32 or float64). `axes` names the
/// axes for the message: "(in, out/groups, kd, kh, kw)". `advice` ends the message. The layout is not looked at. Throws
/// Error{kConfig} when shape or count are others, or a value is not finite in that dtype.
Tensor tensor_from(const WeightSource& source, const Shape& shape, DType dtype, const std::string& axes,
                   const std::string& advice = "");

}  // namespace convt3d
