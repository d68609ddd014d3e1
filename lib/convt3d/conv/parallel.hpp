#pragma once

#include <cstdint>
#include <functional>

namespace convt3d {

/// Calls body(begin, end) on parts of [0, count) of about `grain`, from at most `threads` threads (0: all of the machine's).
/// Exceptions of the body reach the caller; which thread runs which part is not defined, so no result may depend on it.
void parallel_for(int threads, std::int64_t count, std::int64_t grain,
                  const std::function<void(std::int64_t, std::int64_t)>& body);

}  // namespace convt3d
