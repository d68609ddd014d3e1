#pragma once

#include <cstdint>
#include <functional>

namespace convt3d {

/// Calls body(begin, end) on parts of [0, count) of about `grain`, from at most `threads` threads (0: all of the machine's).
/// Exceptions of the body reach the caller; which thread runs which part is not defined, so no result may depend on it.
void parallel_for(int threads, std::int64_t count, std::int64_t grain,
                  const std::function<void(std::int64_t, std::int64_t)>& body);

/// Has `task` called some time by a thread that is not the caller's, one of those that parallel_for calls with that many
/// threads (2 or more) share: beside them when they have nothing to do, between their parts when they have. Nobody waits for
/// it, and it must not throw; whoever starts it keeps what it uses alive.
void run_in_background(int threads, std::function<void()> task);

}  // namespace convt3d
