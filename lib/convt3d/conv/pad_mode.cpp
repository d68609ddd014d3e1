#include "convt3d/conv/pad_mode.hpp"

#include <array>
#include <utility>

namespace convt3d {
namespace {

constexpr std::array<std::pair<PadMode, std::string_view>, 3> kModeNames = {
    {{PadMode::kZeros, "zeros"}, {PadMode::kReplicate, "replicate"}, {PadMode::kReflect, "reflect"}}};

}  // namespace

std::string_view name_of(PadMode mode) { return kModeNames[static_cast<std::size_t>(mode)].second; }

std::optional<PadMode> pad_mode_from_name(std::string_view name) {
  for (const auto& [mode, its_name] : kModeNames) {
    if (its_name == name) return mode;
  }
  return std::nullopt;
}

}  // namespace convt3d
