#pragma once

#include "convt3d/upsample/upsample.hpp"

namespace convt3d {

/// The fullest moment of running `plan` (shapes, layers and output type are set) with voxels computed in `dtype`: while
/// reading, in one of the layers, or while writing. What the layers allocate are their own ledgers; what reading and writing
/// allocate, imaging says.
MemoryPlan plan_memory(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options);

/// How the output of `plan` is written; what the plan's memory is reckoned with, and what the run does.
WriteOptions write_options(const UpsamplePlan& plan, const UpsampleOptions& options);

/// Throws Error{kMemory} when the plan's peak is over `limit_bytes`, naming the least bound that can be met.
void require_within(const UpsamplePlan& plan, std::int64_t limit_bytes);

}  // namespace convt3d
