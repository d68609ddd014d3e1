#include "convt3d/base/extent.hpp"

namespace convt3d {

std::string to_string(const Extent3& extent) {
  return "(" + std::to_string(extent.d) + ", " + std::to_string(extent.h) + ", " + std::to_string(extent.w) + ")";
}

}  // namespace convt3d
