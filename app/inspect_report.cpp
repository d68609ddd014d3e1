#include "inspect_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "units.hpp"

namespace convt3d::app {
namespace {

using Json = nlohmann::ordered_json;

/// Sums that differ by less are what rounding leaves of even ones.
constexpr double kEven = 1e-3;

/// None is the whole volume, or is not known.
std::string voxels(const std::optional<Extent3>& field) {
  return field ? fmt::format("at most {} x {} x {} voxels", field->d, field->h, field->w) : "up to all voxels";
}

Json sizes(const std::optional<Extent3>& size) { return size ? Json(std::array{size->d, size->h, size->w}) : Json(nullptr); }

std::string sums_text(const KernelSums& sums) {
  const auto [least, most] = std::minmax_element(sums.mean.begin(), sums.mean.end());
  std::string text =
      fmt::format("kernel sums of {} phases {:.4g} to {:.4g} (mean over channels)", sums.mean.size(), *least, *most);
  if (sums.mean.size() == 1) return fmt::format("kernel sum {:.4g} (mean over channels)", *least);
  if (sums.unevenness < kEven) return text + ", even: a constant stays one";
  return text + fmt::format(", uneven by {:.2g}: makes checkerboards of period {} x {} x {}", sums.unevenness, sums.phases.d,
                            sums.phases.h, sums.phases.w);
}

Json sums_json(const KernelSums& sums) {
  return {{"phases", sizes(sums.phases)},
          {"mean", sums.mean},
          {"unevenness", sums.unevenness},
          {"checkerboard", sums.mean.size() > 1 && sums.unevenness >= kEven}};
}

}  // namespace

std::int64_t value_count(const std::vector<TensorLine>& tensors) {
  std::int64_t count = 0;
  for (const TensorLine& tensor : tensors) count += element_count(tensor.info.shape);
  return count;
}

std::string tensors_text(const std::filesystem::path& path, const TensorFile& file, const std::vector<TensorLine>& tensors) {
  std::int64_t bytes = 0;
  std::size_t longest = 0;
  for (const TensorLine& tensor : tensors) {
    bytes += byte_count(tensor.info.shape, tensor.info.dtype);
    longest = std::max(longest, std::min<std::size_t>(tensor.key.size(), 60));
  }
  std::string text = fmt::format("{}: {} tensors, {} values, {}\n", path.string(), tensors.size(), value_count(tensors),
                                 format_bytes(bytes));
  for (const auto& [key, value] : file.metadata()) text += "  " + Json(key).dump() + ": " + Json(value).dump() + "\n";
  for (const TensorLine& tensor : tensors) {
    text +=
        fmt::format("  {:<{}}  {:<8}  {}", tensor.key, longest, name_of(tensor.info.dtype), to_string(tensor.info.shape));
    if (tensor.values) {
      const auto& [least, most, mean] = *tensor.values;
      text += fmt::format("  {:.4g} to {:.4g}, mean {:.4g}", least, most, mean);
    }
    text += "\n";
  }
  return text;
}

std::string tensors_json(const std::filesystem::path& path, const TensorFile& file, const std::vector<TensorLine>& tensors) {
  Json list = Json::array();
  for (const TensorLine& tensor : tensors) {
    Json one = {{"key", tensor.key},
                {"dtype", name_of(tensor.info.dtype)},
                {"shape", tensor.info.shape},
                {"bytes", byte_count(tensor.info.shape, tensor.info.dtype)}};
    if (tensor.values) {
      const auto& [least, most, mean] = *tensor.values;
      one.update({{"min", least}, {"max", most}, {"mean", mean}});
    }
    list.push_back(std::move(one));
  }
  const Json report = {{"version", 1},
                       {"tool", "convt3d " CONVT3D_VERSION},
                       {"file", path.string()},
                       {"metadata", file.metadata()},
                       {"parameters", value_count(tensors)},
                       {"tensors", std::move(list)}};
  return report.dump() + "\n";
}

std::string model_text(const ModelView& view) {
  const Model& model = *view.model;
  std::string text = fmt::format("{}{}{}\n", model.path.string(), model.description.empty() ? "" : ": ", model.description);
  const std::string channels = model.in_channels ? fmt::format("takes {} channels, ", *model.in_channels) : "";
  text += fmt::format("  {}{} parameters, computed in {}\n", channels, model.layers.parameter_count(), name_of(model.dtype));
  text += fmt::format("  receptive field of an output voxel: {}\n", voxels(view.field));
  for (std::size_t i = 0; i < view.layers.size(); ++i) {
    const LayerLine& line = view.layers[i];
    text += fmt::format("  layer {}{}  {}, {} parameters\n", i, line.name.empty() ? "" : " " + line.name, line.layer->repr(),
                        line.layer->parameter_count());
    if (!line.output.empty()) text += fmt::format("    {} -> {}\n", to_string(line.input), to_string(line.output));
    if (i + 1 < view.layers.size())
      text += fmt::format("    each voxel of the output depends on {} of it\n", voxels(line.field));
    if (line.sums) text += "    " + sums_text(*line.sums) + "\n";
  }
  return text;
}

std::string model_json(const ModelView& view) {
  const Model& model = *view.model;
  Json layers = Json::array();
  for (std::size_t i = 0; i < view.layers.size(); ++i) {
    const LayerLine& line = view.layers[i];
    layers.push_back({{"index", i},
                      {"name", line.name},
                      {"type", line.layer->type()},
                      {"repr", line.layer->repr()},
                      {"parameters", line.layer->parameter_count()},
                      {"input_shape", line.input.empty() ? Json(nullptr) : Json(line.input)},
                      {"output_shape", line.output.empty() ? Json(nullptr) : Json(line.output)},
                      {"receptive_field", sizes(line.field)},
                      {"kernel_sums", line.sums ? sums_json(*line.sums) : Json(nullptr)}});
  }
  const Json report = {
      {"version", 1},
      {"tool", "convt3d " CONVT3D_VERSION},
      {"config",
       {{"path", model.path.string()}, {"sha256", model.sha256}, {"name", model.name}, {"description", model.description}}},
      {"in_channels", model.in_channels ? Json(*model.in_channels) : Json(nullptr)},
      {"dtype", name_of(model.dtype)},
      {"parameters", model.layers.parameter_count()},
      {"receptive_field", sizes(view.field)},
      {"layers", std::move(layers)},
      {"warnings", model.warnings}};
  return report.dump() + "\n";
}

}  // namespace convt3d::app
