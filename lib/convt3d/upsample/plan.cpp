#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/upsample/about_input.hpp"
#include "convt3d/upsample/channels.hpp"
#include "convt3d/upsample/memory.hpp"
#include "convt3d/upsample/upsample.hpp"

namespace convt3d {
namespace {

/// The pixel type of all inputs; they may differ only with kFiles.
DType common_pixel_type(const std::vector<VolumeHeader>& inputs) {
  const VolumeHeader& first = inputs.front();
  const auto other = std::find_if(inputs.begin(), inputs.end(),
                                  [&](const VolumeHeader& input) { return input.pixel_type != first.pixel_type; });
  if (other != inputs.end()) {
    throw Error(ErrorKind::kOutput,
                fmt::format("{}: the output is to have the input's pixel type, but {} is {} and {} is {}\n"
                            "  name one with --output-type, such as float32",
                            first.path.string(), first.path.filename().string(), name_of(first.pixel_type),
                            other->path.filename().string(), name_of(other->pixel_type)));
  }
  if (size_of(first.pixel_type) == 8 && is_integer(first.pixel_type)) {
    throw Error(ErrorKind::kOutput, fmt::format("{}: the output is to have the input's pixel type, but {} is not written: "
                                                "the computation is in floating point\n"
                                                "  name one with --output-type: int32 and float64 hold the most",
                                                first.path.string(), name_of(first.pixel_type)));
  }
  return first.pixel_type;
}

/// The command line's wish, else the model's, else float32.
DType resolve_output_type(const Model& model, const std::vector<VolumeHeader>& inputs, const UpsampleOptions& options) {
  if (options.output_same) return common_pixel_type(inputs);
  if (options.output_type) return *options.output_type;
  if (model.output_same) return common_pixel_type(inputs);
  return model.output_type.value_or(DType::kFloat32);
}

/// The origin that propagate gives on the grid of unit voxels at 0 is the shift in input voxels, whatever the origin mode.
std::array<double, 3> shift_in_voxels(const Extent3& input, const Sampling& sampling, const Extent3& output,
                                      OriginMode mode) {
  return propagate(VoxelGrid{.extent = input}, sampling, output, mode).origin_mm;
}

void place_output(UpsamplePlan& plan, const Sampling& sampling, OriginMode mode) {
  const VoxelGrid& grid = plan.inputs.front().grid;
  const Extent3 extent(plan.output_shape[2], plan.output_shape[3], plan.output_shape[4]);
  plan.output_grid = propagate(grid, sampling, extent, mode);
  plan.shift_voxels = shift_in_voxels(grid.extent, sampling, extent, mode);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    plan.shift_mm[axis] = plan.output_grid.origin_mm[axis] - grid.origin_mm[axis];
  }
}

}  // namespace

UpsamplePlan plan_upsample(const Model& model, const std::vector<std::filesystem::path>& inputs,
                           const std::filesystem::path& output, const UpsampleOptions& options) {
  UpsamplePlan plan;
  for (const std::filesystem::path& input : inputs) plan.inputs.push_back(read_header(input));
  const ChannelLayout layout = resolve_channels(plan.inputs, model.in_channels, options.channels);
  const Extent3& extent = plan.inputs.front().grid.extent;
  plan.channels = layout.name;
  plan.input_shape = {layout.volumes, layout.channels, extent.d, extent.h, extent.w};
  plan.layers = about_input(plan, [&] { return model.layers.plan(plan.input_shape, {.threads = options.threads}); });
  plan.output_shape = plan.layers.empty() ? plan.input_shape : plan.layers.back().output;
  place_output(plan, model.layers.sampling(plan.input_shape), options.origin);
  plan.output = output;
  plan.output_type = resolve_output_type(model, plan.inputs, options);
  plan.output_bytes = byte_count(plan.output_shape, plan.output_type);
  choose_way(model, plan, options);
  return plan;
}

}  // namespace convt3d
