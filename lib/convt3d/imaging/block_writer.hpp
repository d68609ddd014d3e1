#pragma once

#include <cstdint>

#include "convt3d/base/observer.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/imaging/output_file.hpp"
#include "convt3d/imaging/volume.hpp"

namespace convt3d {

/// Appends a volume's voxels (N, C, D, H, W) to a file, all volumes of a channel before the next channel (NIfTI's order), as
/// elements of options.pixel_type: in blocks of 4 MiB that options.threads threads convert, and if `gzip` compress to one
/// member each, and that are written in order. Returns how many were clipped.
/// Throws Error{kOutput} for NaN that an integer type cannot hold, with its place.
std::int64_t write_blocks(OutputFile& file, const Tensor& voxels, const WriteOptions& options, bool gzip,
                          Observer* observer);

/// Bytes that write_blocks holds at its fullest for `elements` elements.
std::int64_t block_bytes(std::int64_t elements, const WriteOptions& options, bool gzip);

}  // namespace convt3d
