#pragma once

#include <string>
#include <string_view>

namespace convt3d {

/// SHA-256 of the bytes as 64 lower-case hex digits. Source: FIPS 180-4, sections 5 and 6.2.
std::string sha256(std::string_view bytes);

}  // namespace convt3d
