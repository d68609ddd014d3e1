#include "convt3d/upsample/channels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

constexpr std::array<std::pair<ChannelMode, std::string_view>, 4> kModeNames = {{{ChannelMode::kAuto, "auto"},
                                                                                 {ChannelMode::kComponents, "components"},
                                                                                 {ChannelMode::kTime, "time"},
                                                                                 {ChannelMode::kFiles, "files"}}};

/// "1 volume", "3 volumes"
std::string counted(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string held_by(const VolumeHeader& header) {
  return counted(header.frames, "volume") + " of " + counted(header.components, "component");
}

/// What would have been taken: the modes under which this very file fits, and the files that would fit.
std::string what_fits(const VolumeHeader& header, std::int64_t wanted) {
  std::string fits;
  if (header.components == wanted) fits += "--channels components takes this file; ";
  if (header.components == 1 && header.frames == wanted) fits += "--channels time takes this file; ";
  return fits + (wanted == 1
                     ? std::string("a model of 1 channel takes scalar volumes, each volume of a 4-D file on its own")
                     : fmt::format("it takes an image of {0} components, a 4-D file of {0} volumes, or {0} files with "
                                   "--channels files",
                                   wanted));
}

Error does_not_fit(const VolumeHeader& header, std::int64_t wanted, std::string_view why) {
  return Error(ErrorKind::kShape, fmt::format("{}: {}\n  the model takes {}, the file holds {}\n  {}", header.path.string(),
                                              why, counted(wanted, "channel"), held_by(header), what_fits(header, wanted)));
}

ChannelLayout from_components(const VolumeHeader& header, std::optional<std::int64_t> in_channels) {
  if (in_channels && *in_channels != header.components) {
    throw does_not_fit(header, *in_channels, "the components of its voxels are not the model's channels");
  }
  return {"components", header.frames, header.components};
}

ChannelLayout from_time(const VolumeHeader& header, std::optional<std::int64_t> in_channels) {
  if (header.components != 1) {
    throw Error(ErrorKind::kShape, fmt::format("{}: --channels time wants a scalar 4-D file, this one holds {}\n"
                                               "  --channels components takes its components as channels",
                                               header.path.string(), held_by(header)));
  }
  if (in_channels && *in_channels != header.frames) {
    throw does_not_fit(header, *in_channels, "its 4th axis is not as long as the model has channels");
  }
  return {"time", 1, header.frames};
}

ChannelLayout from_files(const std::vector<VolumeHeader>& inputs, std::optional<std::int64_t> in_channels) {
  require_joinable(inputs);
  const auto count = static_cast<std::int64_t>(inputs.size());
  if (in_channels && *in_channels != count) {
    throw Error(ErrorKind::kShape,
                fmt::format("{}: --channels files: {} given, the model takes {}\n"
                            "  give one file per channel, in the model's order",
                            inputs.front().path.string(), counted(count, "file"), counted(*in_channels, "channel")));
  }
  return {"files", 1, count};
}

ChannelLayout chosen(const VolumeHeader& header, std::optional<std::int64_t> in_channels) {
  if (header.components > 1) return from_components(header, in_channels);
  // A 3-D scan for a model of one channel is the 4th axis of length 1.
  if (in_channels.value_or(1) == header.frames) return from_time(header, in_channels);
  if (in_channels.value_or(1) == 1) return {"volumes", header.frames, 1};
  throw does_not_fit(header, *in_channels, "it has neither components nor a 4th axis of the model's channels");
}

bool close(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance; }

/// Whether voxels of the two grids lie on each other: to a thousandth of a voxel, and of a unit vector.
bool same_place(const VoxelGrid& a, const VoxelGrid& b) {
  const double voxel = *std::min_element(a.spacing_mm.begin(), a.spacing_mm.end());
  bool same = a.extent == b.extent;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    same = same && close(a.spacing_mm[axis], b.spacing_mm[axis], 1e-3 * voxel) &&
           close(a.origin_mm[axis], b.origin_mm[axis], 1e-3 * voxel);
  }
  for (std::size_t i = 0; i < 9; ++i) same = same && close(a.direction[i], b.direction[i], 1e-3);
  return same;
}

std::string place(const VoxelGrid& grid) {
  return fmt::format("{} voxels of {} mm at {} mm", to_string(grid.extent), fmt::join(grid.spacing_mm, " x "),
                     fmt::join(grid.origin_mm, ", "));
}

}  // namespace

std::optional<ChannelMode> channel_mode_from_name(std::string_view name) {
  for (const auto& [mode, its_name] : kModeNames) {
    if (its_name == name) return mode;
  }
  return std::nullopt;
}

ChannelLayout resolve_channels(const std::vector<VolumeHeader>& inputs, std::optional<std::int64_t> in_channels,
                               ChannelMode mode) {
  switch (mode) {
    case ChannelMode::kComponents: return from_components(inputs.front(), in_channels);
    case ChannelMode::kTime: return from_time(inputs.front(), in_channels);
    case ChannelMode::kFiles: return from_files(inputs, in_channels);
    case ChannelMode::kAuto: break;
  }
  ChannelLayout layout = chosen(inputs.front(), in_channels);
  layout.name.insert(0, "auto:");
  return layout;
}

void require_joinable(const std::vector<VolumeHeader>& inputs) {
  const VolumeHeader& first = inputs.front();
  for (const VolumeHeader& input : inputs) {
    if (input.components != 1 || input.frames != 1) {
      throw Error(ErrorKind::kShape, fmt::format("{}: --channels files joins scalar 3-D files, this one holds {}",
                                                 input.path.string(), held_by(input)));
    }
    if (!same_place(first.grid, input.grid)) {
      throw Error(ErrorKind::kShape, fmt::format("{}: --channels files: not on the grid of {}\n  {}: {}\n  {}: {}\n"
                                                 "  resample them to one grid first",
                                                 input.path.string(), first.path.string(), first.path.filename().string(),
                                                 place(first.grid), input.path.filename().string(), place(input.grid)));
    }
  }
}

}  // namespace convt3d
