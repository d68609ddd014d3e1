#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "convt3d/base/dtype.hpp"
#include "convt3d/base/extent.hpp"
#include "convt3d/base/tensor.hpp"

// What the parameters of both convolutions must be. `module` begins the message: "ConvTranspose3d". Internal: not installed.
namespace convt3d {

[[noreturn]] void refuse(const char* module, const std::string& what);

/// Each throws Error{kShape}, naming the axis and the admissible range.
void require_at_least(const char* module, const char* name, const Extent3& value, std::int64_t least);
void require_channels(const char* module, std::int64_t in_channels, std::int64_t out_channels, std::int64_t groups);
void require_computed(const char* module, DType dtype, const std::string& device);
void require_voxels(const char* module, const Extent3& input);

/// The shape of the output for an input of shape (N, C, D, H, W) or (C, D, H, W), where `extent` maps the spatial part.
/// Throws Error{kShape} for another rank, and for channels other than in_channels.
Shape output_shape(const char* module, std::int64_t in_channels, std::int64_t out_channels, const Shape& input,
                   const std::function<Extent3(const Extent3&)>& extent);

}  // namespace convt3d
