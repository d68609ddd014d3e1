#pragma once

#include <string_view>
#include <vector>

#include "convt3d/base/tensor.hpp"

namespace convt3d {

/// The elements of a tensor (channels,), in double. Throws Error{kShape} for another shape: "{module}: {name} has shape
/// ...". Internal: not installed.
std::vector<double> channel_values(std::string_view module, std::string_view name, const Tensor& tensor,
                                   std::int64_t channels);

}  // namespace convt3d
