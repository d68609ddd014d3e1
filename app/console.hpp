#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>

#include "convt3d/base/observer.hpp"

namespace convt3d::app {

/// All that goes to stderr: errors, warnings, notes, and on a terminal a progress bar for work that takes over a second.
/// stdout is the report's alone. Colours only on a terminal, and not with NO_COLOR set.
class Console final : public Observer {
 public:
  /// Until told otherwise: everything but progress.
  Console();

  void set_quiet(bool quiet) { quiet_ = quiet; }
  /// Asks for the bar, which still needs a terminal.
  void set_progress(bool progress);

  void error(std::string_view text);
  void warning(std::string_view text);
  void note(std::string_view text) override;

  /// What the bar is about from now on, until finish() takes it away.
  void start(std::string subject);
  void finish();

  void stage(std::string_view name) override;
  void progress(double fraction) override;
  bool stop_requested() const override;

 private:
  using Clock = std::chrono::steady_clock;

  void say(std::string_view what, std::string_view colour, std::string_view text);
  void draw(double fraction);
  void erase();

  const bool terminal_;
  const bool colour_;
  bool quiet_ = false;
  bool progress_ = false;

  std::mutex mutex_;  // of all below: progress comes from any thread
  std::string subject_;
  std::string stage_;
  Clock::time_point started_;
  Clock::time_point drawn_at_;
  double drawn_fraction_ = 0;
  bool drawn_ = false;
};

/// "convt3d: " and the text, its further lines indented, without control characters, for stderr.
std::string message(std::string_view text);

}  // namespace convt3d::app
