#include "convt3d/model/conv_builder.hpp"

#include <algorithm>
#include <array>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

using Form = WeightSource::Form;

const char* axes_of(bool oidhw) { return oidhw ? "(out, in/groups, kd, kh, kw)" : "(in, out/groups, kd, kh, kw)"; }

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

ConvSaid parse_said(const Node& layer, BuildContext& context) {
  constexpr std::array<std::string_view, 2> kWeights = {"weight", "bias"};
  ConvSaid said;
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

void require_stored_dtype(const ConvSaid& said, const std::optional<WeightSource>& source) {
  if (!said.stored_dtype || !source || !source->from_file || source->values->dtype() == *said.stored_dtype) return;
  source->node.fail("dtype mismatch", {"the layer's dtype is " + std::string(name_of(*said.stored_dtype)),
                                       source->holder + " holds " + std::string(name_of(source->values->dtype()))});
}

bool has_values(const std::optional<WeightSource>& source) { return source && source->form == Form::kValues; }

/// bias where it is not said: as the tensors tell; the module's default, true, where there are none.
bool infer_bias(const ConvSaid& said) {
  if (said.bias) return *said.bias;
  return said.bias_source || !(has_values(said.weight_source) || has_kernel(said));
}

/// Fills the channels and the kernel size that are not said from a weight tensor's shape.
void infer_from_shape(ConvSaid& said, bool oidhw) {
  if (!has_values(said.weight_source) || !said.weight_source->shaped) return;
  const Shape& shape = said.weight_source->values->shape();
  if (shape.size() != 5) {
    said.weight_source->node.fail("shape mismatch", {std::string("the layer expects 5 axes, ") + axes_of(oidhw),
                                                     said.weight_source->holder + " holds " + to_string(shape)});
  }
  const std::int64_t groups = said.groups.value_or(1);
  const bool out_first = said.weight_source->oidhw.value_or(oidhw);
  if (!said.in_channels) said.in_channels = out_first ? shape[1] * groups : shape[0];
  if (!said.out_channels) said.out_channels = out_first ? shape[0] : shape[1] * groups;
  if (!said.kernel_size) said.kernel_size = Extent3(shape[2], shape[3], shape[4]);
}

/// Counts the weights to come, before they are made up.
void count_generated(const Node& layer, const ConvSaid& said, const ConvForm& form, BuildContext& context) {
  const auto size = static_cast<std::int64_t>(size_of(form.dtype));
  const Extent3& k = form.kernel_size;
  const auto taps = checked_mul(checked_mul(checked_mul(k.d, k.h), k.w), size);
  const auto weight = checked_mul(checked_mul(taps, form.in_channels), form.out_channels / form.groups);
  if (!has_values(said.weight_source)) context.files.count_generated(layer, weight.value_or(INT64_MAX));
  if (form.bias && !has_values(said.bias_source)) context.files.count_generated(layer, form.out_channels * size);
}

/// (a, b/groups, taps) to (b, a/groups, taps): within each group the first two axes change places.
Tensor exchanged(const Tensor& stored, std::int64_t groups) {
  const Shape& shape = stored.shape();
  const std::int64_t bytes = shape[2] * shape[3] * shape[4] * static_cast<std::int64_t>(size_of(stored.dtype()));
  const std::int64_t firsts = shape[0] / groups;
  const std::int64_t seconds = shape[1];
  Tensor result = Tensor::empty({seconds * groups, firsts, shape[2], shape[3], shape[4]}, stored.dtype());
  const auto* const from = static_cast<const char*>(stored.raw());
  auto* const to = static_cast<char*>(result.raw());
  for (std::int64_t group = 0; group < groups; ++group) {
    for (std::int64_t second = 0; second < seconds; ++second) {
      for (std::int64_t first = 0; first < firsts; ++first) {
        const std::int64_t source = (group * firsts + first) * seconds + second;
        std::copy_n(from + source * bytes, bytes, to + ((group * seconds + second) * firsts + first) * bytes);
      }
    }
  }
  return result;
}

Tensor weight_from_values(const WeightSource& source, const ConvForm& form) {
  const Extent3& k = form.kernel_size;
  const auto shape_of = [&](bool oidhw) -> Shape {
    if (oidhw) return {form.out_channels, form.in_channels / form.groups, k.d, k.h, k.w};
    return {form.in_channels, form.out_channels / form.groups, k.d, k.h, k.w};
  };
  const bool stored = source.oidhw.value_or(form.oidhw);
  std::string advice;
  if (source.shaped && source.values && source.from_file && source.values->shape() == shape_of(!stored)) {
    advice = stored ? "if it is (in, out, …) " : "if it is (out, in, …) ";
    advice +=
        source.oidhw ? R"(leave out "layout")" : std::string(R"(add "layout": ")") + (stored ? "iodhw" : "oidhw") + "\"";
  }
  Tensor weight = tensor_from(source, shape_of(stored), form.dtype, axes_of(stored), advice);
  return stored == form.oidhw ? std::move(weight) : exchanged(weight, form.groups);
}

Tensor build_weight(const Node& layer, const ConvSaid& said, const ConvForm& form,
                    const std::function<Tensor(const WeightSource&)>& interpolate, BuildContext& context) {
  const std::optional<WeightSource>& source = said.weight_source;
  if (!source) {
    context.warnings.push_back(layer.place() + ": no weight is given: it is random (kaiming_uniform, seed 0)");
    return form.draw(0).first;
  }
  switch (source->form) {
    case Form::kKaimingUniform: return form.draw(source->seed).first;
    case Form::kKernel: return interpolate(*source);
    case Form::kValues:
    case Form::kConstant: break;
  }
  return weight_from_values(*source, form);
}

/// The module draws its bias after its weight, from the same seed: an initialised weight without a word on the bias gives
/// both.
std::optional<Tensor> build_bias(const Node& layer, const ConvSaid& said, const ConvForm& form, BuildContext& context) {
  const std::optional<WeightSource>& source = said.bias_source;
  if (!form.bias) {
    if (source) source->node.fail("a bias is given to a layer with \"bias\": false");
    return std::nullopt;
  }
  if (source && source->form == Form::kKernel) source->node.fail("an interpolation kernel is no bias");
  if (source && source->form != Form::kKaimingUniform) {
    refuse_layout(*source);
    return tensor_from(*source, {form.out_channels}, form.dtype, "(out,)");
  }
  std::uint64_t seed = source ? source->seed : 0;
  if (!source && said.weight_source && said.weight_source->form == Form::kKaimingUniform) {
    seed = said.weight_source->seed;
  } else if (!source && said.weight_source) {
    context.warnings.push_back(layer.place() + ": no bias is given: it is random (kaiming_uniform, seed 0)");
  }
  return form.draw(seed).second;
}

}  // namespace

bool has_kernel(const ConvSaid& said) { return said.weight_source && said.weight_source->form == Form::kKernel; }

ConvSaid parse_conv(const Node& layer, bool oidhw, BuildContext& context) {
  require_cpu(layer);
  ConvSaid said = parse_said(layer, context);
  require_stored_dtype(said, said.weight_source);
  require_stored_dtype(said, said.bias_source);
  infer_from_shape(said, oidhw);
  if (!said.kernel_size) {
    layer.fail_at("kernel_size", "this key is missing", {"it may be left out only with a weight that has a shape"});
  }
  said.bias = infer_bias(said);
  return said;
}

void fill_channels(ConvSaid& said, const BuildContext& context) {
  if (!said.in_channels) said.in_channels = context.channels.value_or(said.groups.value_or(1));
  if (!said.out_channels) said.out_channels = said.in_channels;
}

ConvTensors build_tensors(const Node& layer, const ConvSaid& said, const ConvForm& form,
                          const std::function<Tensor(const WeightSource&)>& interpolate, BuildContext& context) {
  count_generated(layer, said, form, context);
  Tensor weight = build_weight(layer, said, form, interpolate, context);
  return {std::move(weight), build_bias(layer, said, form, context)};
}

}  // namespace convt3d
