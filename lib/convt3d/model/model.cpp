#include "convt3d/model/model.hpp"

#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/model/json.hpp"
#include "convt3d/model/layer_table.hpp"
#include "convt3d/model/node.hpp"
#include "convt3d/model/sha256.hpp"
#include "convt3d/model/suggest.hpp"

namespace convt3d {
namespace {

constexpr std::array<std::string_view, 9> kOutputTypes = {"same",   "uint8", "int8",    "uint16", "int16",
                                                          "uint32", "int32", "float32", "float64"};

/// Every layer may join every earlier one, and a plan lists what is kept for that: the bound keeps it a list of megabytes.
constexpr std::size_t kMaxLayers = 1000;

/// float64 as soon as a layer says so. What else "dtype" may be is checked when its layer is built.
DType computed_dtype(const Node& layers) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Node layer = layers.at(i);
    if (!layer.is_object()) continue;
    const std::optional<Node> dtype = layer.find("dtype");
    if (dtype && dtype->is_string() && dtype->string() == "float64") return DType::kFloat64;
  }
  return DType::kFloat32;
}

const LayerRow& row_of(const Node& layer) {
  if (!layer.is_object()) layer.fail_expected("an object");
  const Node type = layer.at("type");
  const std::string name = type.string();
  std::vector<std::string_view> known;
  for (const LayerRow& row : layer_table()) {
    if (row.type == name) return row;
    known.push_back(row.type);
  }
  type.fail("no layer type \"" + name + "\" is known" + did_you_mean(name, known), {"known: " + list_of(known)});
}

/// "" where the layer has none.
std::string parse_layer_name(const Node& layer, std::set<std::string>& names) {
  const std::optional<Node> member = layer.find("name");
  if (!member) return "";
  std::string name = member->string();
  if (name.empty() || name == "input") member->fail("a layer's name is neither empty nor \"input\"");
  if (!names.insert(name).second) member->fail("an earlier layer has this name");
  return name;
}

/// "from" of a layer that is no join, which begins a branch there.
std::optional<std::int64_t> parse_branch(const Node& layer, const LayerRow& row, EarlierLayers& earlier) {
  const std::optional<Node> from = layer.find("from");
  if (!from || row.joins) return std::nullopt;
  const std::int64_t index = earlier.find(*from);
  earlier.take_from(index);
  return index;
}

BuiltLayer build_layer(const Node& layer, const LayerRow& row, BuildContext& context) {
  std::vector<std::string_view> keys = row.keys;
  keys.insert(keys.end(), {"type", "name", "from"});
  layer.require_object(keys);
  try {
    return row.build(layer, context);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kShape) throw;
    layer.fail(error.what());  // an argument that the layer itself refuses
  }
}

/// Throws unless as many channels arrive as the layer takes. Where nothing before it tells, it tells.
void require_channels(const Node& layer, const BuiltLayer& built, EarlierLayers& earlier) {
  if (!built.in_channels) return;
  const ChannelCount arriving = earlier.arriving();
  if (arriving.known && *arriving.known != *built.in_channels) {
    layer.fail("the layer takes " + std::to_string(*built.in_channels) + " channels, but " +
               std::to_string(*arriving.known) + " arrive from the layers before it");
  }
  earlier.learn(arriving, *built.in_channels);
}

ChannelCount given_by(const BuiltLayer& built, const ChannelCount& arriving) {
  if (built.out_channels) return {.known = built.out_channels};
  return built.changes_channels ? ChannelCount{} : arriving;
}

void parse_layers(const Node& layers, BuildContext& context, Model& model) {
  context.dtype = model.dtype = computed_dtype(layers);
  std::set<std::string> names;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Node layer = layers.at(i);
    const LayerRow& row = row_of(layer);
    const std::optional<std::int64_t> branch = parse_branch(layer, row, context.earlier);
    context.channels = context.earlier.arriving().known;
    BuiltLayer built = build_layer(layer, row, context);
    require_channels(layer, built, context.earlier);
    context.earlier.append(given_by(built, context.earlier.arriving()));
    model.layers.append(std::move(built.layer), parse_layer_name(layer, names), branch ? branch : built.from);
  }
  if (const auto unread = model.layers.first_unread()) {
    layers.at(*unread).fail("no layer takes what this one gives: the next begins a branch, and no \"from\" names it");
  }
  model.in_channels = context.earlier.input_channels();
}

void parse_output(const Node& output, Model& model) {
  constexpr std::array<std::string_view, 1> kKeys = {"type"};
  output.require_object(kKeys);
  const std::optional<Node> type = output.find("type");
  if (!type) return;
  const std::string name = type->word(kOutputTypes);
  model.output_same = name == "same";
  model.output_type = dtype_from_name(name);
}

void parse_version(const Node& root) {
  const Node version = root.at("version");
  if (version.value() != 1 || !version.value().is_number_integer()) {
    version.fail_expected("1, the only version there is");
  }
}

}  // namespace

Model load_model(const std::filesystem::path& path) {
  constexpr std::array<std::string_view, 7> kKeys = {"$schema", "version", "name",  "description",
                                                     "weights", "output",  "layers"};
  const std::string text = read_config_text(path);
  const nlohmann::json document = parse_strict_json(text, path.string());
  const Node root(document, path.string());
  root.require_object(kKeys);

  Model model;
  model.path = path;
  model.sha256 = sha256(text);
  parse_version(root);
  if (const auto schema = root.find("$schema")) static_cast<void>(schema->string());
  if (const auto name = root.find("name")) model.name = name->string();
  if (const auto description = root.find("description")) model.description = description->string();
  if (const auto output = root.find("output")) parse_output(*output, model);
  const Node layers = root.at("layers");
  if (!layers.is_array() || layers.size() == 0) layers.fail_expected("a list of at least one layer");
  if (layers.size() > kMaxLayers) {
    layers.fail("at most " + std::to_string(kMaxLayers) + " layers, found " + std::to_string(layers.size()));
  }
  BuildContext context{.files = WeightFiles(path.parent_path()), .earlier = EarlierLayers(layers)};
  if (const auto weights = root.find("weights")) context.files.open_top(*weights);
  parse_layers(layers, context, model);
  context.files.require_all_used();
  model.warnings = std::move(context.warnings);
  return model;
}

}  // namespace convt3d
