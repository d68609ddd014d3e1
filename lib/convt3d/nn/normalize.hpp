#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// What inference wants of a scan's intensities, per channel of each volume: (x - centre)/scale, where centre and scale are
///   kZScore       mean and standard deviation (biased) of the channel
///   kMinMax       its least value, and the greatest less that: from 0 to 1
///   kPercentiles  percentile `low`, and percentile `high` less that, values beyond cut off: from 0 to 1
///   kGiven        mean[c] and std[c]
/// A scale of 0, of a constant channel, counts as 1, so that it becomes 0. A channel that has a NaN becomes NaN.
struct Normalize {
  enum class Mode { kZScore, kMinMax, kPercentiles, kGiven };

  Mode mode = Mode::kZScore;
  double low = 0.5;               ///< 0 <= low < high <= 100
  double high = 99.5;             ///< percent
  std::vector<double> mean = {};  ///< kGiven: one for all channels, or one for each
  std::vector<double> std = {};   ///< likewise; above 0
};

/// Undoes what a Normalize did to an earlier volume of the run: x·scale + centre. With as many channels as were normalised,
/// or any number where that was one.
struct Denormalize {};

/// The layer that Denormalize refers to.
class NormalizingLayer : public Layer {};

/// Denormalize as a layer: done with the statistics of a NormalizingLayer, so Sequential has to run it; forward throws
/// Error{kShape}.
class DenormalizingLayer : public Layer {
 public:
  /// Throws Error{kShape} unless such a volume can be taken back to the range of one that was normalised.
  virtual void require_fit(const Shape& input, const Shape& normalized) const = 0;
};

/// Throws Error{kShape} when an argument is not admissible. kGiven gives a pointwise layer.
std::unique_ptr<Layer> make_layer(const Normalize& normalize);
std::unique_ptr<DenormalizingLayer> make_layer(const Denormalize& denormalize);

/// Undoes a Normalize of kGiven: a pointwise layer.
std::unique_ptr<Layer> make_inverse(const Normalize& given);

}  // namespace convt3d
