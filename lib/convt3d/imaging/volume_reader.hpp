#pragma once

#include <cstdint>
#include <memory>

#include "convt3d/base/observer.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/imaging/volume.hpp"

namespace convt3d {

/// Reads a volume's voxels region by region, as read_voxels reads them all: one file, opened once.
///
/// Plain files give planes in any order at the same cost. Compressed ones are inflated from the front: planes ahead are
/// reached by inflating what lies between, planes behind by beginning anew, so regions should come in increasing order.
/// Where a compressed file has components one after the other (NIfTI's 5th axis), the whole volume is held from the first
/// read on.
class VolumeReader {
 public:
  /// Throws Error{kInput} as read_voxels does: where the file's length tells, at once.
  explicit VolumeReader(const VolumeHeader& header, Observer* observer = nullptr);
  ~VolumeReader();
  VolumeReader(const VolumeReader&) = delete;
  VolumeReader& operator=(const VolumeReader&) = delete;

  /// Whether planes come in any order at the same cost.
  bool seeks() const;

  /// Fills `planes`, (1, components, d, H, W) of float32 or float64, with planes [first_d, first_d + d) of frame `n`. Throws
  /// Error{kInput} for short or corrupt data, and for what follows the last plane when that has been read; Error{kShape} for
  /// planes that the volume does not have; Error{kStopped} soon after the observer asks to stop.
  void read(std::int64_t n, std::int64_t first_d, const TensorView& planes);

  /// All voxels, as read_voxels gives them.
  Tensor read_all(DType dtype);

 private:
  struct State;

  std::unique_ptr<State> state_;
};

/// Bytes that a VolumeReader holds while it gives `dtype`, besides what it fills.
std::int64_t region_reading_bytes(const VolumeHeader& header, DType dtype);

}  // namespace convt3d
