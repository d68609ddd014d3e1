#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace convt3d::app {

/// Bytes of "500MB" (powers of 1000), "2GiB" or "1.5 GiB" (of 1024) or a plain number; upper and lower case. nullopt for
/// anything else, for less than one byte and for more than 63 bits.
std::optional<std::int64_t> parse_size(std::string_view text);

/// "217.3 MiB"; bytes below 1024 as they are.
std::string format_bytes(std::int64_t bytes);

/// "0.42 s", "3 min 05 s"
std::string format_seconds(double seconds);

}  // namespace convt3d::app
