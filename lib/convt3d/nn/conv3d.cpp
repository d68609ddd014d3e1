#include "convt3d/nn/conv3d.hpp"

#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/conv/conv3d_shape.hpp"
#include "convt3d/conv/problem.hpp"
#include "convt3d/nn/conv_parameters.hpp"
#include "convt3d/nn/pad.hpp"

namespace convt3d {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kShape, "Conv3d: " + what); }

ParameterSpec parameter_spec(const Conv3dOptions& o) {
  validate(o);
  return {.module = "Conv3d",
          .weight_shape = {o.out_channels, o.in_channels / o.groups, o.kernel_size.d, o.kernel_size.h, o.kernel_size.w},
          .out_channels = o.out_channels,
          .bias = o.bias,
          .dtype = o.dtype,
          .correlates = true};
}

/// (N, C, D, H, W) of a shape of rank 4 or 5; others are refused before.
Shape with_n(const Shape& shape) {
  Shape result = shape;
  if (result.size() == 4) result.insert(result.begin(), 1);
  return result;
}

}  // namespace

struct Conv3d::State {
  Conv3dOptions options;
  ConvParameters parameters;

  /// Whether the input is padded before it is convolved; zeros outside cost nothing.
  bool pads_first() const { return options.padding_mode != PadMode::kZeros && padding_of(options) != Margins{}; }
  Pad pad() const { return {.mode = options.padding_mode, .padding = padding_of(options)}; }

  /// For an input (N, C, D, H, W) that output_shape takes.
  Problem problem(const Shape& input) const {
    const Shape seen = pads_first() ? padded_shape(input, pad()) : input;
    Conv3dOptions its = options;
    if (pads_first()) its.padding = 0;
    return make_problem(its, seen[0], {seen[2], seen[3], seen[4]});
  }
};

Conv3d::Conv3d(const Conv3dOptions& options, std::uint64_t seed)
    : state_(new State{options, {parameter_spec(options), initial_bound(options), seed}}) {}

Conv3d::Conv3d(const Conv3dOptions& options, Tensor weight, std::optional<Tensor> bias)
    : state_(new State{options, {parameter_spec(options), std::move(weight), std::move(bias)}}) {}

Conv3d::Conv3d(Conv3d&&) noexcept = default;
Conv3d& Conv3d::operator=(Conv3d&&) noexcept = default;
Conv3d::~Conv3d() = default;

const Conv3dOptions& Conv3d::options() const { return state_->options; }

Tensor& Conv3d::weight() { return state_->parameters.weight(); }
const Tensor& Conv3d::weight() const { return std::as_const(state_->parameters).weight(); }

std::optional<Tensor>& Conv3d::bias() { return state_->parameters.bias(); }
const std::optional<Tensor>& Conv3d::bias() const { return std::as_const(state_->parameters).bias(); }

Shape Conv3d::output_shape(const Shape& input) const {
  Shape output = convt3d::output_shape(state_->options, input);
  if (state_->pads_first()) padded_shape(with_n(input), state_->pad());  // reflection asks for more than the convolution
  return output;
}

Fusion Conv3d::absorb(const Pointwise& function) {
  const Fusion fusion = state_->parameters.absorb(function);
  state_->options.bias = std::as_const(state_->parameters).bias().has_value();
  return fusion;
}

Tensor Conv3d::forward(const Tensor& input, const RunOptions& options) const {
  Tensor output = Tensor::empty(output_shape(input.shape()), state_->options.dtype);
  forward_into(input, output, options);
  return output;
}

void Conv3d::prepare(const Shape& input, const RunOptions& options) {
  output_shape(input);
  state_->parameters.prepare(state_->problem(with_n(input)), options.threads);
}

void Conv3d::release() const { state_->parameters.release(); }

void Conv3d::forward_into(const Tensor& input, Tensor& output, const RunOptions& options) const {
  const std::size_t rank = input.shape().size();
  if (!state_->pads_first() && (rank == 4 || rank == 5) && output.shape().size() == rank) {
    if (const auto prepared = state_->parameters.prepared_for(input.view(), output.view(), options.threads)) {
      return prepared->run(input.view(), output.view(), options.observer);
    }
  }
  const Shape expected = output_shape(input.shape());
  const DType dtype = state_->options.dtype;
  if (input.dtype() != dtype) {
    refuse("the input is " + std::string(name_of(input.dtype())) + "; expected the layer's dtype, " +
           std::string(name_of(dtype)));
  }
  if (output.shape() != expected || output.dtype() != dtype) {
    refuse("the output is " + std::string(name_of(output.dtype())) + " " + to_string(output.shape()) + "; expected " +
           std::string(name_of(dtype)) + " " + to_string(expected));
  }
  const auto executor = state_->parameters.prepare(state_->problem(with_n(input.shape())), options.threads);
  if (!state_->pads_first()) return executor->run(input.view(), output.view(), options.observer);
  const Tensor seen = padded(input.view(), state_->pad(), options.threads);
  executor->run(seen.view(), output.view(), options.observer);
}

void Conv3d::forward_planes(const PlaneRun& run, const RunOptions& options) const {
  const auto executor = state_->parameters.prepare(state_->problem(run.whole), options.threads);
  if (!state_->pads_first()) return executor->run_planes(run.input, run.held, run.output, run.wanted, options.observer);
  const Planes seen = executor->plan().reach.of(run.wanted);
  const Extent3& plane = executor->plan().problem.input;
  Tensor voxels = Tensor::empty({run.input.n, run.input.c, seen.count(), plane.h, plane.w}, run.input.dtype);
  pad_planes({run.whole, run.input, run.held, voxels.view(), seen}, state_->pad(), options.threads);
  executor->run_planes(std::as_const(voxels).view(), seen, run.output, run.wanted, options.observer);
}

Plan Conv3d::plan(const Shape& input, const RunOptions& options) const {
  output_shape(input);
  Plan plan = state_->parameters.plan(state_->problem(with_n(input)), options.threads);
  if (state_->pads_first()) {
    const auto element = static_cast<std::int64_t>(size_of(plan.problem.dtype));
    const PlaneReach padded = padded_reach(state_->pad(), input.size() == 5 ? input[2] : input[1]);
    plan.reach = through(plan.reach, padded);
    plan.ledger.push_back({"padded input", input_size(plan.problem) * element, plan.problem.input.d});
  }
  return plan;
}

std::string Conv3d::extra_repr() const { return convt3d::extra_repr(state_->options); }

std::int64_t Conv3d::parameter_count() const { return state_->parameters.count(); }

}  // namespace convt3d
