#pragma once

#include <string>
#include <string_view>

#include "convt3d/base/error.hpp"
#include "convt3d/base/observer.hpp"

namespace convt3d {

/// Tells the observer, if any, what begins; it may take its time. Throws Error{kStopped} if it wants the run to end.
inline void enter(Observer* observer, std::string_view stage) {
  if (observer == nullptr) return;
  if (observer->stop_requested()) throw Error(ErrorKind::kStopped, "stopped before " + std::string(stage));
  observer->stage(stage);
}

}  // namespace convt3d
