#pragma once

#include <string_view>

namespace convt3d {

/// Whether `a` comes before `b` where runs of digits compare as numbers: "up.2" before "up.10".
bool natural_less(std::string_view a, std::string_view b);

}  // namespace convt3d
