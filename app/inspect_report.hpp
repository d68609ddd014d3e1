#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/model/model.hpp"
#include "convt3d/model/tensor_file.hpp"
#include "convt3d/nn/kernel_sums.hpp"

namespace convt3d::app {

struct TensorLine {
  std::string key;
  TensorInfo info;
  std::optional<std::array<double, 3>> values;  ///< least, greatest, mean
};

struct LayerLine {
  const Layer* layer = nullptr;
  std::string name;
  std::optional<Extent3> field;  ///< voxels of the layer's output that one of the stack's output depends on
  Shape input;                   ///< empty where no shape is given
  Shape output;
  std::optional<KernelSums> sums;  ///< of a conv_transpose3d
};

struct ModelView {
  const Model* model = nullptr;
  std::optional<Extent3> field;  ///< of the input
  std::vector<LayerLine> layers;
};

std::string tensors_text(const std::filesystem::path& path, const TensorFile& file, const std::vector<TensorLine>& tensors);
std::string tensors_json(const std::filesystem::path& path, const TensorFile& file, const std::vector<TensorLine>& tensors);
std::string model_text(const ModelView& view);
std::string model_json(const ModelView& view);

/// Elements of all tensors.
std::int64_t value_count(const std::vector<TensorLine>& tensors);

}  // namespace convt3d::app
