#pragma once

#include <cstdint>
#include <span>

#include "convt3d/base/checked.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/row_product.hpp"
#include "convt3d/conv/row_sets.hpp"

namespace convt3d {

/// A strip of voxels of many channels, rows side by side in memory.
template <typename T>
struct RowStrip {
  const T* input = nullptr;
  std::int64_t channel_stride = 0;
  std::int64_t channels = 0;
  std::int64_t count = 0;        ///< of voxels, at most the strips' length
  const T* input_end = nullptr;  ///< nothing is read from there on
};

/// Where a set of columns has its weights, [channel][column], its initial values (null: what stands at the target), and its
/// results; whether these go past the caches, or come from memory first (RowProductArgs).
template <typename T>
struct RowColumns {
  const T* weights = nullptr;
  const T* init = nullptr;
  T* target = nullptr;
  bool stream = false, from_memory = false;
};

/// Products of strips, read where they lie, with sets of columns.
template <typename T>
class RowStrips {
 public:
  /// `length`: voxels of a strip, whole vectors.
  RowStrips(Isa isa, std::int64_t length)
      : length_(length),
        lanes_(kernels::lanes<T>(isa)),
        row_product_(kernels::row_product<T>(isa)),
        gather_(kernels::gather_rows<T>(isa)) {}

  /// All sets with one strip, each with columns_of(set), whose results lie `target_stride` apart; asks meanwhile for the
  /// next strip. `packed` has room for length x channels: where a strip's last vectors would go on behind the input, it is
  /// copied there.
  template <typename ColumnsOf>
  void multiply(const RowStrip<T>& strip, std::span<const RowSet> sets, std::int64_t target_stride, T* packed,
                const ColumnsOf& columns_of) const {
    kernels::RowProductArgs<T> args{.input = strip.input,
                                    .channel_stride = strip.channel_stride,
                                    .channels = strip.channels,
                                    .vectors = ceil_div(strip.count, lanes_),
                                    .target_stride = target_stride,
                                    .ahead = strip.input + length_ + lanes_};
    if (strip.input_end - strip.input < (strip.channels - 1) * strip.channel_stride + args.vectors * lanes_) {
      gather_({.source = strip.input,
               .channel_stride = strip.channel_stride,
               .channels = strip.channels,
               .count = strip.count,
               .target = packed,
               .pitch = length_});
      args.input = packed;
      args.channel_stride = length_;
      args.ahead = nullptr;
    }
    const std::int64_t count = std::ssize(sets);
    for (std::int64_t i = 0; i < count; ++i) {
      const RowSet& set = sets[static_cast<std::size_t>(i)];
      const RowColumns<T> columns = columns_of(set);
      args.weights = columns.weights;
      args.init = columns.init;
      args.columns = static_cast<int>(set.count);
      args.target = columns.target;
      args.stream = columns.stream;
      args.from_memory = columns.from_memory;
      args.ahead_begin = strip.channels * i / count;
      args.ahead_end = args.ahead == nullptr ? args.ahead_begin : strip.channels * (i + 1) / count;
      row_product_(args);
    }
  }

 private:
  std::int64_t length_, lanes_;
  kernels::RowProductFn<T> row_product_;
  kernels::GatherRowsFn<T> gather_;
};

}  // namespace convt3d
