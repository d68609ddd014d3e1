#include "convt3d/nn/python_repr.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace convt3d {

std::string python_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 32> text{};
  const auto print = [&](std::chars_format format) {
    return std::string(text.data(), std::to_chars(text.data(), text.data() + text.size(), value, format).ptr);
  };
  // Python writes an exponent below 1e-4 and from 1e16 on; between them the shortest fixed form fits the array.
  const std::string scientific = print(std::chars_format::scientific);
  const int exponent = std::atoi(scientific.c_str() + scientific.find('e') + 1);
  if (exponent < -4 || exponent >= 16) return scientific;
  const std::string fixed = print(std::chars_format::fixed);
  return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
}

}  // namespace convt3d
