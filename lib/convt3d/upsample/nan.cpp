#include "convt3d/upsample/nan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "convt3d/base/error.hpp"
#include "convt3d/conv/parallel.hpp"

namespace convt3d {
namespace {

template <typename Value>
std::int64_t count_nan(const void* voxels, std::int64_t voxel_count, int threads) {
  constexpr std::int64_t kGrain = 1 << 18;  // 1 or 2 MiB, some 50 us each
  const auto* const values = static_cast<const Value*>(voxels);
  std::atomic<std::int64_t> count = 0;
  parallel_for(threads, voxel_count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    count += std::count_if(values + begin, values + end, [](Value value) { return value != value; });
  });
  return count;
}

}  // namespace

void refuse_nan(const UpsamplePlan& plan, const ConstTensorView& voxels, const Planes& planes, int threads) {
  if (!is_integer(plan.output_type)) return;
  const Extent3& extent = voxels.extent;
  const std::int64_t all = voxels.n * voxels.c * extent.d * extent.h * extent.w;
  const std::int64_t count = voxels.dtype == DType::kFloat64 ? count_nan<double>(voxels.data, all, threads)
                                                             : count_nan<float>(voxels.data, all, threads);
  if (count == 0) return;
  const bool is_part = planes.count() < plan.output_shape[2];
  const std::string where = is_part ? fmt::format(" in planes {} to {}", planes.begin, planes.end - 1) : "";
  throw Error(ErrorKind::kOutput, fmt::format("{}: {} of {} voxels{} are NaN, which {} cannot hold\n"
                                              "  --output-type float32 keeps them",
                                              plan.output.string(), count, all, where, name_of(plan.output_type)));
}

}  // namespace convt3d
