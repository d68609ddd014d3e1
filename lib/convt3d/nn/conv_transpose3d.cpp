#include "convt3d/nn/conv_transpose3d.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <mutex>
#include <span>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/base/machine.hpp"
#include "convt3d/conv/executor.hpp"
#include "convt3d/conv/separable.hpp"
#include "convt3d/conv/shape.hpp"
#include "convt3d/nn/random.hpp"

namespace convt3d {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kShape, "ConvTranspose3d: " + what); }

std::array<std::int64_t, 5> weight_shape(const ConvTranspose3dOptions& o) {
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

void require_parameter(const char* name, const Tensor& tensor, std::span<const std::int64_t> shape, DType dtype) {
  if (!std::ranges::equal(tensor.shape(), shape)) {
    refuse(std::string(name) + " has shape " + to_string(tensor.shape()) + "; expected " +
           to_string(Shape(shape.begin(), shape.end())));
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
  if (bias) require_parameter("bias", *bias, std::array{o.out_channels}, o.dtype);
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
    require_parameters(options, weight, bias);
    const Problem problem = make_problem(sized, n, input);
    const bool separable = is_separable(problem, weight.raw());
    return make_plan(problem, machine, {.threads = threads, .force_algorithm = {}, .separable = separable});
  }

  /// The packed weights for this problem, from the last time if they still hold.
  std::shared_ptr<const Packed> prepare(const ConvTranspose3dOptions& sized, std::int64_t n, const Extent3& input,
                                        int threads) const {
    require_parameters(options, weight, bias);
    const std::lock_guard lock(mutex);
    if (packed && packed->executor.plan().problem == make_problem(sized, n, input) && holds(threads)) return packed;
    packed.reset();  // first give back, then take: the peak is one copy of the weights, not two
    packed = std::make_shared<const Packed>(plan(sized, n, input, threads), *this);
    return packed;
  }

  /// What was packed last, if it takes `from` to `to` and still holds. A prepared run finds it without allocating.
  std::shared_ptr<const Packed> prepared_for(const ConstTensorView& from, const TensorView& to, int threads) const {
    require_parameters(options, weight, bias);
    const std::lock_guard lock(mutex);
    if (!packed || !holds(threads)) return nullptr;
    const Problem& p = packed->executor.plan().problem;
    const bool takes = from.dtype == p.dtype && from.n == p.n && from.c == p.ci && from.extent == p.input;
    const bool gives = to.dtype == p.dtype && to.n == p.n && to.c == p.co && to.extent == p.output;
    return takes && gives ? packed : nullptr;
  }

 private:
  bool holds(int threads) const {
    return (threads <= 0 || packed->executor.plan().threads == threads) && packed->print == print();
  }
};

ConvTranspose3d::ConvTranspose3d(const ConvTranspose3dOptions& options, std::uint64_t seed)
    : state_(std::make_unique<State>()) {
  validate(options);
  state_->options = options;
  SplitMix64 random(seed);
  const double bound = initial_bound(options);
  const auto shape = weight_shape(options);
  state_->weight = uniform(Shape(shape.begin(), shape.end()), options.dtype, bound, random);
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
  const ConvTranspose3dOptions sized = sized_for(state_->options, input.shape(), options.output_size);
  Tensor output = Tensor::empty(output_shape(sized, input.shape()), sized.dtype);
  forward_into(input, output, options);
  return output;
}

void ConvTranspose3d::prepare(const Shape& input, const ForwardOptions& options) {
  const ConvTranspose3dOptions sized = sized_for(state_->options, input, options.output_size);
  state_->prepare(sized, input.size() == 5 ? input[0] : 1, spatial(input), options.threads);
}

void ConvTranspose3d::forward_into(const Tensor& input, Tensor& output, const ForwardOptions& options) const {
  const std::size_t rank = input.shape().size();
  if (options.output_size.empty() && (rank == 4 || rank == 5) && output.shape().size() == rank) {
    if (const auto prepared = state_->prepared_for(input.view(), output.view(), options.threads)) {
      return prepared->executor.run(input.view(), output.view(), options.observer);
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
  state_->prepare(sized, source.n, source.extent, options.threads)->executor.run(source, output.view(), options.observer);
}

Plan ConvTranspose3d::plan(const Shape& input, const ForwardOptions& options) const {
  const ConvTranspose3dOptions sized = sized_for(state_->options, input, options.output_size);
  return state_->plan(sized, input.size() == 5 ? input[0] : 1, spatial(input), options.threads);
}

std::string ConvTranspose3d::extra_repr() const { return convt3d::extra_repr(state_->options); }

std::int64_t ConvTranspose3d::parameter_count() const {
  return state_->weight.size() + (state_->bias ? state_->bias->size() : 0);
}

}  // namespace convt3d
