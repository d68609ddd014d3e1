#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convt3d/base/dtype.hpp"
#include "convt3d/model/earlier_layers.hpp"
#include "convt3d/model/node.hpp"
#include "convt3d/model/weight_source.hpp"
#include "convt3d/nn/layer.hpp"
#include "convt3d/nn/normalize.hpp"

namespace convt3d {

/// What building a layer knows of the rest of the config, and adds to it.
struct BuildContext {
  DType dtype = DType::kFloat32;              ///< the stack computes in: float32 or float64
  std::optional<std::int64_t> channels = {};  ///< that arrive at the layer, where the layers before it tell
  WeightFiles files;
  EarlierLayers earlier;
  std::vector<std::string> warnings = {};
  std::map<std::int64_t, Normalize> normalized = {};  ///< what the normalize layers do, by their index
};

struct BuiltLayer {
  std::unique_ptr<Layer> layer;
  std::optional<std::int64_t> in_channels = {};   ///< nullopt: any number
  std::optional<std::int64_t> out_channels = {};  ///< given where in_channels is; nullopt: see changes_channels
  bool changes_channels = false;                  ///< no out_channels: true: only a run tells them; false: as many as arrive
  std::optional<std::int64_t> from = {};          ///< of a row that `joins`: the earlier layer, or Sequential::kInput
};

/// One type of layer as configs know it. To add one, add its row.
struct LayerRow {
  std::string_view type;
  std::vector<std::string_view> keys;  ///< besides "type", "name" and "from", which every layer has
  BuiltLayer (*build)(const Node& layer, BuildContext& context);
  bool joins = false;  ///< "from" is something besides what arrives; else it is what the layer takes
};

const std::vector<LayerRow>& layer_table();

// The layers' builders, each in the file of its kind.
BuiltLayer build_conv_transpose3d(const Node& layer, BuildContext& context);
BuiltLayer build_conv3d(const Node& layer, BuildContext& context);
BuiltLayer build_batch_norm3d(const Node& layer, BuildContext& context);
BuiltLayer build_instance_norm3d(const Node& layer, BuildContext& context);
BuiltLayer build_group_norm(const Node& layer, BuildContext& context);
BuiltLayer build_softmax(const Node& layer, BuildContext& context);
BuiltLayer build_argmax(const Node& layer, BuildContext& context);
BuiltLayer build_pixel_shuffle3d(const Node& layer, BuildContext& context);
BuiltLayer build_upsample(const Node& layer, BuildContext& context);
BuiltLayer build_normalize(const Node& layer, BuildContext& context);
BuiltLayer build_denormalize(const Node& layer, BuildContext& context);
BuiltLayer build_add(const Node& layer, BuildContext& context);
BuiltLayer build_concat(const Node& layer, BuildContext& context);

}  // namespace convt3d
