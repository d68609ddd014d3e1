#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/base/dtype.hpp"
#include "convt3d/nn/sequential.hpp"

namespace convt3d {

/// A config with its weights loaded, ready to run.
struct Model {
  std::filesystem::path path;
  std::string sha256;  ///< of the config file, hex
  std::string name;
  std::string description;
  /// Pixel type of the output if the config names one; `output_same` if it says "same".
  std::optional<DType> output_type;
  bool output_same = false;
  /// What the stack computes in: float64 as soon as a layer says so, else float32.
  DType dtype = DType::kFloat32;
  /// Channels that the first layer wants; nullopt: whatever arrives.
  std::optional<std::int64_t> in_channels;
  Sequential layers;
  std::vector<std::string> warnings;  ///< for example that a layer's weights are random
};

/// Reads and checks a config and its weights. Throws Error{kConfig} with the file and the JSON pointer.
Model load_model(const std::filesystem::path& path);

/// The config of that path, or the shipped one of that name ("trilinear_x2"), searched for in $CONVT3D_CONFIG_DIR, then
/// where the build and the installation keep them. Throws Error{kConfig} that lists what there is.
std::filesystem::path find_config(const std::string& path_or_name);

struct ShippedConfig {
  std::string name;
  std::string description;
  std::filesystem::path path;
};

/// The shipped configs, sorted by name.
std::vector<ShippedConfig> shipped_configs();

}  // namespace convt3d
