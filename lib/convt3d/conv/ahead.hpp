#pragma once

#include <functional>
#include <memory>

namespace convt3d {

/// Work that will be asked for: a thread that has nothing else to do may begin it before (run_in_background).
class Ahead {
 public:
  /// `threads` as in parallel_for; with one, the work is done when it is asked for.
  Ahead(int threads, std::function<void()> work);
  /// Drops the work if it has not begun, and waits for its end if it has.
  ~Ahead();
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;

  /// Does the work if nobody has begun it, and waits for its end. Throws what it threw.
  void finish();

 private:
  struct State;
  std::shared_ptr<State> state_;  ///< shared with the background task, which may begin after all has ended
};

}  // namespace convt3d
