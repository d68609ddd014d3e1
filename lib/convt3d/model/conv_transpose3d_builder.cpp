#include <algorithm>
#include <array>
#include <utility>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/model/interpolation.hpp"
#include "convt3d/model/layer_table.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"

namespace convt3d {
namespace {

using Form = WeightSource::Form;

/// What the config says of a layer before anything is inferred.
struct Said {
  std::optional<std::int64_t> in_channels;
  std::optional<std::int64_t> out_channels;
  std::optional<std::int64_t> groups;
  std::optional<Extent3> kernel_size;
  std::optional<bool> bias;
  std::optional<DType> stored_dtype;  ///< float16, bfloat16 or an integer: what the weight files hold
  std::optional<WeightSource> weight_source;
  std::optional<WeightSource> bias_source;
};

std::optional<std::int64_t> find_count(const Node& layer, std::string_view key) {
  const std::optional<Node> member = layer.find(key);
  return member ? std::optional(member->integer(1)) : std::nullopt;
}

std::optional<DType> parse_dtype(const Node& layer) {
  const std::optional<Node> member = layer.find("dtype");
  return member ? dtype_from_name(member->word(kStoredDTypes)) : std::nullopt;
}

void require_cpu(const Node& layer) {
  const std::optional<Node> device = layer.find("device");
  if (!device || device->value().is_null() || (device->is_string() && device->string() == "cpu")) return;
  device->fail_expected("null or \"cpu\", the only device computed on");
}

Said parse_said(const Node& layer, BuildContext& context) {
  constexpr std::array<std::string_view, 2> kWeights = {"weight", "bias"};
  Said said;
  said.in_channels = find_count(layer, "in_channels");
  said.out_channels = find_count(layer, "out_channels");
  said.groups = find_count(layer, "groups");
  if (const auto kernel_size = layer.find("kernel_size")) said.kernel_size = kernel_size->extent(1);
  if (const auto has_bias = layer.find("bias")) said.bias = has_bias->boolean();
  const std::optional<DType> dtype = parse_dtype(layer);
  if (dtype && *dtype != DType::kFloat32 && *dtype != DType::kFloat64) said.stored_dtype = dtype;
  auto [weight, bias] = parse_weights(layer, kWeights, context.files);
  said.weight_source = std::move(weight);
  said.bias_source = std::move(bias);
  return said;
}

void require_stored_dtype(const Said& said, const std::optional<WeightSource>& source) {
  if (!said.stored_dtype || !source || !source->from_file || source->values->dtype() == *said.stored_dtype) return;
  source->node.fail("dtype mismatch", {"the layer's dtype is " + std::string(name_of(*said.stored_dtype)),
                                       source->holder + " holds " + std::string(name_of(source->values->dtype()))});
}

bool has_values(const std::optional<WeightSource>& source) { return source && source->form == Form::kValues; }

bool has_kernel(const std::optional<WeightSource>& source) { return source && source->form == Form::kKernel; }

/// bias where it is not said: as the tensors tell; the module's default, true, where there are none.
bool infer_bias(const Said& said) {
  if (said.bias) return *said.bias;
  return said.bias_source || !(has_values(said.weight_source) || has_kernel(said.weight_source));
}

/// Fills the channels and the kernel size that are not said from a weight tensor's shape.
void infer_from_shape(Said& said) {
  if (!has_values(said.weight_source) || !said.weight_source->shaped) return;
  const Shape& shape = said.weight_source->values->shape();
  if (shape.size() != 5) {
    said.weight_source->node.fail("shape mismatch", {"the layer expects 5 axes, (in, out/groups, kd, kh, kw)",
                                                     said.weight_source->holder + " holds " + to_string(shape)});
  }
  const std::int64_t groups = said.groups.value_or(1);
  const bool oidhw = said.weight_source->oidhw;
  if (!said.in_channels) said.in_channels = oidhw ? shape[1] * groups : shape[0];
  if (!said.out_channels) said.out_channels = oidhw ? shape[0] : shape[1] * groups;
  if (!said.kernel_size) said.kernel_size = Extent3(shape[2], shape[3], shape[4]);
}

/// What nothing tells: the channels that arrive, or one per group, and as many out as in.
void fill_channels(Said& said, const BuildContext& context) {
  if (!said.in_channels) said.in_channels = context.channels.value_or(said.groups.value_or(1));
  if (!said.out_channels) said.out_channels = said.in_channels;
}

/// An interpolation kernel is the same for each channel: in = out = groups, be it said by whichever of them. Returns whether
/// none is said, so that any number of channels may arrive.
bool fill_channels_of_kernel(const Node& layer, Said& said) {
  const std::optional<std::int64_t> count = said.in_channels    ? said.in_channels
                                            : said.out_channels ? said.out_channels
                                                                : said.groups;
  for (const auto& [key, its] : {std::pair{"out_channels", said.out_channels}, std::pair{"groups", said.groups}}) {
    if (!its || *its == *count) continue;
    layer.fail_at(key, "an interpolation kernel works on each channel alone: in_channels, out_channels and groups are equal",
                  {"expected " + std::to_string(*count) + ", found " + std::to_string(*its) + "; or leave all three out"});
  }
  said.in_channels = said.out_channels = said.groups = count.value_or(1);
  return !count;
}

ConvTranspose3dOptions parse_options(const Node& layer, const Said& said, const BuildContext& context) {
  ConvTranspose3dOptions options;
  options.in_channels = *said.in_channels;
  options.out_channels = *said.out_channels;
  options.kernel_size = *said.kernel_size;
  options.stride = layer.extent_or(1, "stride", 1);
  options.padding = layer.extent_or(0, "padding", 0);
  options.output_padding = layer.extent_or(0, "output_padding", 0);
  options.groups = said.groups.value_or(1);
  options.bias = infer_bias(said);
  options.dilation = layer.extent_or(1, "dilation", 1);
  options.dtype = context.dtype;
  try {
    validate(options);
  } catch (const Error& error) {
    layer.fail(error.what());
  }
  return options;
}

/// Counts the weights to come, before they are made up.
void count_generated(const Node& layer, const Said& said, const ConvTranspose3dOptions& options, BuildContext& context) {
  const auto size = static_cast<std::int64_t>(size_of(options.dtype));
  const Extent3& k = options.kernel_size;
  const auto taps = checked_mul(checked_mul(checked_mul(k.d, k.h), k.w), size);
  const auto weight = checked_mul(checked_mul(taps, options.in_channels), options.out_channels / options.groups);
  if (!has_values(said.weight_source)) context.files.count_generated(layer, weight.value_or(INT64_MAX));
  if (options.bias && !has_values(said.bias_source)) context.files.count_generated(layer, options.out_channels * size);
}

/// (out, in/groups, kd, kh, kw) to (in, out/groups, kd, kh, kw): within each group the first two axes change places.
Tensor from_oidhw(const Tensor& stored, const ConvTranspose3dOptions& options) {
  const Extent3& k = options.kernel_size;
  const std::int64_t bytes = k.d * k.h * k.w * static_cast<std::int64_t>(size_of(stored.dtype()));
  const std::int64_t ins = options.in_channels / options.groups;
  const std::int64_t outs = options.out_channels / options.groups;
  Tensor weight = Tensor::empty({options.in_channels, outs, k.d, k.h, k.w}, stored.dtype());
  const auto* const from = static_cast<const char*>(stored.raw());
  auto* const to = static_cast<char*>(weight.raw());
  for (std::int64_t group = 0; group < options.groups; ++group) {
    for (std::int64_t in = 0; in < ins; ++in) {
      for (std::int64_t out = 0; out < outs; ++out) {
        const std::int64_t source = (group * outs + out) * ins + in;
        std::copy_n(from + source * bytes, bytes, to + ((group * ins + in) * outs + out) * bytes);
      }
    }
  }
  return weight;
}

Tensor weight_from_values(const WeightSource& source, const ConvTranspose3dOptions& options) {
  const Extent3& k = options.kernel_size;
  const Shape iodhw = {options.in_channels, options.out_channels / options.groups, k.d, k.h, k.w};
  const Shape oidhw = {options.out_channels, options.in_channels / options.groups, k.d, k.h, k.w};
  const bool shaped = source.shaped && source.values;
  if (source.oidhw) {
    const bool other = shaped && source.values->shape() == iodhw;
    return from_oidhw(tensor_from(source, oidhw, options.dtype, "(out, in/groups, kd, kh, kw)",
                                  other ? "if it is (in, out, …) leave out \"layout\"" : ""),
                      options);
  }
  const bool other = shaped && source.from_file && source.values->shape() == oidhw;
  return tensor_from(source, iodhw, options.dtype, "(in, out/groups, kd, kh, kw)",
                     other ? R"(if it is (out, in, …) add "layout": "oidhw")" : "");
}

Tensor weight_from_kernel(const Node& layer, const WeightSource& source, const ConvTranspose3dOptions& options) {
  if (options.dilation != Extent3(1))
    layer.fail_at("dilation", "an interpolation kernel is as wide as its stride says: leave this out");
  std::vector<double> taps;
  try {
    taps = interpolation_weight(source.kernel, options.kernel_size, options.stride);
  } catch (const Error& error) {
    source.node.fail(error.what());
  }
  const Extent3& k = options.kernel_size;
  Tensor weight = Tensor::empty({options.in_channels, 1, k.d, k.h, k.w}, DType::kFloat64);
  double* to = weight.data<double>();
  for (std::int64_t channel = 0; channel < options.in_channels; ++channel) to = std::copy(taps.begin(), taps.end(), to);
  return convert(weight, options.dtype);
}

Tensor build_weight(const Node& layer, const Said& said, const ConvTranspose3dOptions& options, BuildContext& context) {
  const std::optional<WeightSource>& source = said.weight_source;
  if (!source) {
    context.warnings.push_back(layer.place() + ": no weight is given: it is random (kaiming_uniform, seed 0)");
    return std::move(ConvTranspose3d(options, 0).weight());
  }
  switch (source->form) {
    case Form::kKaimingUniform: return std::move(ConvTranspose3d(options, source->seed).weight());
    case Form::kKernel: return weight_from_kernel(layer, *source, options);
    case Form::kValues:
    case Form::kConstant: break;
  }
  return weight_from_values(*source, options);
}

/// The module draws its bias after its weight, from the same seed: an initialised weight without a word on the bias gives
/// both.
std::optional<Tensor> build_bias(const Node& layer, const Said& said, const ConvTranspose3dOptions& options,
                                 BuildContext& context) {
  const std::optional<WeightSource>& source = said.bias_source;
  if (!options.bias) {
    if (source) source->node.fail("a bias is given to a layer with \"bias\": false");
    return std::nullopt;
  }
  if (source && source->form == Form::kKernel) source->node.fail("an interpolation kernel is no bias");
  if (source && source->form != Form::kKaimingUniform) {
    refuse_layout(*source);
    return tensor_from(*source, {options.out_channels}, options.dtype, "(out,)");
  }
  std::uint64_t seed = source ? source->seed : 0;
  if (!source && said.weight_source && said.weight_source->form == Form::kKaimingUniform) {
    seed = said.weight_source->seed;
  } else if (!source && said.weight_source) {
    context.warnings.push_back(layer.place() + ": no bias is given: it is random (kaiming_uniform, seed 0)");
  }
  return std::move(*ConvTranspose3d(options, seed).bias());
}

std::vector<std::int64_t> parse_output_size(const Node& layer) {
  const std::optional<Node> member = layer.find("output_size");
  if (!member || member->value().is_null()) return {};
  const Extent3 size = member->extent(1);
  return {size.d, size.h, size.w};
}

}  // namespace

BuiltLayer build_conv_transpose3d(const Node& layer, BuildContext& context) {
  require_cpu(layer);
  Said said = parse_said(layer, context);
  require_stored_dtype(said, said.weight_source);
  require_stored_dtype(said, said.bias_source);
  infer_from_shape(said);
  if (!said.kernel_size) {
    layer.fail_at("kernel_size", "this key is missing", {"it may be left out only with a weight that has a shape"});
  }
  bool each_alone = false;
  if (has_kernel(said.weight_source)) {
    each_alone = fill_channels_of_kernel(layer, said);
  } else {
    fill_channels(said, context);
  }
  const ConvTranspose3dOptions options = parse_options(layer, said, context);
  count_generated(layer, said, options, context);
  Tensor weight = build_weight(layer, said, options, context);
  std::optional<Tensor> bias = build_bias(layer, said, options, context);
  BuiltLayer built;
  built.layer = std::make_unique<ConvTranspose3dLayer>(ConvTranspose3d(options, std::move(weight), std::move(bias)),
                                                       parse_output_size(layer),
                                                       each_alone ? ChannelUse::kEachAlone : ChannelUse::kMixed);
  if (!each_alone) {
    built.in_channels = options.in_channels;
    built.out_channels = options.out_channels;
  }
  return built;
}

}  // namespace convt3d
