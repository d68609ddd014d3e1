#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "convt3d/model/tensor_file.hpp"

namespace convt3d {

/// A config to start from.
struct DraftConfig {
  std::string json;
  std::vector<std::string> notes;  ///< what was guessed or left out
};

/// The modules of a weight file whose keys start with `prefix`, in natural order, as layers: 5-D weights as conv_transpose3d
/// or conv3d, 1-D ones with a bias as norms, alone as prelu. Shapes tell neither the kind of a convolution nor stride and
/// padding: the kind follows from the channels that arrive, then from names such as "transp", "up" and "deconv"; stride and
/// padding are those that double or keep a size with that kernel. What fits into no chain of layers is left out. `file` is
/// how the config is to name the file. Throws Error{kConfig} where there is no layer to make.
DraftConfig draft_config(const TensorFile& tensors, const std::string& file, const std::string& prefix);

}  // namespace convt3d
