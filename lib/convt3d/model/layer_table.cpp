#include "convt3d/model/layer_table.hpp"

#include <array>
#include <utility>

#include "convt3d/nn/activations.hpp"
#include "convt3d/nn/bspline_prefilter.hpp"
#include "convt3d/nn/pad.hpp"

namespace convt3d {
namespace {

/// A layer that takes any number of channels.
template <typename Parameters>
BuiltLayer any_channels(Parameters&& parameters) {
  return {make_layer(std::forward<Parameters>(parameters)), std::nullopt, std::nullopt};
}

/// One integer for all faces, [D, H, W] for both faces of an axis, or (front, back, top, bottom, left, right).
Margins parse_margins(const Node& node) {
  if (node.is_array() && node.size() == 6) {
    std::array<std::int64_t, 6> faces{};
    for (std::size_t i = 0; i < faces.size(); ++i) faces[i] = node.at(i).integer(0);
    return {{faces[0], faces[2], faces[4]}, {faces[1], faces[3], faces[5]}};
  }
  if (node.is_array() && node.size() != 3) {
    node.fail_expected("an integer, [D, H, W] or [front, back, top, bottom, left, right]");
  }
  const Extent3 both = node.extent(0);
  return {both, both};
}

BuiltLayer build_pad(const Node& layer, BuildContext&) {
  constexpr std::array<std::string_view, 3> kModes = {"zeros", "replicate", "reflect"};
  Pad pad{.mode = PadMode::kZeros, .padding = parse_margins(layer.at("padding"))};
  if (const auto mode = layer.find("mode")) pad.mode = *pad_mode_from_name(mode->word(kModes));
  return any_channels(pad);
}

BuiltLayer build_crop(const Node& layer, BuildContext&) {
  return any_channels(Crop{.padding = parse_margins(layer.at("padding"))});
}

BuiltLayer build_relu(const Node& layer, BuildContext&) {
  return any_channels(ReLU{.inplace = layer.boolean_or(false, "inplace")});
}

BuiltLayer build_leaky_relu(const Node& layer, BuildContext&) {
  return any_channels(LeakyReLU{.negative_slope = layer.number_or(LeakyReLU{}.negative_slope, "negative_slope"),
                                .inplace = layer.boolean_or(false, "inplace")});
}

/// The slopes are `init` each, unless `weights` has them; num_parameters is then theirs.
BuiltLayer build_prelu(const Node& layer, BuildContext& context) {
  constexpr std::array<std::string_view, 1> kWeights = {"weight"};
  std::optional<std::int64_t> count;
  if (const auto given = layer.find("num_parameters")) count = given->integer(1);
  const double init = layer.number_or(0.25, "init");

  auto [source] = parse_weights(layer, kWeights, context.files);
  if (!source) source = WeightSource{.node = layer, .form = WeightSource::Form::kConstant, .constant = init};
  if (source->form != WeightSource::Form::kValues && source->form != WeightSource::Form::kConstant) {
    source->node.fail("PReLU's weight is a list, a file or a constant");
  }
  if (!count) count = source->values ? source->values->size() : 1;
  refuse_layout(*source);
  if (!source->values) context.files.count_generated(source->node, *count * static_cast<std::int64_t>(sizeof(double)));
  BuiltLayer built = any_channels(PReLU{tensor_from(*source, {*count}, context.dtype, "(num_parameters,)")});
  if (*count > 1) built.in_channels = built.out_channels = *count;
  return built;
}

BuiltLayer build_elu(const Node& layer, BuildContext&) {
  return any_channels(ELU{.alpha = layer.number_or(ELU{}.alpha, "alpha"), .inplace = layer.boolean_or(false, "inplace")});
}

BuiltLayer build_gelu(const Node& layer, BuildContext&) {
  constexpr std::array<std::string_view, 2> kApproximations = {"none", "tanh"};
  GELU gelu;
  if (const auto name = layer.find("approximate"))
    gelu.approximate = *gelu_approximate_from_name(name->word(kApproximations));
  return any_channels(gelu);
}

BuiltLayer build_silu(const Node& layer, BuildContext&) {
  return any_channels(SiLU{.inplace = layer.boolean_or(false, "inplace")});
}

BuiltLayer build_sigmoid(const Node&, BuildContext&) { return any_channels(Sigmoid{}); }

BuiltLayer build_tanh(const Node&, BuildContext&) { return any_channels(Tanh{}); }

BuiltLayer build_softplus(const Node& layer, BuildContext&) {
  return any_channels(Softplus{.beta = layer.number_or(Softplus{}.beta, "beta"),
                               .threshold = layer.number_or(Softplus{}.threshold, "threshold")});
}

BuiltLayer build_hardtanh(const Node& layer, BuildContext&) {
  return any_channels(Hardtanh{.min_val = layer.number_or(Hardtanh{}.min_val, "min_val"),
                               .max_val = layer.number_or(Hardtanh{}.max_val, "max_val"),
                               .inplace = layer.boolean_or(false, "inplace")});
}

BuiltLayer build_clamp(const Node& layer, BuildContext&) {
  Clamp clamp;
  if (const auto min = layer.find("min")) clamp.min = min->number();
  if (const auto max = layer.find("max")) clamp.max = max->number();
  return any_channels(clamp);
}

BuiltLayer build_bspline_prefilter(const Node&, BuildContext&) { return any_channels(BSplinePrefilter{}); }

}  // namespace

const std::vector<LayerRow>& layer_table() {
  static const std::vector<LayerRow> table = {
      {"conv_transpose3d",
       {"in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "groups", "bias", "dilation",
        "dtype", "device", "compute", "output_size", "weights"},
       build_conv_transpose3d},
      {"conv3d",
       {"in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode",
        "dtype", "device", "weights"},
       build_conv3d},
      {"pad", {"mode", "padding"}, build_pad},
      {"crop", {"padding"}, build_crop},
      {"add", {}, build_add, true},
      {"concat", {"order"}, build_concat, true},
      {"relu", {"inplace"}, build_relu},
      {"leaky_relu", {"negative_slope", "inplace"}, build_leaky_relu},
      {"prelu", {"num_parameters", "init", "weights"}, build_prelu},
      {"elu", {"alpha", "inplace"}, build_elu},
      {"gelu", {"approximate"}, build_gelu},
      {"silu", {"inplace"}, build_silu},
      {"sigmoid", {}, build_sigmoid},
      {"tanh", {}, build_tanh},
      {"softplus", {"beta", "threshold"}, build_softplus},
      {"hardtanh", {"min_val", "max_val", "inplace"}, build_hardtanh},
      {"clamp", {"min", "max"}, build_clamp},
      {"softmax", {"dim"}, build_softmax},
      {"argmax", {"dim", "keepdim"}, build_argmax},
      {"pixel_shuffle3d", {"upscale_factor"}, build_pixel_shuffle3d},
      {"upsample", {"size", "scale_factor", "mode", "align_corners"}, build_upsample},
      {"batch_norm3d", {"num_features", "eps", "momentum", "affine", "track_running_stats", "weights"}, build_batch_norm3d},
      {"instance_norm3d",
       {"num_features", "eps", "momentum", "affine", "track_running_stats", "weights"},
       build_instance_norm3d},
      {"group_norm", {"num_groups", "num_channels", "eps", "affine", "weights"}, build_group_norm},
      {"normalize", {"mode", "low", "high", "mean", "std"}, build_normalize},
      {"denormalize", {}, build_denormalize, true},
      {"bspline_prefilter", {}, build_bspline_prefilter},
  };
  return table;
}

}  // namespace convt3d
