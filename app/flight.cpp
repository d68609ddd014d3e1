#include "flight.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>

#include "convt3d/base/error.hpp"

namespace convt3d::app {
namespace {

/// Stages in their order; what has another name counts as the last.
enum class Stage { kReading, kComputing, kWriting };

Stage stage_of(std::string_view name) {
  if (name == "reading") return Stage::kReading;
  return name == "computing" ? Stage::kComputing : Stage::kWriting;
}

/// Who may enter which stage, and who is shown on the console.
class Turns {
 public:
  explicit Turns(Console& console) : console_(console) {}

  /// The next job is in flight.
  void begin() {
    const std::lock_guard lock(mutex_);
    stages_.push_back("reading");
  }

  /// Waits for the job's turn. Throws Error{kStopped} when none will come.
  void enter(std::size_t job, std::string_view stage) {
    constexpr std::chrono::milliseconds kBetweenLooks{50};  // at the signal, which cannot wake anybody
    std::unique_lock lock(mutex_);
    while (!may_enter(job, stage_of(stage))) {
      if (stopped()) throw Error(ErrorKind::kStopped, "stopped while waiting");
      changed_.wait_for(lock, kBetweenLooks);
    }
    stages_[job - first_] = stage;
    if (job == first_) console_.stage(stage);
    changed_.notify_all();
  }

  void progress(std::size_t job, double fraction) {
    const std::lock_guard lock(mutex_);
    if (job == first_) console_.progress(fraction);
  }

  /// Shows the first job.
  void show(const std::string& name) {
    const std::lock_guard lock(mutex_);
    console_.start(name);
    console_.stage(stages_.front());
  }

  /// The first job has ended.
  void pass() {
    const std::lock_guard lock(mutex_);
    stages_.pop_front();
    ++first_;
    changed_.notify_all();
  }

  void abandon() {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    changed_.notify_all();
  }

  bool stop_requested() const {
    const std::lock_guard lock(mutex_);
    return stopped();
  }

 private:
  bool stopped() const { return abandoned_ || console_.stop_requested(); }

  /// Whether all before the job have left the stage; to write, whether there are none.
  bool may_enter(std::size_t job, Stage stage) const {
    const auto before = stages_.begin() + static_cast<std::ptrdiff_t>(job - first_);
    return std::all_of(stages_.begin(), before, [&](const std::string& earlier) { return stage_of(earlier) > stage; });
  }

  Console& console_;
  mutable std::mutex mutex_;  // of all that follows
  std::condition_variable changed_;
  std::size_t first_ = 0;           ///< that has not ended
  std::deque<std::string> stages_;  ///< of that and those behind it
  bool abandoned_ = false;
};

/// What a job in flight talks to.
class JobObserver final : public Observer {
 public:
  JobObserver(std::size_t job, Turns& turns, Console& console) : job_(job), turns_(turns), console_(console) {}

  void stage(std::string_view name) override { turns_.enter(job_, name); }
  void progress(double fraction) override { turns_.progress(job_, fraction); }
  void note(std::string_view text) override { console_.note(text); }
  bool stop_requested() const override { return turns_.stop_requested(); }

 private:
  std::size_t job_;
  Turns& turns_;
  Console& console_;
};

/// A job on a thread of its own; alone, or where the system gives no thread, on that of whoever waits for it.
std::future<void> start(const Flight& flight, std::size_t job, bool alone, Turns& turns, Console& console) {
  const auto work = [&flight, &turns, &console, job] {
    turns.enter(job, "reading");  // here already, so that a job's own clock does not count the wait
    JobObserver observer(job, turns, console);
    flight.work(job, observer);
  };
  try {
    return std::async(alone ? std::launch::deferred : std::launch::async, work);
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, work);
  }
}

}  // namespace

void run(const Flight& flight, Console& console) {
  Turns turns(console);
  std::deque<std::future<void>> running;
  for (std::size_t front = 0; front < flight.jobs; ++front) {
    for (std::size_t next = front + running.size(); next < flight.jobs; ++next) {
      if (next > front && !flight.admits(front, next)) break;
      const bool alone = next == front && (next + 1 == flight.jobs || !flight.admits(front, next + 1));
      turns.begin();
      running.push_back(start(flight, next, alone, turns, console));
    }
    turns.show(flight.name(front));
    std::exception_ptr thrown;
    try {
      running.front().get();
    } catch (...) {
      thrown = std::current_exception();
    }
    running.pop_front();
    if (!flight.ended(front, thrown)) break;
    turns.pass();
  }
  turns.abandon();
  running.clear();  // waits for those on their way
}

}  // namespace convt3d::app
