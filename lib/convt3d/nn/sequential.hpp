#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/nn/join.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// Layers one after the other, as torch.nn.Sequential; a layer may have a name, and a JoinLayer also takes what an earlier
/// layer gave. Errors of a layer come with its index and name in front.
class Sequential {
 public:
  /// Stands for the stack's own input where a layer's index is asked for.
  static constexpr std::int64_t kInput = -1;

  /// A JoinLayer, and no other, has a `from`: the index of an earlier layer, or kInput. Throws Error{kShape} otherwise.
  void append(std::unique_ptr<Layer> layer, std::string name = "", std::optional<std::int64_t> from = std::nullopt);

  std::size_t size() const { return layers_.size(); }
  const Layer& operator[](std::size_t index) const { return *layers_[index].layer; }
  const std::string& name(std::size_t index) const { return layers_[index].name; }
  std::optional<std::int64_t> from(std::size_t index) const { return layers_[index].from; }
  /// The layer, if it is a join; else null.
  const JoinLayer* join(std::size_t index) const { return layers_[index].join; }

  Shape output_shape(const Shape& input) const;
  /// Along the layers in their order; what a join adds is taken to lie where the voxels that it is added to do.
  Sampling sampling(const Shape& input) const;
  std::int64_t parameter_count() const;
  /// One entry per layer.
  std::vector<LayerPlan> plan(const Shape& input, const RunOptions& options = {}) const;
  /// What a join needs is kept from when it is there until the last join that needs it, and no longer.
  Tensor forward(Tensor input, const RunOptions& options = {}) const;

  /// What the first layers give, and by their layers the volumes before it that the others join.
  struct Volumes {
    Tensor last;
    std::map<std::int64_t, Tensor> kept;
  };
  Volumes forward_first(std::size_t count, Tensor input, const RunOptions& options = {}) const;

 private:
  /// Of the input, then of what each layer gives.
  std::vector<Shape> shapes_from(const Shape& input) const;
  friend Sequential fuse(Sequential stack);

  struct Entry {
    std::unique_ptr<Layer> layer;
    std::string name;
    std::optional<std::int64_t> from;
    const JoinLayer* join = nullptr;                      ///< the layer, if it is one
    std::optional<std::size_t> last_join = std::nullopt;  ///< the last layer that joins what this one gives
  };

  /// The index of the last layer that joins what layer `index` (or kInput) gives; nullopt if none does.
  std::optional<std::size_t> last_join_of(std::int64_t index) const;
  std::vector<KeptVolume> kept_during(std::size_t index, const std::vector<Shape>& shapes) const;
  std::string note_on_grids(std::size_t index, const std::vector<Sampling>& samplings) const;

  std::vector<Entry> layers_;
  std::optional<std::size_t> last_join_of_input_;
};

}  // namespace convt3d
