#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "convt3d/base/buffer.hpp"
#include "convt3d/nn/sequential.hpp"

namespace convt3d {

/// Layers [begin, end) of a stack, taken some planes of their output at a time. Volume v is the stack's input for v = 0,
/// else what layer v-1 gives. Those before `begin`, and volume `begin` itself, are sources: they come from elsewhere.
struct SlabPlan {
  std::size_t begin = 0;
  std::size_t end = 0;
  DType dtype = DType::kFloat32;
  std::vector<Planes> slabs;       ///< of volume `end`, in order
  std::vector<std::size_t> slots;  ///< buffer of each volume from begin + 1 on; volumes share them one after the other
  std::vector<std::int64_t> slot_bytes;
  double work = 1;  ///< floating-point operations, of all slabs against the whole: what slabs have in common is done twice
};

/// What of every volume, 0 to `end`, layers [begin, end) need for these planes of volume `end`.
std::vector<Planes> needed_planes(const Sequential& stack, std::span<const LayerPlan> layers, std::size_t begin,
                                  std::size_t end, const Planes& output);

/// Slabs of `height` planes, but for the first, of `first_height`, and the last, of as many as are left; all layers from
/// `begin` on have a reach. `layers` is the stack's plan for one volume (1, C, D, H, W) of `dtype`.
SlabPlan plan_slabs(const Sequential& stack, std::span<const LayerPlan> layers, DType dtype, std::size_t begin,
                    std::size_t end, std::int64_t height, std::int64_t first_height);

/// Bytes of the planes that `count` planes of such volumes have.
std::int64_t plane_bytes(const Shape& volumes, DType dtype, std::int64_t count);

/// Runs layers slab by slab in buffers that it keeps. What it gives has the bits of Sequential::forward.
class SlabRunner {
 public:
  /// Some planes of a source.
  struct Source {
    ConstTensorView voxels;
    Planes planes;
  };
  using Sources = std::map<std::size_t, Source>;
  /// By layer, for those that need them.
  using StatisticsOf = std::map<std::size_t, const Statistics*>;

  /// All three are kept by reference.
  SlabRunner(const Sequential& stack, std::span<const LayerPlan> layers, const SlabPlan& plan);

  /// Those planes of volume `end`, until the next call. `sources` has of each source what needed_planes says. Throws as the
  /// layers do, and Error{kStopped}.
  ConstTensorView run(const Planes& output, const Sources& sources, const StatisticsOf& statistics,
                      const RunOptions& options);

 private:
  const Sequential& stack_;
  std::span<const LayerPlan> layers_;
  const SlabPlan& plan_;
  std::vector<Buffer> buffers_;
};

}  // namespace convt3d
