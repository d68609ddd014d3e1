#include "convt3d/model/draft_config.hpp"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "convt3d/base/error.hpp"

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

/// Whether a module's name has one of the words, in letters of either case.
bool says(std::string name, std::initializer_list<std::string_view> words) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return name.find(word) != name.npos; });
}

/// The last part of "decoder.up1.gn".
std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

/// As many as networks have most often, 32, or the largest power of two below it that divides the channels.
std::int64_t usual_groups(std::int64_t channels) {
  std::int64_t groups = 32;
  while (channels % groups != 0) groups /= 2;
  return groups;
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
    shuffle_before(module, weight);
    const bool named = says(prefix_ + module.name, {"transp", "deconv", "up"});
    const bool fits_transposed = !channels_ || weight[0] == *channels_;
    const bool fits_plain = !channels_ || weight[1] == *channels_;
    if (!fits_transposed && !fits_plain) {
      leave_out(module, std::to_string(*channels_) + " channels arrive, its weight is " + to_string(weight) +
                            " (a skip connection, or groups)");
      return;
    }
    const bool transposed = fits_transposed && (named || !fits_plain);
    if (transposed != named) notes_.push_back(place(module) + ": its channels say more of its kind than its name");
    const Extent3 kernel(weight[2], weight[3], weight[4]);
    transposed ? append(doubling(module, kernel), module) : append(keeping(module, kernel), module);
    channels_ = transposed ? weight[1] : weight[0];
  }

  /// Channels that are r³ times those that a convolution takes, and no others, become blocks of voxels.
  void shuffle_before(const Module& module, const Shape& weight) {
    if (!channels_ || weight[0] == *channels_ || weight[1] == *channels_) return;
    for (const std::int64_t r : {2, 3, 4}) {
      if (*channels_ != r * r * r * weight[1]) continue;
      layers_.push_back({{"type", "pixel_shuffle3d"}, {"upscale_factor", r}});
      notes_.push_back("before " + label(module) + ": a pixel_shuffle3d by " + std::to_string(r) + ", since " +
                       std::to_string(*channels_) + " channels arrive and it takes " + std::to_string(weight[1]));
      channels_ = weight[1];
      return;
    }
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
    const std::string type = type_of_channelwise(module);
    if (channels_ && count != *channels_ && !(type == "prelu" && count == 1)) {
      leave_out(module, std::to_string(*channels_) + " channels arrive, it has " + std::to_string(count));
      return;
    }
    Json layer = {{"type", type}};
    if (type == "group_norm") {
      layer["num_groups"] = usual_groups(count);
      notes_.push_back(place(module) + ": a GroupNorm by its name; its number of groups is a guess");
    } else if (type == "instance_norm3d" && module.find("running_mean") == nullptr) {
      layer["affine"] = true;
      notes_.push_back(place(module) + ": taken for an InstanceNorm3d; a GroupNorm's tensors look the same");
    }
    append(std::move(layer), module);
    if (!channels_ && count > 1) channels_ = count;
  }

  static std::string type_of_channelwise(const Module& module) {
    if (module.find("bias") == nullptr && module.find("running_mean") == nullptr) return "prelu";
    const std::string name = last_part(module.name);
    if (module.find("running_mean") != nullptr) return says(name, {"inst"}) ? "instance_norm3d" : "batch_norm3d";
    return says(name, {"gn", "group"}) ? "group_norm" : "instance_norm3d";
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
