#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "convt3d/base/observer.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/plan.hpp"
#include "convt3d/conv/pointwise.hpp"
#include "convt3d/conv/sampling.hpp"
#include "convt3d/nn/fusion.hpp"
#include "convt3d/nn/plane_run.hpp"
#include "convt3d/nn/statistics.hpp"

namespace convt3d {

struct RunOptions {
  int threads = 0;  ///< 0: the CPUs this process may use
  Observer* observer = nullptr;
};

/// What is kept for a later layer while another runs.
struct KeptVolume {
  std::string what;  ///< "output of layer 2"
  Shape shape;
};

/// What a dry run says of one layer.
struct LayerPlan {
  Shape input;       ///< (N, C, D, H, W)
  Shape output;      ///< (N, C', D', H', W')
  double flops = 0;  ///< a multiply and an add as two, direct method, outputs inside the volume only
  std::string algorithm;
  std::string reason;
  std::string note;  ///< what its user may want to change, for people; usually empty
  /// What planes of the output are made from, once the layer's statistics are known; nullopt: from the whole depth.
  std::optional<PlaneReach> reach = std::nullopt;
  bool in_place = false;              ///< the output takes over the input's memory; else the input is only read
  std::vector<KeptVolume> kept = {};  ///< besides input and output
  std::int64_t bytes = 0;             ///< allocated beyond input and output
  std::vector<LedgerEntry> ledger;
  std::vector<Candidate> candidates;
};

/// The reach of planes that are made from themselves alone, in an input (N, C, D, H, W).
inline PlaneReach pointwise_reach(const Shape& input) { return {.input = input[2]}; }

/// The plan of a layer whose output has the shape of its input (N, C, D, H, W) and takes over its memory.
inline LayerPlan in_place_plan(const Shape& input, double flops, std::string algorithm, std::string reason) {
  LayerPlan plan;
  plan.input = input;
  plan.output = input;
  plan.flops = flops;
  plan.algorithm = std::move(algorithm);
  plan.reason = std::move(reason);
  plan.in_place = true;
  return plan;
}

/// One step of a stack. Layers are immutable once built and may be used by several threads at once. Shapes are 5-D.
class Layer {
 public:
  virtual ~Layer() = default;

  /// The config's name of it: "conv_transpose3d".
  virtual std::string_view type() const = 0;
  /// As PyTorch prints the module: "LeakyReLU(negative_slope=0.01)".
  virtual std::string repr() const = 0;
  /// Throws Error{kShape} when an input of this shape cannot be taken.
  virtual Shape output_shape(const Shape& input) const = 0;
  /// Where the outputs of such an input lie among its voxels.
  virtual Sampling sampling(const Shape& /*input*/) const { return {}; }
  virtual std::int64_t parameter_count() const { return 0; }
  /// See receptive_field.hpp, which knows of layers that do not say it themselves.
  virtual std::optional<Extent3> receptive_field(const Extent3& /*outputs*/) const { return std::nullopt; }
  virtual LayerPlan plan(const Shape& input, const RunOptions& options) const = 0;
  /// Takes the input over: pointwise layers work in place. Float32 and float64; throws Error{kShape} for other dtypes.
  virtual Tensor forward(Tensor input, const RunOptions& options) const = 0;

  /// Planes of the output with the bits that forward gives them, from planes of the input: at least plan(whole).reach of
  /// those. The layers that have a reach, but need no statistics; by default by forward, for planes that do not depend on
  /// one another.
  virtual void forward_planes(const PlaneRun& run, const RunOptions& options) const;

  /// Gives back what runs have left for later ones: packed weights and scratch. The next run packs anew;
  /// those on their way keep theirs to their end.
  virtual void release() const {}

  /// What the layer must know of all of such an input first; null where it needs nothing. Throws as output_shape does.
  virtual std::unique_ptr<Statistics> statistics(const Shape& input) const;
  /// Of planes (n, C, d, H, W) of the volumes from first_n on, once their statistics are finished: the same planes of the
  /// output, with the bits that forward gives. Only where statistics are needed.
  virtual Tensor forward_with(Tensor planes, std::int64_t first_n, const Statistics& statistics,
                              const RunOptions& options) const;

  /// The layer as a function of each element, which a layer before it may do in its epilogue; null where it is no such.
  virtual const Pointwise* pointwise() const { return nullptr; }
  /// Does `function` to each of its outputs too, from now on, where it can. Part of building a stack (fuse).
  virtual Fusion absorb(const Pointwise& function) { return static_cast<void>(function), Fusion::kNone; }
};

}  // namespace convt3d
