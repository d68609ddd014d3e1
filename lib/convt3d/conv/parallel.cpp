#include "convt3d/conv/parallel.hpp"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "convt3d/base/machine.hpp"

namespace convt3d {
namespace {

/// One arena per number of threads, kept: making one costs more than a small layer takes.
tbb::task_arena& arena_of(int threads) {
  // A caller may ask for more threads than there are CPUs. Of several such permissions oneTBB takes the least, so there is
  // one for the whole process, as high as the number of workers it ever makes.
  static const tbb::global_control permission(tbb::global_control::max_allowed_parallelism, 256);
  static std::mutex mutex;
  static std::map<int, std::unique_ptr<tbb::task_arena>> arenas;
  const std::lock_guard lock(mutex);
  std::unique_ptr<tbb::task_arena>& arena = arenas[threads];
  if (!arena) arena = std::make_unique<tbb::task_arena>(threads);
  return *arena;
}

/// What a thread did before it publishes an order is seen by those that receive it after. oneTBB sees to that; but it is not
/// instrumented, so ThreadSanitizer has to be told.
struct Order {
#if defined(__SANITIZE_THREAD__)
  void publish() { __tsan_release(this); }
  void receive() { __tsan_acquire(this); }
#else
  void publish() {}
  void receive() {}
#endif
};

// Each one for all calls: a local's address would have to be read from the task, which is handed over unseen.
Order fork;
Order join;

}  // namespace

void parallel_for(int threads, std::int64_t count, std::int64_t grain,
                  const std::function<void(std::int64_t, std::int64_t)>& body) {
  if (count <= 0) return;
  static const int all = Machine::detect().threads;
  if (threads <= 0) threads = all;
  if (threads == 1 || count <= grain) return body(0, count);
  const auto run = [&] {
    fork.receive();  // it may be a worker that executes this
    tbb::parallel_for(
        tbb::blocked_range<std::int64_t>(0, count, static_cast<std::size_t>(grain)),
        [&](const tbb::blocked_range<std::int64_t>& range) {
          fork.receive();
          body(range.begin(), range.end());
          join.publish();
        },
        tbb::simple_partitioner());
    join.publish();
  };
  tbb::task_arena& arena = arena_of(threads);
  fork.publish();
  arena.execute(run);
  join.receive();
}

void run_in_background(int threads, std::function<void()> task) {
  auto* const handed_over = new std::function<void()>(std::move(task));
  tbb::task_arena& arena = arena_of(threads);
  fork.publish();
  arena.enqueue([handed_over] {
    fork.receive();
    const std::unique_ptr<std::function<void()>> owned(handed_over);
    (*owned)();
  });
}

}  // namespace convt3d
