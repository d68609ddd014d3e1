#pragma once

#include <vector>

#include "convt3d/conv/kernels/kernels.hpp"

namespace convt3d {

/// This thread's list of taps, kept so that products allocate nothing.
inline std::vector<kernels::ProductTap>& thread_taps() {
  thread_local std::vector<kernels::ProductTap> taps;
  return taps;
}

}  // namespace convt3d
