#include "convt3d/conv/ahead.hpp"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <utility>

#include "convt3d/conv/parallel.hpp"

namespace convt3d {

struct Ahead::State {
  enum class Stage { kWaiting, kRunning, kDone };

  explicit State(std::function<void()> its_work) : work(std::move(its_work)) {}

  /// Does the work unless somebody has begun it.
  void begin(std::unique_lock<std::mutex>& lock) {
    if (stage != Stage::kWaiting) return;
    stage = Stage::kRunning;
    lock.unlock();
    std::exception_ptr thrown;
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
    lock.lock();
    error = thrown;
    stage = Stage::kDone;
    changed.notify_all();
  }

  std::mutex mutex;  // of all that follows
  std::condition_variable changed;
  std::function<void()> work;
  Stage stage = Stage::kWaiting;
  std::exception_ptr error;
};

Ahead::Ahead(int threads, std::function<void()> work) : state_(std::make_shared<State>(std::move(work))) {
  if (threads == 1) return;
  run_in_background(threads, [state = state_] {
    std::unique_lock lock(state->mutex);
    state->begin(lock);
  });
}

Ahead::~Ahead() {
  std::unique_lock lock(state_->mutex);
  if (state_->stage == State::Stage::kWaiting) state_->stage = State::Stage::kDone;
  state_->changed.wait(lock, [&] { return state_->stage == State::Stage::kDone; });
}

void Ahead::finish() {
  std::unique_lock lock(state_->mutex);
  state_->begin(lock);
  state_->changed.wait(lock, [&] { return state_->stage == State::Stage::kDone; });
  if (state_->error) std::rethrow_exception(std::exchange(state_->error, nullptr));
}

}  // namespace convt3d
