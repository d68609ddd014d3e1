// Work that may be begun before it is asked for: done once, dropped if not wanted, its error thrown where it is asked for.

#include "convt3d/conv/ahead.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

namespace {

using convt3d::Ahead;

TEST(Ahead, IsDoneOnceWhenItIsAskedFor) {
  for (const int threads : {1, 2}) {
    for (int i = 0; i < 200; ++i) {
      std::atomic<int> runs = 0;
      Ahead work(threads, [&] { ++runs; });
      work.finish();
      work.finish();
      EXPECT_EQ(runs, 1) << threads << " threads";
    }
  }
}

TEST(Ahead, WaitsForNobodyOnOneThread) {
  bool done = false;
  const Ahead work(1, [&] { done = true; });
  EXPECT_FALSE(done);
}

TEST(Ahead, IsBegunByAThreadThatHasNothingToDo) {
  std::atomic<bool> begun = false;
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<bool> elsewhere = false;
  Ahead work(2, [&] {
    elsewhere = std::this_thread::get_id() != caller;
    begun = true;
  });
  while (!begun) std::this_thread::yield();  // for ever if nobody does
  work.finish();
  EXPECT_TRUE(elsewhere);
}

TEST(Ahead, ThrowsWhatTheWorkThrewWhereItIsAskedFor) {
  for (const int threads : {1, 2}) {
    Ahead work(threads, [] { throw std::runtime_error("broken"); });
    EXPECT_THROW(work.finish(), std::runtime_error);
  }
}

/// What the work uses may go as soon as it is destroyed.
TEST(Ahead, IsOverWhenItIsDestroyed) {
  std::atomic<int> late = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto alive = std::make_shared<std::atomic<bool>>(true);
    {
      const Ahead work(2, [&late, alive] {
        std::this_thread::yield();
        late += *alive ? 0 : 1;
      });
    }
    *alive = false;
  }
  EXPECT_EQ(late, 0);
}

}  // namespace
