#include "convt3d/model/draft_config.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/model/layer_table.hpp"

namespace convt3d {
namespace {

using Json = nlohmann::ordered_json;

/// The tensors of a module, by the last part of their keys.
struct Module {
  std::string name;  ///< without the prefix: "0", "bn1"; "" where the prefix is the whole module
  std::map<std::string, Shape> states;

  const Shape* find(const std::string& state) const {
    const auto found = states.find(state);
    return found == states.end() ? nullptr : &found->second;
  }
};

std::vector<Module> modules_of(const TensorFile& tensors, const std::string& prefix) {
  std::vector<Module> modules;
  for (const std::string& key : tensors.keys()) {
    if (!key.starts_with(prefix)) continue;
    const std::string rest = key.substr(prefix.size());
    const std::size_t dot = rest.rfind('.');
    const std::string name = dot == std::string::npos ? "" : rest.substr(0, dot);
    const auto same = [&](const Module& module) { return module.name == name; };
    auto module = std::find_if(modules.rbegin(), modules.rend(), same);
    if (module == modules.rend()) {
      modules.push_back({name, {}});
      module = modules.rbegin();
    }
    module->states[dot == std::string::npos ? rest : rest.substr(dot + 1)] = tensors.info(key).shape;
  }
  return modules;
}

bool layer_is_known(std::string_view type) {
  const std::vector<LayerRow>& table = layer_table();
  return std::any_of(table.begin(), table.end(), [&](const LayerRow& row) { return row.type == type; });
}

bool says_transposed(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  return name.find("transp") != std::string::npos || name.find("deconv") != std::string::npos ||
         name.find("up") != std::string::npos;
}

/// One number where the three are equal.
Json size_of_axes(const Extent3& size) {
  if (size == Extent3(size.d)) return size.d;
  return Json::array({size.d, size.h, size.w});
}

class Drafter {
 public:
  Drafter(std::string file, std::string prefix) : file_(std::move(file)), prefix_(std::move(prefix)) {}

  void add(const Module& module) {
    if (module.states.size() == 1 && module.find("num_batches_tracked") != nullptr) return;
    const Shape* const weight = module.find("weight");
    if (weight != nullptr && weight->size() == 5) {
      add_convolution(module, *weight);
    } else if (weight != nullptr && weight->size() == 1) {
      add_channelwise(module, (*weight)[0]);
    } else {
      leave_out(module, "it has no weight of 5 axes or of one");
    }
  }

  DraftConfig finish() {
    if (layers_.empty()) {
      std::string what = file_ + ": no tensor under \"" + prefix_ + "\" makes a layer";
      for (const std::string& note : notes_) what += "\n  " + note;
      throw Error(ErrorKind::kConfig, what);
    }
    std::string description = "Drafted from " + file_ + "; to be checked:";
    for (const std::string& note : notes_) description += " " + note + ";";
    description.back() = '.';
    Json weights = {{"file", file_}};
    if (!prefix_.empty()) weights["prefix"] = prefix_;
    if (left_out_) weights["unused"] = "ignore";
    const Json config = {{"version", 1},
                         {"name", std::filesystem::path(file_).stem().string()},
                         {"description", description},
                         {"weights", weights},
                         {"output", {{"type", "float32"}}},
                         {"layers", layers_}};
    return {config.dump(2) + "\n", notes_};
  }

 private:
  std::string place(const Module& module) const {
    return "layer " + std::to_string(layers_.size()) + " (" + label(module) + ")";
  }
  static std::string label(const Module& module) { return module.name.empty() ? "the prefix's own" : module.name; }

  void leave_out(const Module& module, const std::string& why) {
    notes_.push_back("left out " + label(module) + ": " + why);
    left_out_ = true;
  }

  void append(Json layer, const Module& module) {
    if (module.name.empty()) {
      for (const auto& [state, shape] : module.states) {
        if (state != "num_batches_tracked") layer["weights"][state] = state;
      }
    } else {
      layer["name"] = module.name;
      layer["weights"] = module.name;
    }
    layers_.push_back(std::move(layer));
  }

  void add_convolution(const Module& module, const Shape& weight) {
    const bool named = says_transposed(prefix_ + module.name);
    const bool fits_transposed = !channels_ || weight[0] == *channels_;
    const bool fits_plain = !channels_ || weight[1] == *channels_;
    if (!fits_transposed && !fits_plain) {
      leave_out(module, std::to_string(*channels_) + " channels arrive, its weight is " + to_string(weight) +
                            " (a skip connection, or groups)");
      return;
    }
    const bool transposed = fits_transposed && (named || !fits_plain);
    if (transposed != named) notes_.push_back(place(module) + ": its channels say more of its kind than its name");
    if (!transposed && !layer_is_known("conv3d")) {
      leave_out(module, "a conv3d, which configs cannot have yet");
      return;
    }
    const Extent3 kernel(weight[2], weight[3], weight[4]);
    transposed ? append(doubling(module, kernel), module) : append(keeping(module, kernel), module);
    channels_ = transposed ? weight[1] : weight[0];
  }

  /// Stride 2 wherever the kernel is longer than 1: out = (in-1)·2 - 2·padding + k + output_padding = 2·in.
  Json doubling(const Module& module, const Extent3& kernel) {
    Extent3 stride(1);
    Extent3 padding(0);
    Extent3 output_padding(0);
    for (int axis = 0; axis < 3; ++axis) {
      if (kernel[axis] == 1) continue;
      stride[axis] = 2;
      padding[axis] = (kernel[axis] - 1) / 2;
      output_padding[axis] = kernel[axis] % 2;
    }
    Json layer = {{"type", "conv_transpose3d"}, {"stride", size_of_axes(stride)}};
    if (padding != Extent3(0)) layer["padding"] = size_of_axes(padding);
    if (output_padding != Extent3(0)) layer["output_padding"] = size_of_axes(output_padding);
    notes_.push_back(place(module) + ": kernel " + to_string(kernel) + ", taken to double its axes: stride " +
                     to_string(stride));
    return layer;
  }

  Json keeping(const Module& module, const Extent3& kernel) {
    const Extent3 padding((kernel.d - 1) / 2, (kernel.h - 1) / 2, (kernel.w - 1) / 2);
    Json layer = {{"type", "conv3d"}};
    if (padding != Extent3(0)) layer["padding"] = size_of_axes(padding);
    notes_.push_back(place(module) + ": kernel " + to_string(kernel) + ", taken to keep the size: stride 1");
    return layer;
  }

  /// A norm, or a prelu with a slope for each channel or for all.
  void add_channelwise(const Module& module, std::int64_t count) {
    const bool slopes = module.find("bias") == nullptr;
    const bool batch = module.find("running_mean") != nullptr;
    const std::string type = batch ? "batch_norm3d" : slopes ? "prelu" : "instance_norm3d";
    if (!layer_is_known(type)) {
      leave_out(module, "a " + type + ", which configs cannot have yet");
      return;
    }
    if (channels_ && count != *channels_ && !(type == "prelu" && count == 1)) {
      leave_out(module, std::to_string(*channels_) + " channels arrive, it has " + std::to_string(count));
      return;
    }
    Json layer = {{"type", type}};
    if (type == "instance_norm3d") {
      layer["affine"] = true;
      notes_.push_back(place(module) + ": taken for an InstanceNorm3d; a GroupNorm's tensors look the same");
    }
    append(std::move(layer), module);
    if (!channels_ && count > 1) channels_ = count;
  }

  std::string file_;
  std::string prefix_;
  Json layers_ = Json::array();
  std::vector<std::string> notes_;
  std::optional<std::int64_t> channels_;  ///< that arrive at the next layer
  bool left_out_ = false;
};

}  // namespace

DraftConfig draft_config(const TensorFile& tensors, const std::string& file, const std::string& prefix) {
  Drafter drafter(file, prefix);
  for (const Module& module : modules_of(tensors, prefix)) drafter.add(module);
  return drafter.finish();
}

}  // namespace convt3d
