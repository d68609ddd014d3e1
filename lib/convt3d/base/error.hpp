#pragma once

#include <stdexcept>
#include <string>

namespace convt3d {

/// What went wrong, as the caller must tell cases apart; the tool maps each kind to one exit code.
enum class ErrorKind {
  kConfig,   ///< a config or its weights are invalid
  kInput,    ///< an input file cannot be read or is no valid volume
  kShape,    ///< shapes, dtypes or layer parameters do not fit together
  kOutput,   ///< an output exists already or cannot be written
  kMemory,   ///< the memory bound cannot be met
  kStopped,  ///< the observer asked to stop
};

/// The one exception that leaves the library. what() says what, where, expected against found, and what to do, in at most a
/// few lines.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace convt3d
