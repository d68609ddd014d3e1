#pragma once

#include <stdexcept>
#include <string>

namespace convt3d::app {

/// What the tool returns to the shell.
enum ExitCode : int {
  kDone = 0,
  kUnexpected = 1,  ///< a defect of the tool
  kUsage = 2,       ///< the command line, or a manifest, is not understood
  kConfig = 3,
  kInput = 4,
  kShape = 5,
  kOutput = 6,
  kMemory = 7,
  kBatch = 8,     ///< some jobs of a batch failed
  kSignal = 128,  ///< plus the signal's number
};

/// The command line does not say what to do.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An exception as the user and the shell are told of it.
struct Failure {
  int exit_code = kUnexpected;
  std::string message;
};

/// Of the exception being handled; to be called in a catch block. The one place where kinds of errors become exit codes.
Failure current_failure();

}  // namespace convt3d::app
