#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "convt3d/nn/slabs.hpp"

namespace convt3d {

/// How volumes are taken through a stack. Its first layers may be run on the whole: those that recurse along the depth must
/// be. What follows is run slab by slab, in a pass for each layer that needs statistics of all of its input and one for the
/// output.
struct Way {
  std::size_t whole_layers = 0;   ///< all of them: nothing is done slab by slab
  std::vector<LayerPlan> layers;  ///< for one volume
  std::vector<SlabPlan> passes;   ///< the last makes the output, the others the input of layer `end`

  bool in_slabs() const { return !passes.empty(); }
};

/// The way without slabs.
Way whole_way(const Sequential& stack);

/// Places where slabs may begin, ascending: behind the last layer that must be run on the whole, and behind each later one
/// that needs statistics unless a layer after it is done with them; none at the end of the stack.
std::vector<std::size_t> slab_begins(const Sequential& stack, const std::vector<LayerPlan>& layers);

/// Slabs of `height` output planes from layer `begin` on, the other passes in slabs that take no more memory.
Way slab_way(const Sequential& stack, const std::vector<LayerPlan>& layers, DType dtype, std::size_t begin,
             std::int64_t height);

/// The height of slabs that saves time: planes enough that little is computed twice, few enough that buffers stay small and
/// warm. nullopt where the whole is as good.
std::optional<std::int64_t> fast_height(const Sequential& stack, const std::vector<LayerPlan>& layers, DType dtype,
                                        std::size_t begin);

/// The greatest height from 1 to `most` that `fits`, which does so less the higher it is; 1 if none does.
std::int64_t greatest_height(std::int64_t most, const std::function<bool(std::int64_t)>& fits);

/// Most planes that any slab of the passes needs of volume v.
std::int64_t most_planes(const Sequential& stack, const Way& way, std::size_t v);

}  // namespace convt3d
