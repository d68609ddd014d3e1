#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convt3d/model/node.hpp"

namespace convt3d {

/// Channels of a volume on its way through the stack, as far as the config tells.
struct ChannelCount {
  std::optional<std::int64_t> known;
  bool as_input = false;  ///< not known yet, but as many as the stack's input has
};

/// What the layers of a config built so far have given: their names, and how many channels. Layers are named by index, and
/// Sequential::kInput is the stack's own input.
class EarlierLayers {
 public:
  /// The list of a config's layers; its entries need not be valid yet.
  explicit EarlierLayers(const Node& layers);

  /// The layer that "from" of the layer about to be built names. Throws Error{kConfig}, with a did-you-mean, when that is no
  /// layer before it.
  std::int64_t find(const Node& from) const;

  ChannelCount channels_of(std::int64_t index) const;
  /// The index of the layer about to be built.
  std::int64_t next() const { return static_cast<std::int64_t>(channels_.size()) - 1; }
  /// The layer about to be built takes what this one gave, not what the one before it did.
  void take_from(std::int64_t index) { taken_ = index; }
  /// Those that arrive at the layer about to be built.
  ChannelCount arriving() const { return taken_ ? channels_of(*taken_) : channels_.back(); }
  /// Of the stack's input, where a layer has told.
  std::optional<std::int64_t> input_channels() const { return channels_.front().known; }

  /// A volume of these channels turns out to have `count`: if that tells those of the stack's input, it tells more.
  void learn(const ChannelCount& channels, std::int64_t count);
  /// The layer is built, and gives these.
  void append(const ChannelCount& channels) {
    channels_.push_back(channels);
    taken_.reset();
  }

 private:
  std::vector<std::string> names_;      ///< of all layers, "" where there is none
  std::vector<ChannelCount> channels_;  ///< of the input, then of each layer built
  std::optional<std::int64_t> taken_;
};

}  // namespace convt3d
