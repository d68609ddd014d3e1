#include "units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

namespace convt3d::app {
namespace {

constexpr std::array<std::pair<std::string_view, double>, 10> kSizeUnits = {{{"", 1},
                                                                             {"b", 1},
                                                                             {"kb", 1e3},
                                                                             {"mb", 1e6},
                                                                             {"gb", 1e9},
                                                                             {"tb", 1e12},
                                                                             {"kib", 0x1p10},
                                                                             {"mib", 0x1p20},
                                                                             {"gib", 0x1p30},
                                                                             {"tib", 0x1p40}}};

}  // namespace

std::optional<std::int64_t> parse_size(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  std::string unit(end, text.data() + text.size());
  unit.erase(0, unit.find_first_not_of(' '));
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char letter) { return std::tolower(letter); });
  const auto found =
      std::find_if(kSizeUnits.begin(), kSizeUnits.end(), [&](const auto& known) { return known.first == unit; });
  if (found == kSizeUnits.end()) return std::nullopt;
  const double bytes = number * found->second;
  if (!(bytes >= 1) || bytes >= 0x1p63) return std::nullopt;
  return static_cast<std::int64_t>(bytes);
}

std::string format_bytes(std::int64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string format_seconds(double seconds) {
  if (seconds < 60) return fmt::format("{:.2f} s", seconds);
  const auto whole = static_cast<std::int64_t>(std::lround(seconds));
  return fmt::format("{} min {:02} s", whole / 60, whole % 60);
}

}  // namespace convt3d::app
