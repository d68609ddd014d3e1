#include "inspect.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "convt3d/base/error.hpp"
#include "convt3d/imaging/volume.hpp"
#include "convt3d/model/draft_config.hpp"
#include "convt3d/model/model.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"
#include "convt3d/nn/receptive_field.hpp"
#include "inspect_report.hpp"

namespace convt3d::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHelp =
    R"(convt3d inspect tells what a weight file or a config holds, or drafts a config from a weight file.

usage: convt3d inspect [OPTIONS] FILE

  convt3d inspect decoder.safetensors                its tensors; also .npz
  convt3d inspect decoder.json --shape 16,32,32      its layers, shapes, receptive field and kernel sums
  convt3d inspect --make-config decoder.safetensors --prefix decoder.transpconvs. -o decoder.json

      --shape SIZES      of an input of a config: D,H,W or C,D,H,W or N,C,D,H,W
  -v, --verbose          also the least, greatest and mean value of each tensor
      --json             one JSON object
      --make-config      a config to start from; what it guesses stands in its description and on stderr
      --prefix TEXT      only the tensors whose keys start so
  -o, --output FILE      write the config there, not to standard output; -f, --force replaces a file
  -q, --quiet            no warnings and notes      -h, --help

A volume that is named inspect is given as ./inspect.
)";

std::array<double, 3> statistics_of(const Tensor& tensor) {
  const Tensor wide = convert(tensor, DType::kFloat64);
  const std::span<const double> values = wide.values<double>();
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return {*least, *most, std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size())};
}

std::string inspect_tensors(const InspectOptions& options) {
  const std::unique_ptr<TensorFile> file = open_tensor_file(options.file);
  std::vector<TensorLine> tensors;
  for (const std::string& key : file->keys()) {
    TensorLine line{.key = key, .info = file->info(key), .values = std::nullopt};
    if (options.values && element_count(line.info.shape) > 0) line.values = statistics_of(file->read(key));
    tensors.push_back(std::move(line));
  }
  return options.json ? tensors_json(options.file, *file, tensors) : tensors_text(options.file, *file, tensors);
}

/// The shape of an input as the layers have it: one volume, and the config's channels, where they are not said.
Shape full_shape(const Model& model, Shape shape) {
  if (shape.size() == 3) shape.insert(shape.begin(), model.in_channels.value_or(1));
  if (shape.size() == 4) shape.insert(shape.begin(), 1);
  return shape;
}

std::string inspect_model(const InspectOptions& options, Console& console) {
  const Model model = load_model(find_config(options.file));
  for (const std::string& warning : model.warnings) console.warning(model.path.string() + ": " + warning);
  const std::vector<std::optional<Extent3>> fields = receptive_fields(model.layers);
  ModelView view{.model = &model, .field = fields.front(), .layers = {}};
  std::vector<LayerPlan> plans;
  if (!options.shape.empty()) plans = model.layers.plan(full_shape(model, options.shape));
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    LayerLine line{.layer = &model.layers[i],
                   .name = model.layers.name(i),
                   .field = fields[i + 1],
                   .input = {},
                   .output = {},
                   .sums = {}};
    if (!plans.empty()) {
      line.input = plans[i].input;
      line.output = plans[i].output;
    }
    const auto* const up = dynamic_cast<const ConvTranspose3dLayer*>(line.layer);
    if (up != nullptr) line.sums = kernel_sums(up->module());
    view.layers.push_back(std::move(line));
  }
  return options.json ? model_json(view) : model_text(view);
}

/// Writes beside the target, loads what it wrote, and only then gives it its name.
void write_config(const fs::path& path, const std::string& text, bool force) {
  std::error_code error;
  if (!force && fs::exists(path, error)) {
    throw Error(ErrorKind::kOutput, path.string() + ": exists already\n  add --force to replace it");
  }
  fs::path part = path;
  part += fmt::format(".{}.part", ::getpid());
  struct Removal {
    const fs::path& path;
    ~Removal() {
      std::error_code ignored;
      fs::remove(path, ignored);
    }
  } removal{part};
  std::ofstream file(part, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw Error(ErrorKind::kOutput, path.string() + ": cannot be written");
  static_cast<void>(load_model(part));
  fs::rename(part, path, error);
  if (error) throw Error(ErrorKind::kOutput, path.string() + ": " + error.message());
}

std::string make_config(const InspectOptions& options, Console& console) {
  const std::unique_ptr<TensorFile> file = open_tensor_file(options.file);
  std::error_code error;
  const fs::path folder = options.output.has_parent_path() ? options.output.parent_path() : fs::path(".");
  const fs::path name = options.output.empty() ? fs::path(options.file) : fs::proximate(options.file, folder, error);
  const DraftConfig draft = draft_config(*file, error ? options.file : name.string(), options.prefix);
  for (const std::string& note : draft.notes) console.note(note);
  if (options.output.empty()) return draft.json;
  write_config(options.output, draft.json, options.force);
  return "";
}

}  // namespace

std::string inspect(const InspectOptions& options, Console& console) {
  if (options.help) return std::string(kHelp);
  if (!volume_extension(options.file).empty()) {
    throw Error(ErrorKind::kConfig, options.file +
                                        ": is a volume; inspect takes .safetensors, .npz and configs (.json)\n"
                                        "  --dry-run with a config tells what a volume's header says");
  }
  if (options.make_config) return make_config(options, console);
  return is_tensor_file(options.file) ? inspect_tensors(options) : inspect_model(options, console);
}

}  // namespace convt3d::app
