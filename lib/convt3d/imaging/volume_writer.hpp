#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "convt3d/base/observer.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/imaging/volume.hpp"

namespace convt3d {

/// Writes a volume that comes slab by slab, as write_volume writes a whole one: the same bytes however it is cut.
///
/// What write() is given is converted there and then; compressing and writing it goes on in the background, in threads that
/// options.threads counts and that the engine's work shares. writing_bytes bounds what is on its way. What goes wrong there
/// is thrown by the next call.
///
/// NIfTI has the channels one after the other. Where they are compressed and there are several, each grows in a file of its
/// own, and finish() puts them together.
class VolumeWriter {
 public:
  /// `shape` is the whole volume's (N, C, D, H, W). The observer, if any, is told how much of the volume has been taken, and
  /// asked whether to stop. Throws Error{kOutput} where no file can be made, or the format cannot hold the volume.
  VolumeWriter(const std::filesystem::path& path, const Shape& shape, const VoxelGrid& grid, const VolumeHeader& source,
               const WriteOptions& options, Observer* observer = nullptr);
  /// Removes all that was written, unless finish() has returned.
  ~VolumeWriter();
  VolumeWriter(const VolumeWriter&) = delete;
  VolumeWriter& operator=(const VolumeWriter&) = delete;

  /// Planes [first_d, first_d + planes.extent.d) of volume `n`, all channels of them: (1, C, d, H, W), float32 or float64.
  /// Planes come in order, volumes likewise; Error{kShape} otherwise. Throws Error{kOutput} for NaN that an integer type
  /// cannot hold, with its place, and when the file cannot be written; Error{kStopped} soon after the observer asks to stop.
  void write(const ConstTensorView& planes, std::int64_t n, std::int64_t first_d);

  /// Waits until all is written, and gives the file its name. Throws as write() does, and Error{kShape} if planes are
  /// missing.
  WriteReport finish();

 private:
  struct State;

  std::unique_ptr<State> state_;
};

}  // namespace convt3d
