#include <cstring>
#include <utility>

#include "convt3d/upsample/about_input.hpp"
#include "convt3d/upsample/memory.hpp"
#include "convt3d/upsample/nan.hpp"
#include "convt3d/upsample/slab_run.hpp"
#include "convt3d/upsample/stage.hpp"
#include "convt3d/upsample/stopwatch.hpp"
#include "convt3d/upsample/upsample.hpp"

namespace convt3d {
namespace {

/// One file per channel, one after the other into (1, C, D, H, W).
Tensor read_files(const UpsamplePlan& plan, DType dtype, Observer* observer) {
  Tensor voxels = Tensor::empty(plan.input_shape, dtype);
  auto* channel = static_cast<std::byte*>(voxels.raw());
  for (const VolumeHeader& input : plan.inputs) {
    const Tensor file = read_voxels(input, dtype, observer);
    std::memcpy(channel, file.raw(), static_cast<std::size_t>(file.size_bytes()));
    channel += file.size_bytes();
  }
  return voxels;
}

/// A file's (frames, components, D, H, W) has the elements of the plan's (N, C, D, H, W) in the same order in every mode:
/// either N is the frames and C the components, or C is the frames of a scalar file.
Tensor read_input(const UpsamplePlan& plan, DType dtype, Observer* observer) {
  if (plan.inputs.size() > 1) return read_files(plan, dtype, observer);
  return read_voxels(plan.inputs.front(), dtype, observer).reshaped(plan.input_shape);
}

}  // namespace

UpsampleReport run_upsample(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options,
                            Observer* observer) {
  const Stopwatch total;
  if (plan.way.in_slabs()) {
    UpsampleReport report = run_in_slabs(model, plan, options, observer);
    report.total_seconds = total.seconds();
    return report;
  }

  UpsampleReport report;
  enter(observer, "reading");
  Tensor voxels = read_input(plan, model.dtype, observer);
  report.read_seconds = total.seconds();

  enter(observer, "computing");
  const Stopwatch compute;
  const RunOptions run_options = {.threads = options.threads, .observer = observer};
  voxels = about_input(plan, [&] { return model.layers.forward(std::move(voxels), run_options); });
  refuse_nan(plan, std::as_const(voxels).view(), {0, plan.output_shape[2]}, options.threads);
  report.compute_seconds = compute.seconds();

  enter(observer, "writing");
  const Stopwatch write;
  report.written =
      write_volume(plan.output, voxels, plan.output_grid, plan.inputs.front(), write_options(plan, options), observer);
  report.write_seconds = write.seconds();
  report.total_seconds = total.seconds();
  return report;
}

}  // namespace convt3d
