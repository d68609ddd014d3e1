#pragma once

#include <string_view>

namespace convt3d {

/// How the library talks while it works. Calls may come from any thread; implementations lock for themselves.
class Observer {
 public:
  virtual ~Observer() = default;

  /// What is being done now: "reading", "computing", "writing". Progress starts again at 0.
  virtual void stage(std::string_view name) { static_cast<void>(name); }

  /// `fraction` of the present stage that is done, 0 to 1.
  virtual void progress(double fraction) { static_cast<void>(fraction); }

  /// Something the user should know and that is no error.
  virtual void note(std::string_view text) { static_cast<void>(text); }

  /// True once the run should end; it then throws Error{kStopped} soon.
  virtual bool stop_requested() const { return false; }
};

}  // namespace convt3d
