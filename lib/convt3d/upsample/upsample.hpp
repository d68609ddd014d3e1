#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convt3d/base/observer.hpp"
#include "convt3d/imaging/volume.hpp"
#include "convt3d/imaging/voxel_grid.hpp"
#include "convt3d/model/model.hpp"
#include "convt3d/upsample/way.hpp"

namespace convt3d {

/// Which thing of the file is the channel axis. kAuto: vector components if it has them; else a 4th axis as long as the
/// model's in_channels (> 1); else, with in_channels 1 or any, every volume of the 4th axis on its own. kFiles: each input
/// file is one channel of one volume.
enum class ChannelMode { kAuto, kComponents, kTime, kFiles };

/// "auto", "components", "time", "files"
std::optional<ChannelMode> channel_mode_from_name(std::string_view name);

struct UpsampleOptions {
  ChannelMode channels = ChannelMode::kAuto;
  OriginMode origin = OriginMode::kKernel;
  std::optional<DType> output_type;  ///< overrides the model's
  bool output_same = false;          ///< the input's pixel type; overrides the model's
  int threads = 0;                   ///< 0: the CPUs this process may use
  /// 0 to 12. Left out, .nii.gz has 6 and MetaImages are not compressed.
  std::optional<int> compression_level;
  std::optional<std::int64_t> limit_bytes;  ///< upper bound on the process's memory
  std::int64_t process_bytes = 0;           ///< what the process holds all the while: program, libraries, all models
  std::string provenance;                   ///< tool, version and config, written into the output's header
};

/// The fullest moment of a run.
struct MemoryPlan {
  std::int64_t peak_bytes = 0;      ///< sum of the ledger
  std::int64_t tiles = 1;           ///< slabs that the output is computed in, one after the other; of all volumes
  std::string stage;                ///< when it is: "reading", "layer 1 (conv_transpose3d)", "slabs", "writing"
  std::vector<LedgerEntry> ledger;  ///< all that is held then, the process's own memory included
};

/// One volume's way through a model: a value, made from headers only.
struct UpsamplePlan {
  std::vector<VolumeHeader> inputs;  ///< one, or with kFiles one per channel
  std::string channels;              ///< "time"; "auto:time" where kAuto chose it
  Shape input_shape;                 ///< (N, C, D, H, W)
  std::vector<LayerPlan> layers;
  Shape output_shape;
  VoxelGrid output_grid;
  std::array<double, 3> shift_voxels = {0, 0, 0};  ///< of the first voxel's centre, in input voxels (x, y, z)
  std::array<double, 3> shift_mm = {0, 0, 0};      ///< the same in world coordinates (LPS)
  std::filesystem::path output;                    ///< may be empty in a plan that is not run
  DType output_type = DType::kFloat32;
  std::int64_t output_bytes = 0;  ///< of the voxels, uncompressed
  Way way;
  MemoryPlan memory;
};

/// `output` may be empty when nothing is to be run. Throws Error{kInput} for unreadable headers, Error{kShape} when model
/// and volume do not fit (saying what would), Error{kOutput} when the output's format or type cannot hold the result, and
/// Error{kMemory} naming the least bound that can be met.
UpsamplePlan plan_upsample(const Model& model, const std::vector<std::filesystem::path>& inputs,
                           const std::filesystem::path& output, const UpsampleOptions& options);

struct UpsampleReport {
  WriteReport written;
  double read_seconds = 0;  ///< of slabs, all three overlap: their sum may pass the total
  double compute_seconds = 0;
  double write_seconds = 0;
  double total_seconds = 0;
};

/// Reads, computes and writes what was planned. Throws as reading, the layers and writing do, and Error{kStopped} when the
/// observer asks for it; nothing is left behind then.
UpsampleReport run_upsample(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options,
                            Observer* observer = nullptr);

/// Bytes that each layer may have kept for a later run (Layer::release gives them back) when the plan has been run.
std::vector<std::int64_t> bytes_left_by(const UpsamplePlan& plan);

/// Bytes of a model's weights.
std::int64_t weight_bytes(const Model& model);

}  // namespace convt3d
