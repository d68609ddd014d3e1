#include "exit_code.hpp"

#include <csignal>
#include <exception>
#include <new>

#include "convt3d/base/error.hpp"
#include "signals.hpp"

namespace convt3d::app {
namespace {

int exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kConfig: return kConfig;
    case ErrorKind::kInput: return kInput;
    case ErrorKind::kShape: return kShape;
    case ErrorKind::kOutput: return kOutput;
    case ErrorKind::kMemory: return kMemory;
    case ErrorKind::kStopped: break;  // told apart before
  }
  return kUnexpected;
}

/// What a user who pressed a key, or a scheduler's log, is told.
Failure interruption() {
  const char* const what = stop_signal() == SIGINT ? "interrupted" : "terminated";
  return {kSignal + stop_signal(), std::string(what) + "; no partial output is left behind"};
}

}  // namespace

Failure current_failure() {
  try {
    throw;
  } catch (const UsageError& error) {
    return {kUsage, error.what()};
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kStopped) return interruption();
    return {exit_code_of(error.kind()), error.what()};
  } catch (const std::bad_alloc&) {
    return {kMemory, "the system gives no more memory"};
  } catch (const std::exception& error) {
    return {kUnexpected, std::string("unexpected error, a defect of the tool: ") + error.what()};
  } catch (...) {
    return {kUnexpected, "unexpected error, a defect of the tool"};
  }
}

}  // namespace convt3d::app
