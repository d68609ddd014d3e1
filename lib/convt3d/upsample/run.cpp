#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/conv/parallel.hpp"
#include "convt3d/upsample/about_input.hpp"
#include "convt3d/upsample/memory.hpp"
#include "convt3d/upsample/upsample.hpp"

namespace convt3d {
namespace {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

void enter(Observer* observer, std::string_view stage) {
  if (observer == nullptr) return;
  if (observer->stop_requested()) throw Error(ErrorKind::kStopped, "stopped before " + std::string(stage));
  observer->stage(stage);
}

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

template <typename Value>
std::int64_t count_nan(std::span<const Value> values, int threads) {
  constexpr std::int64_t kGrain = 1 << 18;  // 1 or 2 MiB, some 50 us each
  std::atomic<std::int64_t> count = 0;
  parallel_for(threads, static_cast<std::int64_t>(values.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
    count += std::count_if(values.begin() + begin, values.begin() + end, [](Value value) { return value != value; });
  });
  return count;
}

/// Integers have no NaN; better to say so, and of how many voxels, before a file is begun.
void refuse_nan(const UpsamplePlan& plan, const Tensor& voxels, int threads) {
  if (!is_integer(plan.output_type)) return;
  const std::int64_t count = voxels.dtype() == DType::kFloat64 ? count_nan(voxels.values<double>(), threads)
                                                               : count_nan(voxels.values<float>(), threads);
  if (count == 0) return;
  throw Error(ErrorKind::kOutput, fmt::format("{}: {} of {} voxels are NaN, which {} cannot hold\n"
                                              "  --output-type float32 keeps them",
                                              plan.output.string(), count, voxels.size(), name_of(plan.output_type)));
}

}  // namespace

UpsampleReport run_upsample(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options,
                            Observer* observer) {
  UpsampleReport report;
  const Stopwatch total;

  enter(observer, "reading");
  Tensor voxels = read_input(plan, model.dtype, observer);
  report.read_seconds = total.seconds();

  enter(observer, "computing");
  const Stopwatch compute;
  const RunOptions run_options = {.threads = options.threads, .observer = observer};
  voxels = about_input(plan, [&] { return model.layers.forward(std::move(voxels), run_options); });
  refuse_nan(plan, std::as_const(voxels), options.threads);
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
