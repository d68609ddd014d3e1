#include "convt3d/nn/conv_transpose3d_layer.hpp"

#include <tuple>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/conv/problem.hpp"
#include "convt3d/conv/shape.hpp"
#include "convt3d/nn/element_type.hpp"

namespace convt3d {
namespace {

constexpr const char* kInBfloat16 = "gemm_bfloat16";  // the algorithm's name

}  // namespace

ConvTranspose3dLayer::ConvTranspose3dLayer(ConvTranspose3d module, std::vector<std::int64_t> output_size,
                                           ChannelUse channels)
    : module_(std::move(module)),
      repr_("ConvTranspose3d(" + module_.extra_repr() + ")"),
      parameters_(module_.parameter_count()),
      output_size_(std::move(output_size)),
      channels_(channels) {
  const ConvTranspose3dOptions& its = module_.options();
  if (channels == ChannelUse::kEachAlone && (its.in_channels != 1 || its.out_channels != 1)) {
    throw Error(ErrorKind::kShape, "a kernel for each channel alone has 1 in and 1 out channel, found " +
                                       std::to_string(its.in_channels) + " and " + std::to_string(its.out_channels));
  }
}

Shape ConvTranspose3dLayer::output_shape(const Shape& input) const {
  ConvTranspose3dOptions its = module_.options();
  const Shape seen = folded(input);
  if (!output_size_.empty()) {
    its.output_padding = output_padding_for(its, Extent3(seen[2], seen[3], seen[4]), output_size_);
  }
  return unfolded(input, convt3d::output_shape(its, seen));
}

Sampling ConvTranspose3dLayer::sampling(const Shape&) const { return sampling_of(module_.options()); }

LayerPlan ConvTranspose3dLayer::plan(const Shape& input, const RunOptions& options) const {
  Plan plan = module_.plan(folded(input), forward_options(options));
  LayerPlan result;
  result.input = input;
  result.output = output_shape(input);
  result.flops = flops(plan.problem);
  result.bytes = ledger_bytes(plan);
  result.algorithm = std::move(plan.algorithm);
  result.reason = std::move(plan.reason);
  const Extent3 extent(input[2], input[3], input[4]);
  if (const std::string advice = advise_exact_multiple(module_.options(), extent); output_size_.empty() && !advice.empty()) {
    result.note = "short of stride times input; " + advice + " would reach it";
  }
  result.reach = plan.reach;
  if (module_.options().bfloat16 && result.algorithm != kInBfloat16) {
    for (const Candidate& candidate : plan.candidates) {
      if (candidate.algorithm != kInBfloat16) continue;
      const std::string why = candidate.rejected.empty() ? result.algorithm + " is faster" : candidate.rejected;
      result.note += (result.note.empty() ? "" : "; ") + ("computed in float32, not in bfloat16: " + why);
    }
  }
  result.ledger = std::move(plan.ledger);
  result.candidates = std::move(plan.candidates);
  return result;
}

Fusion ConvTranspose3dLayer::absorb(const Pointwise& function) {
  // One kernel for all channels has no place for parameters of each.
  const bool uniform = function.p.size() == 1 && function.q.size() == 1;
  return channels_ == ChannelUse::kMixed || uniform ? module_.absorb(function) : Fusion::kNone;
}

Tensor ConvTranspose3dLayer::forward(Tensor input, const RunOptions& options) const {
  const Shape shape = input.shape();
  const Tensor seen = std::move(input).reshaped(folded(shape));
  Tensor output = module_.forward(seen, forward_options(options));
  Shape unfolded_shape = unfolded(shape, output.shape());
  return std::move(output).reshaped(std::move(unfolded_shape));
}

void ConvTranspose3dLayer::forward_planes(const PlaneRun& run, const RunOptions& options) const {
  PlaneRun seen = run;
  seen.whole = folded(run.whole);
  if (channels_ == ChannelUse::kEachAlone) {
    for (auto [n, c] : {std::tie(seen.input.n, seen.input.c), std::tie(seen.output.n, seen.output.c)}) {
      n *= c;
      c = 1;
    }
  }
  module_.forward_planes(seen, forward_options(options));
}

ForwardOptions ConvTranspose3dLayer::forward_options(const RunOptions& options) const {
  return {.output_size = output_size_, .threads = options.threads, .observer = options.observer};
}

Shape ConvTranspose3dLayer::folded(const Shape& input) const {
  require_volumes(input);
  if (channels_ == ChannelUse::kMixed) return input;
  return {element_count({input[0], input[1]}), 1, input[2], input[3], input[4]};
}

Shape ConvTranspose3dLayer::unfolded(const Shape& input, Shape output) const {
  if (channels_ == ChannelUse::kEachAlone) {
    output[0] = input[0];
    output[1] = input[1];
  }
  return output;
}

}  // namespace convt3d
