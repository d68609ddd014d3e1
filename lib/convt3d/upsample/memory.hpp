#pragma once

#include "convt3d/upsample/upsample.hpp"

namespace convt3d {

/// The fullest moment of running `plan` (shapes, layers and output type are set) in that way: while reading, in one of the
/// layers, in a pass of slabs, or while writing. What the layers allocate are their own ledgers; what reading and writing
/// allocate, imaging says.
MemoryPlan plan_memory(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options, const Way& way);

/// How the output of `plan` is written; what the plan's memory is reckoned with, and what the run does.
WriteOptions write_options(const UpsamplePlan& plan, const UpsampleOptions& options);

/// Sets the plan's way and memory: the fastest way where it keeps to the bound, else the whole or the largest slabs that do.
/// Throws Error{kMemory} where none does, naming the least bound that can be met.
void choose_way(const Model& model, UpsamplePlan& plan, const UpsampleOptions& options);

}  // namespace convt3d
