#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace convt3d {

/// Config files longer than this are refused: JSON is no place for more weights than that.
inline constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20;
/// Containers within containers.
inline constexpr std::size_t kMaxJsonDepth = 64;

/// The bytes of a config file; reads no more than kMaxConfigBytes even of an endless one. Throws Error{kConfig}.
std::string read_config_text(const std::filesystem::path& path);

/// Parses strict JSON (RFC 8259): no comments, no NaN, UTF-8 only, nothing after the value, no key twice in an object, and
/// at most kMaxJsonDepth deep. Throws Error{kConfig} with `file` and the line, or the JSON pointer of a duplicate.
nlohmann::json parse_strict_json(std::string_view text, const std::string& file);

/// The pointer to a member: RFC 6901's escapes for '~' and '/'.
std::string pointer_to(const std::string& parent, std::string_view key);

}  // namespace convt3d
