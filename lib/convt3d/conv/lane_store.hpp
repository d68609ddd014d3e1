#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/packed_epilogue.hpp"

namespace convt3d {

/// Where a vector of a group's channels goes: those from `first` on, of `target` and one every channel_stride elements.
template <typename T>
struct LaneTarget {
  std::int64_t group = 0;
  std::int64_t first = 0;
  std::int64_t channels = 0;  ///< a vector at most
  T* target = nullptr;
  std::int64_t channel_stride = 0;
};

/// Of volume n of the output: a vector of a group's channels, or what is left of them.
template <typename T>
LaneTarget<T> lane_target(const RunArgs& args, const Problem& problem, std::int64_t n, std::int64_t group,
                          std::int64_t first, std::int64_t lanes) {
  const Extent3 have = args.output_box.extent();
  const std::int64_t co = problem.co / problem.groups, channel_stride = have.d * have.h * have.w;
  return {.group = group,
          .first = first,
          .channels = std::min(lanes, co - first),
          .target = static_cast<T*>(args.output) + (n * problem.co + group * co + first) * channel_stride,
          .channel_stride = channel_stride};
}

/// The way of staging rows into a volume: through the epilogue, transposed, past the caches where that is asked for.
template <typename T>
class LaneStore {
 public:
  /// Keeps the epilogue. With `stream`, runs should be long, follow one another or consist of whole lines: what is left of a
  /// line waits for the run that goes on there.
  LaneStore(const PackedEpilogue<T>& epilogue, kernels::UnpackFn<T> unpack, std::int64_t lanes, const LaneTarget<T>& target,
            bool stream)
      : epilogue_(epilogue), unpack_(unpack), lanes_(lanes), target_(target) {
    if (stream) streams_.emplace();
  }
  ~LaneStore() {
    if (!streams_) return;
    for (kernels::RowStream<T>& stream : *streams_) kernels::flush(stream);
  }
  LaneStore(const LaneStore&) = delete;
  LaneStore& operator=(const LaneStore&) = delete;

  /// Voxels staging[x][lane], x < count, into `count` elements of each channel, from `offset` on. Changes the staging.
  void put(T* staging, std::int64_t offset, std::int64_t count) {
    constexpr std::int64_t kPiece = 512;  // from the epilogue to the transpose the first cache holds them
    for (std::int64_t x = 0; x < count; x += kPiece) {
      const std::int64_t columns = std::min(kPiece, count - x);
      T* const from = staging + x * lanes_;
      epilogue_.on_lanes(target_.group, target_.first, from, columns);
      unpack_({.staging = from,
               .ld = lanes_,
               .channels = target_.channels,
               .count = columns,
               .target = target_.target + offset + x,
               .channel_stride = target_.channel_stride,
               .streams = streams_ ? streams_->data() : nullptr});
    }
  }

 private:
  static constexpr std::size_t kMostLanes = 16;

  const PackedEpilogue<T>& epilogue_;
  kernels::UnpackFn<T> unpack_;
  std::int64_t lanes_;
  LaneTarget<T> target_;
  std::optional<std::array<kernels::RowStream<T>, kMostLanes>> streams_;
};

}  // namespace convt3d
