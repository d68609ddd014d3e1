#pragma once

namespace convt3d {

/// Where a pointwise function went that a layer was asked to do to its outputs as well.
enum class Fusion {
  kNone,      ///< nowhere: the layer cannot
  kEpilogue,  ///< it is done to every output before that leaves the cache; the same bits as done afterwards
  kWeights,   ///< weights and bias were multiplied out with it, in double, and rounded once
};

}  // namespace convt3d
