#include "convt3d/model/earlier_layers.hpp"

#include <algorithm>
#include <string_view>

#include "convt3d/model/suggest.hpp"
#include "convt3d/nn/sequential.hpp"

namespace convt3d {

EarlierLayers::EarlierLayers(const Node& layers) : channels_{{.known = std::nullopt, .as_input = true}} {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Node layer = layers.at(i);
    const std::optional<Node> name = layer.is_object() ? layer.find("name") : std::nullopt;
    names_.push_back(name && name->is_string() ? name->string() : "");
  }
}

std::int64_t EarlierLayers::find(const Node& from) const {
  const std::string name = from.string();
  if (name == "input") return Sequential::kInput;
  const auto index = static_cast<std::ptrdiff_t>(channels_.size()) - 1;  // of the layer about to be built
  const auto named = std::find(names_.begin(), names_.end(), name);
  const std::ptrdiff_t found = named - names_.begin();
  if (named != names_.end() && !name.empty() && found < index) return found;
  if (named != names_.end() && !name.empty() && found == index) {
    from.fail("this is the layer's own name; it can take what a layer before it gives, or \"input\"");
  }
  if (named != names_.end() && !name.empty()) {
    from.fail("layer " + std::to_string(found) +
              " has this name, but comes later; a layer can take what one before it gives");
  }
  std::vector<std::string_view> known = {"input"};
  std::copy_if(names_.begin(), names_.begin() + index, std::back_inserter(known),
               [](const auto& one) { return !one.empty(); });
  from.fail("no layer before this one has the name \"" + name + "\"" + did_you_mean(name, known),
            {"known here: " + list_of(known)});
}

ChannelCount EarlierLayers::channels_of(std::int64_t index) const { return channels_[static_cast<std::size_t>(index + 1)]; }

void EarlierLayers::learn(const ChannelCount& channels, std::int64_t count) {
  if (!channels.as_input) return;
  for (ChannelCount& earlier : channels_) {
    if (earlier.as_input) earlier = {.known = count};
  }
}

}  // namespace convt3d
