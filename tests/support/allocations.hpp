#pragma once

#include <cstdint>

/// What this process took from the heap through operator new and aligned_alloc, which is all that the library uses. A test
/// that links convt3d_test_allocations has these functions replaced.
namespace testing_support {

struct Allocations {
  std::int64_t count = 0;
  std::int64_t bytes = 0;  ///< as asked for; what was given back is not subtracted
};

Allocations allocations();

}  // namespace testing_support
