#pragma once

#include "convt3d/upsample/upsample.hpp"

namespace convt3d {

/// run_upsample for a plan in slabs. Reading the next slab's planes, computing, compressing and writing overlap.
UpsampleReport run_in_slabs(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options,
                            Observer* observer);

}  // namespace convt3d
