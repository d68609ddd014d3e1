#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/base/observer.hpp"
#include "convt3d/imaging/volume.hpp"
#include "convt3d/imaging/voxel_grid.hpp"
#include "convt3d/model/model.hpp"

namespace convt3d {

/// Which thing of the file is the channel axis. kAuto: vector components if it has them; else a 4th axis as long as the
/// model's in_channels (> 1); else, with in_channels 1 or any, every volume of the 4th axis on its own. kFiles: each input
/// file is one channel.
enum class ChannelMode { kAuto, kComponents, kTime, kFiles };

/// "auto", "components", "time", "files"
std::optional<ChannelMode> channel_mode_from_name(std::string_view name);

struct UpsampleOptions {
  ChannelMode channels = ChannelMode::kAuto;
  OriginMode origin = OriginMode::kKernel;
  std::optional<DType> output_type;        ///< overrides the model's
  bool output_same = false;                ///< overrides the model's
  int threads = 0;
  int compression_level = 6;
  std::optional<std::int64_t> limit_bytes;  ///< upper bound on the process's memory
};

/// One volume's way through a model: a value, made from headers only.
struct UpsamplePlan {
  std::vector<VolumeHeader> inputs;  ///< one, or with kFiles one per channel
  std::string channels;              ///< "auto:time"
  Shape input_shape;                 ///< (N, C, D, H, W)
  std::vector<LayerPlan> layers;
  Shape output_shape;
  VoxelGrid output_grid;
  std::array<double, 3> shift_voxels = {0, 0, 0};  ///< of the first voxel, in input voxels (x, y, z)
  std::array<double, 3> shift_mm = {0, 0, 0};      ///< in world coordinates (LPS)
  std::filesystem::path output;
  DType output_type = DType::kFloat32;
  std::int64_t output_bytes = 0;     ///< uncompressed voxels
  std::int64_t peak_bytes = 0;
  std::int64_t tiles = 1;
};

/// Throws Error{kInput} for unreadable headers, Error{kShape} when model and volume do not fit (saying what would), and
/// Error{kMemory} naming the least bound that can be met.
UpsamplePlan plan_upsample(const Model& model, const std::vector<std::filesystem::path>& inputs,
                           const std::filesystem::path& output, const UpsampleOptions& options);

struct UpsampleReport {
  WriteReport written;
  double read_seconds = 0;
  double compute_seconds = 0;
  double write_seconds = 0;
  double total_seconds = 0;
};

/// Reads, computes and writes what was planned.
UpsampleReport run_upsample(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options, Observer* observer);

}  // namespace convt3d
