#include "flight.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "convt3d/base/error.hpp"

namespace convt3d::app {
namespace {

constexpr std::array<const char*, 3> kStages = {"reading", "computing", "writing"};

/// Jobs that do nothing but take turns of random length, and what can be seen of them.
class Trial {
 public:
  explicit Trial(std::size_t jobs, std::size_t together) {
    flight = {.jobs = jobs,
              .admits = [together](std::size_t front, std::size_t next) { return next - front < together; },
              .work = [this](std::size_t job, Observer& observer) { work(job, observer); },
              .name = [](std::size_t job) { return std::to_string(job); },
              .ended =
                  [this](std::size_t job, std::exception_ptr thrown) {
                    EXPECT_EQ(job, told);  // in order, and each once
                    told = job + 1;
                    failed.push_back(thrown != nullptr);
                    return job != last;
                  }};
  }

  void run() { app::run(flight, console); }

  Flight flight;
  Console console;
  std::size_t last = static_cast<std::size_t>(-1);      ///< job that ends the flight
  std::size_t throwing = static_cast<std::size_t>(-1);  ///< job that throws while computing
  std::atomic<std::size_t> told = 0;
  std::vector<bool> failed;
  std::atomic<int> in_flight = 0, most_in_flight = 0, on_another_thread = 0;
  std::atomic<std::size_t> writers = 0;

 private:
  void work(std::size_t job, Observer& observer) {
    if (std::this_thread::get_id() != caller_) ++on_another_thread;
    const int now = ++in_flight;
    for (int most = most_in_flight; now > most && !most_in_flight.compare_exchange_weak(most, now);) continue;
    struct Leave {
      ~Leave() { --count; }
      std::atomic<int>& count;
    } leave{in_flight};
    for (std::size_t stage = 0; stage < kStages.size(); ++stage) {
      observer.stage(kStages[stage]);
      EXPECT_EQ(inside_[stage]++, 0) << kStages[stage] << " of job " << job;  // one at a time
      if (stage == 2) {
        EXPECT_EQ(told, job) << "writes before those before it have ended";
        ++writers;
      }
      std::this_thread::sleep_for(std::chrono::microseconds((job * 7919 + stage * 104729) % 1500));
      observer.progress(0.5);
      --inside_[stage];
      if (stage == 1 && job == throwing) throw std::runtime_error("cannot be computed");
      if (observer.stop_requested()) throw Error(ErrorKind::kStopped, "stopped");
    }
  }

  std::thread::id caller_ = std::this_thread::get_id();
  std::array<std::atomic<int>, 3> inside_{};
};

TEST(Flight, TellsOfAllInOrder) {
  for (const std::size_t together : {1, 2, 3, 5}) {
    Trial trial(60, together);
    trial.run();
    EXPECT_EQ(trial.told, 60u);
    EXPECT_EQ(trial.writers, 60u);
    EXPECT_LE(trial.most_in_flight, static_cast<int>(together));
  }
}

TEST(Flight, OverlapsWhatIsAdmitted) {
  Trial trial(60, 3);
  trial.run();
  EXPECT_GT(trial.most_in_flight, 1);
}

TEST(Flight, RunsWhatIsAloneOnTheCallersThread) {
  Trial trial(10, 1);
  trial.run();
  EXPECT_EQ(trial.on_another_thread, 0);
  EXPECT_EQ(trial.most_in_flight, 1);
}

TEST(Flight, GoesOnBehindAJobThatThrows) {
  Trial trial(20, 3);
  trial.throwing = 7;
  trial.run();
  EXPECT_EQ(trial.told, 20u);
  EXPECT_EQ(trial.writers, 19u);
  for (std::size_t job = 0; job < 20; ++job) EXPECT_EQ(trial.failed[job], job == 7) << job;
}

TEST(Flight, ThatEndsEarlyLetsNothingBehindBeWritten) {
  for (std::size_t last = 0; last < 10; ++last) {
    Trial trial(30, 3);
    trial.last = trial.throwing = last;
    trial.run();
    EXPECT_EQ(trial.told, last + 1);
    EXPECT_EQ(trial.writers, last);
    EXPECT_EQ(trial.in_flight, 0) << "somebody still runs";
  }
}

TEST(Flight, OfNothingEnds) { Trial(0, 3).run(); }

}  // namespace
}  // namespace convt3d::app
