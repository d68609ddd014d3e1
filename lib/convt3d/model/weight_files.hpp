#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convt3d/base/dtype.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/model/node.hpp"
#include "convt3d/model/tensor_file.hpp"

namespace convt3d {

/// Bounds on the weights of one config, so that no few bytes of JSON ask for all memory: what its files and lists hold, and
/// what is made up for it (initialised, constant or interpolation kernels).
inline constexpr std::int64_t kMaxStoredBytes = std::int64_t{4} << 30;
inline constexpr std::int64_t kMaxGeneratedBytes = std::int64_t{256} << 20;

/// The weight files of one config: each is opened once. Paths are relative to the config's folder. Everything that cannot be
/// read throws Error{kConfig} at the node that names it.
class WeightFiles {
 public:
  explicit WeightFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// The config's "weights": {"file", "prefix", "unused"}, the file that layers' keys refer to.
  void open_top(const Node& node);

  /// `node` is the place of the file's name.
  std::shared_ptr<const Tensor> read_npy(const Node& node);
  /// Little-endian elements one after the other; the result has one axis.
  std::shared_ptr<const Tensor> read_raw(const Node& node, DType dtype);

  struct Keyed {
    std::shared_ptr<const Tensor> values;
    std::string holder;  ///< for messages: "up1.weight" of m.safetensors
  };
  /// The tensor of a .safetensors or .npz file.
  Keyed read_key(const Node& file, const Node& key);
  /// The tensor of that key in the top-level file.
  Keyed read_top_key(const Node& key);
  /// The tensors "up1.weight", "up1.bias" ... of the module "up1" that the top-level file has; nullptr for others.
  std::vector<Keyed> read_module(const Node& module, std::span<const std::string_view> states);

  /// Throws if the top-level file has a tensor under its prefix that was not read, unless it says "unused": "ignore".
  void require_all_used() const;

  /// Each counts `bytes` more before they are allocated; throws Error{kConfig} at `node` past the bound.
  void count_stored(const Node& node, std::int64_t bytes);
  void count_generated(const Node& node, std::int64_t bytes);

 private:
  struct Open {
    std::string name;  ///< as the config has it
    std::unique_ptr<TensorFile> tensors;
    std::map<std::string, std::weak_ptr<const Tensor>> read;  ///< while a layer needs them
    std::set<std::string> used;
  };
  struct Top {
    Node node;
    std::string prefix = {};
    bool may_have_unused = false;
    std::shared_ptr<Open> file = {};
  };

  std::shared_ptr<Open> open(const Node& file);
  Keyed read(const Node& node, Open& file, const std::string& key);
  const Top& top(const Node& node) const;

  std::filesystem::path folder_;
  std::map<std::string, std::shared_ptr<const Tensor>> read_;
  std::map<std::string, std::shared_ptr<Open>> open_;
  std::optional<Top> top_;
  std::int64_t stored_bytes_ = 0;
  std::int64_t generated_bytes_ = 0;
};

}  // namespace convt3d
