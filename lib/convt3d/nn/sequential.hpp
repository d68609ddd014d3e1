#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/nn/join.hpp"
#include "convt3d/nn/layer.hpp"
#include "convt3d/nn/normalize.hpp"

namespace convt3d {

/// Layers one after the other, as torch.nn.Sequential; a layer may have a name. A JoinLayer also takes what an earlier layer
/// gave, and any other layer may take that instead of what the one before it gave: it begins a branch, which a join brings
/// together with the rest. A DenormalizingLayer refers to what an earlier layer has found out of its input. Errors of a
/// layer come with its index and name in front.
class Sequential {
 public:
  /// Stands for the stack's own input where a layer's index is asked for.
  static constexpr std::int64_t kInput = -1;

  /// `from` is the index of an earlier layer, or kInput; a JoinLayer has one, and a DenormalizingLayer that of a
  /// NormalizingLayer. Throws Error{kShape} otherwise.
  void append(std::unique_ptr<Layer> layer, std::string name = "", std::optional<std::int64_t> from = std::nullopt);

  std::size_t size() const { return layers_.size(); }
  const Layer& operator[](std::size_t index) const { return *layers_[index].layer; }
  const std::string& name(std::size_t index) const { return layers_[index].name; }
  std::optional<std::int64_t> from(std::size_t index) const { return layers_[index].from; }
  /// The layer, or kInput, whose volume this one takes: the one before it, or where its branch begins.
  std::int64_t input_of(std::size_t index) const;
  /// The layer, or kInput, whose volume a join takes besides.
  std::optional<std::int64_t> joined_by(std::size_t index) const;
  /// The layer whose statistics, of its own input, this one is done with.
  std::optional<std::size_t> lender_of(std::size_t index) const;
  /// The first layer, of all but the last, whose volume no layer takes; nullopt if there is none.
  std::optional<std::size_t> first_unread() const;
  /// The layer, if it is a join; else null.
  const JoinLayer* join(std::size_t index) const { return layers_[index].join; }

  Shape output_shape(const Shape& input) const;
  /// What a join adds is taken to lie where the voxels that it is added to do.
  Sampling sampling(const Shape& input) const;
  std::int64_t parameter_count() const;
  /// One entry per layer.
  std::vector<LayerPlan> plan(const Shape& input, const RunOptions& options = {}) const;
  /// What a `from` names is kept from when it is there until the last layer that takes it, and no longer.
  Tensor forward(Tensor input, const RunOptions& options = {}) const;

  /// What the first layers give, and by their layers the volumes before it that the others name.
  struct Volumes {
    Tensor last;
    std::map<std::int64_t, Tensor> kept;
  };
  Volumes forward_first(std::size_t count, Tensor input, const RunOptions& options = {}) const;

  /// Layer::release of all layers.
  void release() const;

 private:
  friend Sequential fuse(Sequential stack);

  struct Entry {
    std::unique_ptr<Layer> layer;
    std::string name;
    std::optional<std::int64_t> from;
    const JoinLayer* join = nullptr;                       ///< the layer, if it is one
    const DenormalizingLayer* denormalizing = nullptr;     ///< likewise
    std::optional<std::size_t> last_taker = std::nullopt;  ///< the last layer whose `from` is this one
  };

  /// The last layer whose `from` is layer `index` (or kInput); nullopt if there is none.
  std::optional<std::size_t> last_taker_of(std::int64_t index) const;
  /// Whether a later layer takes what layer `index` takes.
  bool input_is_taken_again(std::size_t index) const;
  /// Throws where a layer cannot be done with what another has found out.
  void require_lender_fits(std::size_t index, const std::vector<Shape>& shapes) const;
  /// Whether what the layer is done with is there in a run by planes: no layer since is taken as a whole. `plans` are those
  /// of the layers before it.
  bool lender_is_in_reach(std::size_t index, const std::vector<LayerPlan>& plans) const;
  /// Whether a later layer is done with this one's statistics.
  bool lends(std::size_t index) const;
  /// Its input, out of the volumes that are there; moved out where nobody takes it again.
  Tensor taken_by(std::size_t index, std::map<std::int64_t, Tensor>& volumes, const RunOptions& options) const;
  /// Of the input, then of what each layer gives.
  std::vector<Shape> shapes_from(const Shape& input) const;
  std::vector<KeptVolume> kept_during(std::size_t index, const std::vector<Shape>& shapes) const;
  std::string note_on_grids(std::size_t index, const std::vector<Sampling>& samplings) const;

  std::vector<Entry> layers_;
  std::optional<std::size_t> last_taker_of_input_;
};

}  // namespace convt3d
