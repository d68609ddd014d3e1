#pragma once

#include <cstdint>
#include <functional>
#include <istream>

#include "convt3d/base/dtype.hpp"
#include "convt3d/base/tensor.hpp"

namespace convt3d {

/// Gives the next bytes of a file's content: fills `to` as far as there are some, and returns how many it got.
using ReadBytes = std::function<std::int64_t(void* to, std::int64_t bytes)>;

/// What an .npy file says of its array before the data begin.
struct NpyHeader {
  DType dtype = DType::kFloat32;  ///< as stored; truth values as uint8
  Shape shape;
  bool swapped = false;        ///< of the other byte order than this machine's
  bool fortran_order = false;  ///< first axis fastest
};

/// Reads the header of an .npy file of `file_bytes` bytes, format 1.0, 2.0 or 3.0: float16, float32, float64, bool or an
/// integer, whose data are as long as the file has them. Throws Error{kConfig} for everything else. Source:
/// numpy.lib.format.
NpyHeader read_npy_header(const ReadBytes& read, std::int64_t file_bytes);

/// The data that follow the header, in C order and this machine's byte order, as what they are stored as.
Tensor read_npy_data(const ReadBytes& read, const NpyHeader& header);

/// Both. Nothing is allocated before header and file size agree.
Tensor read_npy(std::istream& file, std::int64_t file_bytes);

}  // namespace convt3d
