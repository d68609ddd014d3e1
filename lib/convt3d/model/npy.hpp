#pragma once

#include <cstdint>
#include <istream>

#include "convt3d/base/tensor.hpp"

namespace convt3d {

/// The array of an .npy file of `file_bytes` bytes, format 1.0, 2.0 or 3.0, in C order and this machine's byte order, as
/// what it is stored as: float16, float32, float64 or an integer. Nothing is allocated before header and file size agree.
/// Throws Error{kConfig} for everything else. Source: numpy.lib.format.
Tensor read_npy(std::istream& file, std::int64_t file_bytes);

}  // namespace convt3d
