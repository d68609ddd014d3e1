#include "convt3d/nn/conv_transpose3d.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/base/machine.hpp"
#include "convt3d/conv/executor.hpp"
#include "convt3d/conv/shape.hpp"
#include "convt3d/nn/random.hpp"

namespace convt3d {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kShape, "ConvTranspose3d: " + what); }

Shape weight_shape(const ConvTranspose3dOptions& o) {
  return {o.in_channels, o.out_channels / o.groups, o.kernel_size.d, o.kernel_size.h, o.kernel_size.w};
}

/// U(-bound, bound), rounded to the tensor's dtype.
Tensor uniform(Shape shape, DType dtype, double bound, SplitMix64& random) {
  Tensor tensor = Tensor::empty(std::move(shape), dtype);
  if (dtype == DType::kFloat64) {
    for (double& value : tensor.values<double>()) value = bound * random.next_signed_unit();
  } else {
    for (float& value : tensor.values<float>()) value = static_cast<float>(bound * random.next_signed_unit());
  }
  return tensor;
}

void require_parameter(const char* name, const Tensor& tensor, const Shape& shape, DType dtype) {
  if (tensor.shape() != shape) {
    refuse(std::string(name) + " has shape " + to_string(tensor.shape()) + "; expected " + to_string(shape));
  }
  if (tensor.dtype() != dtype) {
    refuse(std::string(name) + " is " + std::string(name_of(tensor.dtype())) + "; expected the layer's dtype, " +
           std::string(name_of(dtype)));
  }
}

void require_parameters(const ConvTranspose3dOptions& o, const Tensor& weight, const std::optional<Tensor>& bias) {
  require_parameter("weight", weight, weight_shape(o), o.dtype);
  if (bias.has_value() != o.bias) {
    refuse(o.bias ? "bias is missing; expected a tensor of " + std::to_string(o.out_channels) + ", or bias=false"
                  : "a bias is given to a layer with bias=false");
  }
  if (bias) require_parameter("bias", *bias, {o.out_channels}, o.dtype);
}

/// A fingerprint of the elements: what was packed from them is stale when it differs. Four independent chains, since one
/// multiplication per word is the cost.
std::uint64_t fingerprint(const Tensor& tensor) {
  constexpr std::uint64_t kPrime = 0x9fb21c651e98df25u;
  std::array<std::uint64_t, 4> chain = {1, 2, 3, 4};
  const auto* bytes = static_cast<const unsigned char*>(tensor.raw());
  const auto size = static_cast<std::size_t>(tensor.size_bytes());
  std::size_t at = 0;
  for (; at + 32 <= size; at += 32) {
    std::array<std::uint64_t, 4> words{};
    std::memcpy(words.data(), bytes + at, 32);
    for (std::size_t i = 0; i < 4; ++i) chain[i] = std::rotl(chain[i] ^ words[i], 29) * kPrime;
  }
  for (; at < size; ++at) chain[0] = std::rotl(chain[0] ^ bytes[at], 29) * kPrime;
  return chain[0] ^ std::rotl(chain[1], 13) ^ std::rotl(chain[2], 27) ^ std::rotl(chain[3], 41);
}

/// The options under which an input gives an output of `output_size` voxels.
ConvTranspose3dOptions with_output_size(ConvTranspose3dOptions options, const Extent3& input,
                                        std::span<const std::int64_t> output_size) {
  if (!output_size.empty()) options.output_padding = output_padding_for(options, input, output_size);
  return options;
}

Extent3 spatial(const Shape& shape) { return {shape[shape.size() - 3], shape[shape.size() - 2], shape[shape.size() - 1]}; }

}  // namespace

struct ConvTranspose3d::State {
  ConvTranspose3dOptions options;
  Tensor weight;
  std::optional<Tensor> bias;
  bool exposed = false;  ///< a writable reference to weight or bias is out: they may change at any time

  /// What the last shape was prepared to, with the fingerprint of the weights it was packed from.
  struct Packed {
    Packed(Plan plan, const State& state)
        : print(state.print()),
          executor(std::move(plan), state.weight.raw(), state.bias ? std::as_const(*state.bias).raw() : nullptr) {}
    std::uint64_t print;
    Executor executor;
  };
  mutable std::mutex mutex;
  mutable std::shared_ptr<const Packed> packed;

  std::uint64_t print() const {
    if (!exposed) return 0;
    return fingerprint(weight) ^ (bias ? std::rotl(fingerprint(*bias), 1) : 0);
  }

  Plan plan(const ConvTranspose3dOptions& sized, std::int64_t n, const Extent3& input, int threads) const {
    static const Machine machine = Machine::detect();
    return make_plan(make_problem(sized, n, input), machine,
                     {.threads = threads, .force_algorithm = {}, .separable = false});
  }

  /// The packed weights for this problem, from the last time if they still hold.
  std::shared_ptr<const Packed> prepare(const ConvTranspose3dOptions& sized, std::int64_t n, const Extent3& input,
                                        int threads) const {
    require_parameters(options, weight, bias);
    const std::lock_guard lock(mutex);
    if (packed) {
      const Plan& last = packed->executor.plan();
      const Problem problem = make_problem(sized, n, input);
      if (last.problem == problem && (threads <= 0 || last.threads == threads) && packed->print == print()) return packed;
    }
    packed.reset();  // first give back, then take: the peak is one copy of the weights, not two
    packed = std::make_shared<const Packed>(plan(sized, n, input, threads), *this);
    return packed;
  }
};

ConvTranspose3d::ConvTranspose3d(const ConvTranspose3dOptions& options, std::uint64_t seed)
    : state_(std::make_unique<State>()) {
  validate(options);
  state_->options = options;
  SplitMix64 random(seed);
  const double bound = initial_bound(options);
  state_->weight = uniform(weight_shape(options), options.dtype, bound, random);
  if (options.bias) state_->bias = uniform({options.out_channels}, options.dtype, bound, random);
}

ConvTranspose3d::ConvTranspose3d(const ConvTranspose3dOptions& options, Tensor weight, std::optional<Tensor> bias)
    : state_(std::make_unique<State>()) {
  validate(options);
  require_parameters(options, weight, bias);
  state_->options = options;
  state_->weight = std::move(weight);
  state_->bias = std::move(bias);
}

ConvTranspose3d::ConvTranspose3d(ConvTranspose3d&&) noexcept = default;
ConvTranspose3d& ConvTranspose3d::operator=(ConvTranspose3d&&) noexcept = default;
ConvTranspose3d::~ConvTranspose3d() = default;

const ConvTranspose3dOptions& ConvTranspose3d::options() const { return state_->options; }

Tensor& ConvTranspose3d::weight() {
  state_->exposed = true;
  return state_->weight;
}
const Tensor& ConvTranspose3d::weight() const { return state_->weight; }

std::optional<Tensor>& ConvTranspose3d::bias() {
  state_->exposed = true;
  return state_->bias;
}
const std::optional<Tensor>& ConvTranspose3d::bias() const { return state_->bias; }

Tensor ConvTranspose3d::forward(const Tensor& input, const ForwardOptions& options) const {
  output_shape(state_->options, input.shape());  // refuses rank and channels before anything is read from the shape
  const ConvTranspose3dOptions sized = with_output_size(state_->options, spatial(input.shape()), options.output_size);
  Tensor output = Tensor::empty(output_shape(sized, input.shape()), sized.dtype);
  forward_into(input, output, options);
  return output;
}

void ConvTranspose3d::prepare(const Shape& input, const ForwardOptions& options) {
  output_shape(state_->options, input);
  const ConvTranspose3dOptions sized = with_output_size(state_->options, spatial(input), options.output_size);
  state_->prepare(sized, input.size() == 5 ? input[0] : 1, spatial(input), options.threads);
}

void ConvTranspose3d::forward_into(const Tensor& input, Tensor& output, const ForwardOptions& options) const {
  output_shape(state_->options, input.shape());
  if (input.dtype() != state_->options.dtype) {
    refuse("the input is " + std::string(name_of(input.dtype())) + "; expected the layer's dtype, " +
           std::string(name_of(state_->options.dtype)));
  }
  if (output.shape().size() != input.shape().size() || output.dtype() != state_->options.dtype) {
    refuse("the output is " + std::string(name_of(output.dtype())) + " " + to_string(output.shape()) + "; expected " +
           std::string(name_of(state_->options.dtype)) + " of the input's rank " + std::to_string(input.shape().size()));
  }
  const ConstTensorView source = input.view();
  const TensorView target = output.view();
  const std::array<std::int64_t, 3> found = {target.extent.d, target.extent.h, target.extent.w};
  const ConvTranspose3dOptions sized =
      with_output_size(state_->options, source.extent,
                       options.output_size.empty() ? std::span<const std::int64_t>(found) : options.output_size);
  if (const Shape expected = output_shape(sized, input.shape()); output.shape() != expected) {
    refuse("the output has shape " + to_string(output.shape()) + "; expected " + to_string(expected));
  }
  state_->prepare(sized, source.n, source.extent, options.threads)->executor.run(source, target, options.observer);
}

Plan ConvTranspose3d::plan(const Shape& input, const ForwardOptions& options) const {
  output_shape(state_->options, input);
  const ConvTranspose3dOptions sized = with_output_size(state_->options, spatial(input), options.output_size);
  return state_->plan(sized, input.size() == 5 ? input[0] : 1, spatial(input), options.threads);
}

std::string ConvTranspose3d::extra_repr() const { return convt3d::extra_repr(state_->options); }

std::int64_t ConvTranspose3d::parameter_count() const {
  return state_->weight.size() + (state_->bias ? state_->bias->size() : 0);
}

}  // namespace convt3d
