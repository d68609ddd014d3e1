#include "signals.hpp"

#include <atomic>
#include <csignal>

namespace convt3d::app {
namespace {

std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free, "a handler may not take a lock");

void remember(int signal) { received.store(signal); }

void install(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // no library needs to expect EINTR: the flag is polled
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

bool ignored(int signal) {
  struct sigaction action = {};
  sigaction(signal, nullptr, &action);
  return action.sa_handler == SIG_IGN;
}

}  // namespace

void install_signal_handlers() {
  install(SIGINT, remember);
  install(SIGTERM, remember);
  if (!ignored(SIGHUP)) install(SIGHUP, remember);
  install(SIGPIPE, SIG_IGN);
  install(SIGXFSZ, SIG_IGN);
}

int stop_signal() { return received.load(); }

}  // namespace convt3d::app
