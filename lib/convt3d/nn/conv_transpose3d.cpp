#include "convt3d/nn/conv_transpose3d.hpp"

#include <span>
#include <string>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/conv/problem.hpp"
#include "convt3d/conv/shape.hpp"
#include "convt3d/nn/conv_parameters.hpp"

namespace convt3d {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kShape, "ConvTranspose3d: " + what); }

ParameterSpec parameter_spec(const ConvTranspose3dOptions& o) {
  validate(o);
  return {.module = "ConvTranspose3d",
          .weight_shape = {o.in_channels, o.out_channels / o.groups, o.kernel_size.d, o.kernel_size.h, o.kernel_size.w},
          .out_channels = o.out_channels,
          .bias = o.bias,
          .dtype = o.dtype,
          .correlates = false};
}

Extent3 spatial(const Shape& shape) { return {shape[shape.size() - 3], shape[shape.size() - 2], shape[shape.size() - 1]}; }

/// The options for an input of this shape: with the output_padding that gives `output_size`, where that is not empty.
/// Throws as output_shape and output_padding_for do.
ConvTranspose3dOptions sized_for(ConvTranspose3dOptions options, const Shape& input,
                                 std::span<const std::int64_t> output_size) {
  output_shape(options, input);  // refuses rank and channels before anything is read from the shape
  if (output_size.empty()) return options;
  if (output_size.size() != 3 && output_size.size() != input.size()) {
    refuse("output_size has " + std::to_string(output_size.size()) + " entries; expected 3 (depth, height, width), or " +
           std::to_string(input.size()) + " for the input " + to_string(input));
  }
  options.output_padding = output_padding_for(options, spatial(input), output_size);
  return options;
}

}  // namespace

struct ConvTranspose3d::State {
  ConvTranspose3dOptions options;
  ConvParameters parameters;
};

ConvTranspose3d::ConvTranspose3d(const ConvTranspose3dOptions& options, std::uint64_t seed)
    : state_(new State{options, {parameter_spec(options), initial_bound(options), seed}}) {}

ConvTranspose3d::ConvTranspose3d(const ConvTranspose3dOptions& options, Tensor weight, std::optional<Tensor> bias)
    : state_(new State{options, {parameter_spec(options), std::move(weight), std::move(bias)}}) {}

ConvTranspose3d::ConvTranspose3d(ConvTranspose3d&&) noexcept = default;
ConvTranspose3d& ConvTranspose3d::operator=(ConvTranspose3d&&) noexcept = default;
ConvTranspose3d::~ConvTranspose3d() = default;

const ConvTranspose3dOptions& ConvTranspose3d::options() const { return state_->options; }

Tensor& ConvTranspose3d::weight() { return state_->parameters.weight(); }
const Tensor& ConvTranspose3d::weight() const { return std::as_const(state_->parameters).weight(); }

std::optional<Tensor>& ConvTranspose3d::bias() { return state_->parameters.bias(); }
const std::optional<Tensor>& ConvTranspose3d::bias() const { return std::as_const(state_->parameters).bias(); }

Fusion ConvTranspose3d::absorb(const Pointwise& function) {
  const Fusion fusion = state_->parameters.absorb(function);
  state_->options.bias = std::as_const(state_->parameters).bias().has_value();
  return fusion;
}

Tensor ConvTranspose3d::forward(const Tensor& input, const ForwardOptions& options) const {
  const ConvTranspose3dOptions sized = sized_for(state_->options, input.shape(), options.output_size);
  Tensor output = Tensor::empty(output_shape(sized, input.shape()), sized.dtype);
  forward_into(input, output, options);
  return output;
}

void ConvTranspose3d::prepare(const Shape& input, const ForwardOptions& options) {
  const ConvTranspose3dOptions sized = sized_for(state_->options, input, options.output_size);
  state_->parameters.prepare(make_problem(sized, input.size() == 5 ? input[0] : 1, spatial(input)), options.threads);
}

void ConvTranspose3d::release() const { state_->parameters.release(); }

void ConvTranspose3d::forward_into(const Tensor& input, Tensor& output, const ForwardOptions& options) const {
  const std::size_t rank = input.shape().size();
  if (options.output_size.empty() && (rank == 4 || rank == 5) && output.shape().size() == rank) {
    if (const auto prepared = state_->parameters.prepared_for(input.view(), output.view(), options.threads)) {
      return prepared->run(input.view(), output.view(), options.observer);
    }
  }
  ConvTranspose3dOptions sized = sized_for(state_->options, input.shape(), options.output_size);
  if (input.dtype() != sized.dtype) {
    refuse("the input is " + std::string(name_of(input.dtype())) + "; expected the layer's dtype, " +
           std::string(name_of(sized.dtype)));
  }
  if (output.shape().size() != rank || output.dtype() != sized.dtype) {
    refuse("the output is " + std::string(name_of(output.dtype())) + " " + to_string(output.shape()) + "; expected " +
           std::string(name_of(sized.dtype)) + " of the input's rank " + std::to_string(rank));
  }
  Shape expected = output_shape(sized, input.shape());
  if (options.output_size.empty() && spatial(output.shape()) != spatial(expected)) {  // then the output tells its size
    sized = sized_for(sized, input.shape(), std::span(output.shape()).last(3));
    expected = output_shape(sized, input.shape());
  }
  if (output.shape() != expected) {
    refuse("the output has shape " + to_string(output.shape()) + "; expected " + to_string(expected));
  }
  const ConstTensorView source = input.view();
  const auto executor = state_->parameters.prepare(make_problem(sized, source.n, source.extent), options.threads);
  executor->run(source, output.view(), options.observer);
}

void ConvTranspose3d::forward_planes(const PlaneRun& run, const ForwardOptions& options) const {
  const ConvTranspose3dOptions sized = sized_for(state_->options, run.whole, options.output_size);
  const auto executor = state_->parameters.prepare(make_problem(sized, run.input.n, spatial(run.whole)), options.threads);
  executor->run_planes(run.input, run.held, run.output, run.wanted, options.observer);
}

Plan ConvTranspose3d::plan(const Shape& input, const ForwardOptions& options) const {
  const ConvTranspose3dOptions sized = sized_for(state_->options, input, options.output_size);
  return state_->parameters.plan(make_problem(sized, input.size() == 5 ? input[0] : 1, spatial(input)), options.threads);
}

std::string ConvTranspose3d::extra_repr() const { return convt3d::extra_repr(state_->options); }

std::int64_t ConvTranspose3d::parameter_count() const { return state_->parameters.count(); }

}  // namespace convt3d
