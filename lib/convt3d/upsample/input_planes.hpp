#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "convt3d/conv/ahead.hpp"
#include "convt3d/imaging/volume_reader.hpp"
#include "convt3d/upsample/upsample.hpp"

namespace convt3d {

/// The input of a plan, some planes of one of its volumes at a time, from the file or files it is in.
class InputPlanes {
 public:
  InputPlanes(const UpsamplePlan& plan, DType dtype, Observer* observer);

  /// Planes of volume `n`, all channels, into the window (1, C, window_planes.count(), H, W) of which they are a part.
  void read(std::int64_t n, const Planes& planes, const TensorView& window, const Planes& window_planes);

  /// Reads what follows the planes that were read last, so that a file that is damaged there does not pass for whole.
  void read_to_end();

 private:
  /// How a file's volumes and components are the channels.
  enum class Source { kComponents, kFrames, kFiles, kHeld };

  Shape shape_;
  DType dtype_;
  Source source_;
  std::vector<std::unique_ptr<VolumeReader>> files_;
  std::optional<Tensor> held_;  ///< (1, C, D, H, W)
  std::int64_t last_n_ = 0;
  std::int64_t last_end_ = 0;
};

/// Bytes that InputPlanes holds besides the windows it fills, if the largest has `window_planes` planes.
std::vector<LedgerEntry> input_planes_ledger(const UpsamplePlan& plan, DType dtype, std::int64_t window_planes);

/// Planes of the input for one slab after the other: what two that follow each other have in common is read once, and the
/// next ones are read ahead while the caller is at work.
class InputWindows {
 public:
  struct Window {
    std::int64_t n = 0;
    Planes planes;

    friend bool operator==(const Window&, const Window&) = default;
  };

  /// `most_planes` are those of the largest window.
  InputWindows(InputPlanes& input, const UpsamplePlan& plan, DType dtype, std::int64_t most_planes, int threads);

  /// The planes of a window, for reading, until the call after the next one. `next` is what is asked for then, if that is
  /// known.
  ConstTensorView get(const Window& window, const std::optional<Window>& next);

  /// Time that reading has taken, in whatever thread.
  double seconds() const { return seconds_; }

 private:
  struct Held {
    Buffer buffer;
    Window window;
    double seconds = 0;  ///< that reading it took
  };

  TensorView view_of(Held& held) const;
  void fill(Held& held, Held& before);

  InputPlanes& input_;
  Shape shape_;
  DType dtype_;
  int threads_;
  Held now_, next_;
  double seconds_ = 0;
  std::optional<Ahead> reading_;  ///< next_
};

}  // namespace convt3d
