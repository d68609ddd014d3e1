#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/model/layer_table.hpp"
#include "convt3d/model/model.hpp"
#include "convt3d/nn/conv3d_layer.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"
#include "documents.hpp"
#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::Document;
using testing_support::expect_refused;
using testing_support::TemporaryFolder;

class Config : public testing::Test {
 protected:
  Config() { testing_support::write_weight_files(folder_); }

  Model load(std::string_view text) const { return load_model(folder_.write("config.json", text)); }

  /// Of one layer.
  Model load_layer(const std::string& layer) const { return load(R"({"version": 1, "layers": [)" + layer + "]}"); }

  const ConvTranspose3d& module_of(const Model& model) const {
    return dynamic_cast<const ConvTranspose3dLayer&>(model.layers[0]).module();
  }

  void expect_refused_text(const std::string& text, const std::vector<std::string>& words) const {
    SCOPED_TRACE(text.substr(0, 200));
    std::vector<std::string> all = words;
    all.push_back((folder_.path() / "config.json").string() + ": ");
    expect_refused([&] { load(text); }, all, ErrorKind::kConfig);
  }

  TemporaryFolder folder_;
};

TEST_F(Config, DocumentsAreJudgedAndTheirErrorsPlaced) {
  for (const Document& document : testing_support::read_documents()) {
    SCOPED_TRACE(document.name);
    if (document.error.empty()) {
      EXPECT_NO_THROW(load(document.config.dump()));
      continue;
    }
    std::vector<std::string> words(document.error.begin() + 1, document.error.end());
    const std::string& pointer = document.error.front();
    words.push_back("config.json: " + (pointer.empty() ? "" : pointer + ": "));
    expect_refused([&] { load(document.config.dump()); }, words, ErrorKind::kConfig);
  }
}

TEST_F(Config, IsStrictJson) {
  expect_refused_text("", {"line 1, column 1: not valid JSON", "unexpected end of input"});
  expect_refused_text("{\"version\": 1,\n \"layers\": [}", {"line 2, column 13: not valid JSON"});
  expect_refused_text(R"({"version": 1, "layers": [{"type": "relu"}]} // done)", {"not valid JSON"});
  expect_refused_text(R"({"version": 1, "layers": [{"type": "relu"}]} {})", {"not valid JSON"});
  expect_refused_text(R"({"version": 1, "layers": [{"type": "relu"},]})", {"not valid JSON"});
  expect_refused_text(R"({"version": NaN})", {"not valid JSON"});
  expect_refused_text(R"({"version": 1e999})", {"not valid JSON", "1e999"});
  expect_refused_text(R"({"version": 01})", {"not valid JSON"});
  expect_refused_text("{\"name\": \"\xff\"}", {"not valid JSON", "UTF-8"});
  expect_refused_text("{'version': 1}", {"not valid JSON"});
}

TEST_F(Config, HasNoKeyTwice) {
  expect_refused_text(R"({"version": 1, "version": 1})", {": /version: this key stands here twice"});
  expect_refused_text(R"({"version": 1, "layers": [{"type": "relu"}, {"type": "pad", "padding": 1, "padding": 2}]})",
                      {": /layers/1/padding: this key stands here twice"});
  expect_refused_text(R"({"layers": [{"weights": {"weight": {"init": 1, "init": 2}}}]})",
                      {": /layers/0/weights/weight/init: this key"});
}

TEST_F(Config, EndsSoonHoweverHostile) {
  expect_refused_text(std::string(1'000'000, '['), {"nested more than 64 deep"});
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += R"({"a":)";
  expect_refused_text(objects, {"/a/a", "nested more than 64 deep"});
  expect_refused_text(std::string(17 << 20, ' '), {"longer than 16 MiB", ".npy"});
  expect_refused([] { load_model("/dev/zero"); }, {"/dev/zero: longer than 16 MiB"}, ErrorKind::kConfig);
  expect_refused([&] { load_model(folder_.path()); }, {"a folder"}, ErrorKind::kConfig);
  expect_refused([&] { load_model(folder_.path() / "none.json"); }, {"none.json: cannot be opened"}, ErrorKind::kConfig);
  expect_refused_text(R"({"version": 1, ")" + std::string(1 << 20, 'x') + R"(": 1})", {"unknown key"});
}

TEST_F(Config, ReadsAConv3dsWeightInEitherLayout) {
  // (out, in/groups) = (4, 3) in 2 groups, or (in, out/groups) = (6, 2).
  folder_.write("oidhw.npy", testing_support::npy_floats("(4, 3, 1, 1, 2)", 24));
  const Model native = load_layer(R"({"type": "conv3d", "groups": 2, "weights": {"weight": {"file": "oidhw.npy"}}})");
  const Conv3d& module = dynamic_cast<const Conv3dLayer&>(native.layers[0]).module();
  EXPECT_EQ(module.options().in_channels, 6);
  EXPECT_EQ(module.options().out_channels, 4);
  EXPECT_EQ(module.options().kernel_size, Extent3(1, 1, 2));
  EXPECT_FALSE(module.bias());
  folder_.write("iodhw.npy", testing_support::npy_floats("(6, 2, 1, 1, 2)", 24));
  const Model turned =
      load_layer(R"({"type": "conv3d", "groups": 2, "weights": {"weight": {"file": "iodhw.npy", "layout": "iodhw"}}})");
  const Conv3d& other = dynamic_cast<const Conv3dLayer&>(turned.layers[0]).module();
  ASSERT_EQ(other.weight().shape(), module.weight().shape());
  // npy_floats counts up, so an element is its own place in the file.
  for (std::int64_t co = 0; co < 4; ++co) {
    for (std::int64_t ci = 0; ci < 3; ++ci) {
      for (std::int64_t t = 0; t < 2; ++t) {
        const std::int64_t in = co / 2 * 3 + ci;  // of all channels
        EXPECT_EQ(other.weight().data<float>()[(co * 3 + ci) * 2 + t],
                  module.weight().data<float>()[(in * 2 + co % 2) * 2 + t])
            << co << " " << ci << " " << t;
      }
    }
  }
}

TEST_F(Config, DrawsAConv3dAsTheModuleDoes) {
  const Model model = load_layer(R"({"type": "conv3d", "in_channels": 4, "out_channels": 3, "kernel_size": 2, "stride": 2,
      "padding": 1, "weights": {"weight": {"init": "kaiming_uniform", "seed": 5}}})");
  const Conv3d& module = dynamic_cast<const Conv3dLayer&>(model.layers[0]).module();
  const Conv3d same({.in_channels = 4, .out_channels = 3, .kernel_size = 2, .stride = 2, .padding = 1}, 5);
  EXPECT_TRUE(std::ranges::equal(module.weight().values<float>(), same.weight().values<float>()));
  EXPECT_TRUE(std::ranges::equal(module.bias()->values<float>(), same.bias()->values<float>()));
  EXPECT_EQ(model.layers[0].repr(), "Conv3d(4, 3, kernel_size=(2, 2, 2), stride=(2, 2, 2), padding=(1, 1, 1))");
  EXPECT_EQ(model.layers.output_shape({1, 4, 5, 6, 7}), (Shape{1, 3, 3, 4, 4}));
}

TEST_F(Config, FillsTheModel) {
  const Model model = load(R"({"version": 1, "name": "n", "description": "d", "output": {"type": "int16"}, "layers": [
      {"type": "relu", "name": "first"},
      {"type": "conv_transpose3d", "in_channels": 3, "out_channels": 2, "kernel_size": 2, "bias": false,
       "weights": {"weight": {"init": "constant", "value": 1}}}]})");
  EXPECT_EQ(model.path, folder_.path() / "config.json");
  EXPECT_EQ(model.name, "n");
  EXPECT_EQ(model.description, "d");
  EXPECT_EQ(model.output_type, DType::kInt16);
  EXPECT_FALSE(model.output_same);
  EXPECT_EQ(model.dtype, DType::kFloat32);
  EXPECT_EQ(model.in_channels, 3);
  EXPECT_EQ(model.layers.size(), 2u);
  EXPECT_EQ(model.layers.name(0), "first");
  EXPECT_TRUE(model.warnings.empty());
}

TEST_F(Config, TakesJoinsFromEarlierLayers) {
  const Model model = load(R"({"version": 1, "layers": [
      {"type": "relu", "name": "a"}, {"type": "pad", "padding": 0},
      {"type": "concat", "from": "a"}, {"type": "add", "from": "input", "name": "sum"}]})");
  EXPECT_EQ(model.layers.from(2), 0);
  EXPECT_EQ(model.layers.from(3), Sequential::kInput);
  EXPECT_FALSE(model.in_channels);  // what concat gives is told by a run only
}

TEST_F(Config, LearnsTheInputsChannelsFromWhatIsAddedToIt) {
  const std::string up = R"({"type": "conv_transpose3d", "in_channels": 2, "out_channels": 3, "kernel_size": 1})";
  EXPECT_EQ(
      load(R"({"version": 1, "layers": [{"type": "relu"}, {"type": "add", "from": "input"}, )" + up + "]}").in_channels, 2);
  const Model late = load(R"({"version": 1, "layers": [{"type": "concat", "from": "input"}, )" + up + "]}");
  EXPECT_FALSE(late.in_channels);
  EXPECT_THROW(
      load(R"({"version": 1, "layers": [{"type": "relu", "name": "a"}, )" + up + R"(, {"type": "add", "from": "a"}]})"),
      Error);
}

TEST_F(Config, LeavesTheOutputTypeOpen) {
  const Model model = load_layer(R"({"type": "relu"})");
  EXPECT_FALSE(model.output_type);
  EXPECT_FALSE(model.output_same);
  EXPECT_FALSE(model.in_channels);
}

TEST_F(Config, NamesTheBytesBySha256) {
  EXPECT_NE(load_layer(R"({"type": "relu"})").sha256, load_layer(R"({"type":  "relu"})").sha256);
  EXPECT_EQ(load("{\"version\": 1, \"layers\": [{\"type\": \"relu\"}]}\n").sha256,
            "ed8784d921410b427184e8640afd2ebb066ecf490e94dd1387f57815c445f60b");
}

TEST_F(Config, TakesChannelsKernelAndBiasFromTheWeights) {
  const Model model = load_layer(R"({"type": "conv_transpose3d", "groups": 2, "weights": {"weight": {"file": "up2.npy"}}})");
  const ConvTranspose3dOptions& options = module_of(model).options();
  EXPECT_EQ(options.in_channels, 16);
  EXPECT_EQ(options.out_channels, 64);
  EXPECT_EQ(options.kernel_size, Extent3(2));
  EXPECT_FALSE(options.bias);
  EXPECT_EQ(model.in_channels, 16);
  const Model biased =
      load_layer(R"({"type": "conv_transpose3d", "weights": {"weight": {"file": "w222.npy"}, "bias": [0.5]}})");
  EXPECT_EQ(module_of(biased).bias()->data<float>()[0], 0.5f);
}

TEST_F(Config, PutsEachLayoutInOrder) {
  // (out 4, in/groups 3, 1, 1, 2) of 2 groups: element (out, in, w) holds ((out·3) + in)·2 + w.
  folder_.write("oidhw.npy", testing_support::npy_floats("(4, 3, 1, 1, 2)", 24));
  const Model model = load_layer(
      R"({"type": "conv_transpose3d", "groups": 2, "weights": {"weight": {"file": "oidhw.npy", "layout": "oidhw"}}})");
  const Tensor& weight = module_of(model).weight();
  ASSERT_EQ(weight.shape(), (Shape{6, 2, 1, 1, 2}));
  for (std::int64_t in = 0; in < 6; ++in) {
    for (std::int64_t out = 0; out < 2; ++out) {
      for (std::int64_t w = 0; w < 2; ++w) {
        const std::int64_t its_out = in / 3 * 2 + out;
        EXPECT_EQ(weight.data<float>()[(in * 2 + out) * 2 + w], static_cast<float>((its_out * 3 + in % 3) * 2 + w));
      }
    }
  }
}

TEST_F(Config, ReadsTheSameWeightFromEverySource) {
  std::string raw;
  for (int i = 0; i < 8; ++i) raw += std::string{static_cast<char>(i), '\0'};
  folder_.write("shorts.bin", raw);
  for (const std::string source :
       {R"({"file": "w222.npy"})", R"({"file": "shorts.bin", "dtype": "int16"})", "[0, 1, 2, 3, 4, 5, 6, 7]",
        "[[[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]]", "[0.0, 1e0, 2, 3, 4, 5, 6, 7]"}) {
    const Model model =
        load_layer(R"({"type": "conv_transpose3d", "kernel_size": 2, "weights": {"weight": )" + source + "}}");
    for (std::int64_t i = 0; i < 8; ++i)
      EXPECT_EQ(module_of(model).weight().data<float>()[i], static_cast<float>(i)) << source;
    EXPECT_FALSE(module_of(model).options().bias) << source;
  }
}

TEST_F(Config, ReadsBfloat16) {
  folder_.write("brain.bin", std::string("\x80\x3f\x00\xc0", 4));  // 1 and -2
  const Model model = load_layer(R"({"type": "conv_transpose3d", "kernel_size": [1, 1, 2], "dtype": "bfloat16",
                                     "weights": {"weight": {"file": "brain.bin", "dtype": "bfloat16"}}})");
  EXPECT_EQ(module_of(model).weight().data<float>()[0], 1);
  EXPECT_EQ(module_of(model).weight().data<float>()[1], -2);
  EXPECT_EQ(model.dtype, DType::kFloat32);
}

TEST_F(Config, ComputesInFloat64AsSoonAsALayerSaysSo) {
  const Model model = load(R"({"version": 1, "layers": [{"type": "conv_transpose3d", "kernel_size": 2},
      {"type": "prelu"}, {"type": "conv_transpose3d", "kernel_size": 2, "dtype": "float64"}]})");
  EXPECT_EQ(model.dtype, DType::kFloat64);
  EXPECT_EQ(model.layers.forward(Tensor::zeros({1, 1, 2, 2, 2}, DType::kFloat64)).shape(), (Shape{1, 1, 4, 4, 4}));
}

TEST_F(Config, InitialisesAsTheModuleAndWarnsOfItOnlyUnasked) {
  const ConvTranspose3d of_seed_0({.in_channels = 2, .out_channels = 3, .kernel_size = 2}, 0);
  const ConvTranspose3d of_seed_5({.in_channels = 2, .out_channels = 3, .kernel_size = 2}, 5);
  const auto same = [](const Tensor& a, const Tensor& b) {
    return a.shape() == b.shape() &&
           std::equal(a.values<float>().begin(), a.values<float>().end(), b.values<float>().begin());
  };
  const std::string layer = R"({"type": "conv_transpose3d", "in_channels": 2, "out_channels": 3, "kernel_size": 2)";
  const Model unasked = load_layer(layer + "}");
  EXPECT_TRUE(same(module_of(unasked).weight(), of_seed_0.weight()));
  EXPECT_TRUE(same(*module_of(unasked).bias(), *of_seed_0.bias()));
  ASSERT_EQ(unasked.warnings.size(), 1u);
  EXPECT_EQ(unasked.warnings[0], "/layers/0: no weight is given: it is random (kaiming_uniform, seed 0)");

  const Model asked = load_layer(layer + R"(, "weights": {"weight": {"init": "kaiming_uniform", "seed": 5}}})");
  EXPECT_TRUE(same(module_of(asked).weight(), of_seed_5.weight()));
  EXPECT_TRUE(same(*module_of(asked).bias(), *of_seed_5.bias()));
  EXPECT_TRUE(asked.warnings.empty());

  const Model biased = load_layer(layer + R"(, "bias": true, "weights": {"weight": {"init": "constant", "value": 0}}})");
  EXPECT_TRUE(same(*module_of(biased).bias(), *of_seed_0.bias()));
  ASSERT_EQ(biased.warnings.size(), 1u);
  EXPECT_EQ(biased.warnings[0], "/layers/0: no bias is given: it is random (kaiming_uniform, seed 0)");
}

TEST_F(Config, GivesEachChannelTheInterpolationKernel) {
  const std::string layer = R"({"type": "conv_transpose3d", "kernel_size": 4, "stride": 2, "padding": 1,
                                "weights": {"weight": {"kernel": "linear"}})";
  const Tensor input = Tensor::from(testing_support::standard_normal<float>(3 * 4 * 5 * 6, 1), {1, 3, 4, 5, 6});
  const Model any = load_layer(layer + "}");
  const Model three = load_layer(layer + R"(, "in_channels": 3})");
  const Model grouped = load_layer(layer + R"(, "groups": 3})");
  EXPECT_FALSE(any.in_channels);
  EXPECT_EQ(three.in_channels, 3);
  EXPECT_EQ(three.layers[0].repr(),
            "ConvTranspose3d(3, 3, kernel_size=(4, 4, 4), stride=(2, 2, 2), padding=(1, 1, 1), groups=3, bias=False)");
  EXPECT_EQ(grouped.layers[0].repr(), three.layers[0].repr());
  const Tensor a = any.layers.forward(input);
  const Tensor b = three.layers.forward(input);
  ASSERT_EQ(a.shape(), b.shape());
  for (std::int64_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a.data<float>()[i], b.data<float>()[i], 1e-6);
}

TEST_F(Config, AsksForTheOutputSize) {
  const Model model = load_layer(R"({"type": "conv_transpose3d", "kernel_size": 3, "stride": 2, "output_size": [6, 7, 8]})");
  EXPECT_EQ(model.layers.output_shape({1, 1, 2, 3, 3}), (Shape{1, 1, 6, 7, 8}));
}

TEST_F(Config, ReadsAFileOnceForAllLayers) {
  const Model model = load(R"({"version": 1, "layers": [
      {"type": "conv_transpose3d", "weights": {"weight": {"file": "w222.npy"}}},
      {"type": "conv_transpose3d", "weights": {"weight": {"file": "./folder.npy/../w222.npy"}}}]})");
  EXPECT_EQ(model.layers.size(), 2u);
}

TEST_F(Config, FindsFilesNextToItself) {
  std::filesystem::create_directory(folder_.path() / "sub");
  folder_.write(
      "sub/config.json",
      R"({"version": 1, "layers": [{"type": "conv_transpose3d", "weights": {"weight": {"file": "../w222.npy"}}}]})");
  EXPECT_NO_THROW(load_model(folder_.path() / "sub" / "config.json"));
}

/// Of an object of the schema.
std::set<std::string> keys_of(const nlohmann::json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

TEST(Schema, HasTheParsersLayersAndKeys) {
  std::ifstream file(CONVT3D_CONFIGS "/schema.json");
  const nlohmann::json definitions = nlohmann::json::parse(file).at("$defs");
  std::set<std::string> types;
  for (const LayerRow& row : layer_table()) {
    const std::string type(row.type);
    types.insert(type);
    ASSERT_TRUE(definitions["layers"].contains(type)) << type;
    std::set<std::string> keys(row.keys.begin(), row.keys.end());
    keys.insert({"type", "name", "from"});
    EXPECT_EQ(keys_of(definitions["layers"][type]["properties"]), keys) << type;
    EXPECT_EQ(definitions["layers"][type]["additionalProperties"], false) << type;
  }
  EXPECT_EQ(keys_of(definitions["layers"]), types);
  const auto listed = definitions["layer"]["properties"]["type"]["enum"].get<std::set<std::string>>();
  EXPECT_EQ(listed, types);
  std::set<std::string> chosen;
  for (const nlohmann::json& choice : definitions["layer"]["allOf"]) {
    const std::string type = choice["if"]["properties"]["type"]["const"];
    EXPECT_EQ(choice["then"]["$ref"], "#/$defs/layers/" + type);
    chosen.insert(type);
  }
  EXPECT_EQ(chosen, types);
}

class FindConfig : public Config {
 protected:
  FindConfig() { setenv("CONVT3D_CONFIG_DIR", folder_.path().c_str(), 1); }
  ~FindConfig() override { unsetenv("CONVT3D_CONFIG_DIR"); }
};

TEST_F(FindConfig, TakesAPathAsItIs) {
  const std::string path = folder_.write("own.json", "{}").string();
  EXPECT_EQ(find_config(path), path);
}

TEST_F(FindConfig, LooksIntoTheFolderOfTheVariableFirst) {
  const std::filesystem::path path = folder_.write("trilinear_x2.json", R"({"description": "mine"})");
  EXPECT_EQ(find_config("trilinear_x2"), path);
  const std::vector<ShippedConfig> shipped = shipped_configs();
  const auto mine = std::find_if(shipped.begin(), shipped.end(), [](const auto& one) { return one.name == "trilinear_x2"; });
  ASSERT_NE(mine, shipped.end());
  EXPECT_EQ(mine->description, "mine");
  EXPECT_NE(find_config("cubic_x2").parent_path(), folder_.path());
}

TEST_F(FindConfig, ListsABrokenFileWithItsFault) {
  folder_.write("broken.json", "{");
  const std::vector<ShippedConfig> shipped = shipped_configs();
  const auto broken = std::find_if(shipped.begin(), shipped.end(), [](const auto& one) { return one.name == "broken"; });
  ASSERT_NE(broken, shipped.end());
  EXPECT_TRUE(broken->description.starts_with("(invalid) ")) << broken->description;
}

TEST_F(FindConfig, SaysWhatThereIs) {
  expect_refused([] { find_config("trilinaer_x2"); },
                 {"trilinaer_x2", "did you mean \"trilinear_x2\"?", "cubic_x2, decoder_64_32"}, ErrorKind::kConfig);
  expect_refused([] { find_config("schema"); }, {"no such config"}, ErrorKind::kConfig);
  expect_refused([&] { find_config(folder_.path().string()); }, {"no such config"}, ErrorKind::kConfig);
}

}  // namespace
