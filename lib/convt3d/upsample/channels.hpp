#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/imaging/volume.hpp"
#include "convt3d/upsample/upsample.hpp"

namespace convt3d {

/// How the voxels of the inputs become (N, C, D, H, W).
struct ChannelLayout {
  std::string name;  ///< "components", "time", "files" or "volumes" (each on its own); "auto:" in front where kAuto chose
  std::int64_t volumes = 1;
  std::int64_t channels = 1;
};

/// The layout that `mode` asks for, or that kAuto finds. `in_channels`: what the model takes, nullopt for any number.
/// Throws Error{kShape} saying what the inputs hold, what the model takes, and which inputs or mode would fit.
ChannelLayout resolve_channels(const std::vector<VolumeHeader>& inputs, std::optional<std::int64_t> in_channels,
                               ChannelMode mode);

/// Throws Error{kShape} unless all inputs lie on one grid, each a single volume of one component: what kFiles joins.
void require_joinable(const std::vector<VolumeHeader>& inputs);

}  // namespace convt3d
