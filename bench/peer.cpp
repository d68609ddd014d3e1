#include "peer.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <sstream>

namespace convt3d::bench {
namespace {

constexpr double kStartSeconds = 60;  // importing torch from a cold disk takes a while

// Large blocks come from the heap, in huge pages, and are never given back: a peer that allocates its output or its column
// buffer anew in every run does not pay for page faults that a caller could avoid.
constexpr const char* kWarmHeap =
    "GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1099511627776";

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

/// The child's half of fork(): stdin and stdout become the pipes; ends with this process, even when it is killed.
[[noreturn]] void become(const PeerCommand& command, int threads, int input, int output) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), 1);
  std::vector<std::string> environment = command.environment;
  environment.emplace_back(kWarmHeap);
  for (std::string& variable : environment) putenv(variable.data());
  std::vector<std::string> arguments = command.arguments;
  execvp(arguments[0].c_str(), pointers(arguments).data());
  _exit(127);
}

}  // namespace

PeerCommand peer_command(const std::string& name) {
  if (name == "dnnl") return {name, {CONVT3D_BENCH_DNNL_PEER}, {"OMP_PROC_BIND=true"}};
  if (name == "torch") return {name, {CONVT3D_BENCH_PYTHON, CONVT3D_BENCH_PEERS "/torch_peer.py"}, {}};
  if (name == "ort") {
    return {name, {"node", CONVT3D_BENCH_PEERS "/ort_peer.cjs"}, {"NODE_PATH=" CONVT3D_BENCH_NODE_MODULES}};
  }
  throw std::invalid_argument("no peer is called '" + name + "'; there are dnnl, torch and ort");
}

Peer::Peer(const PeerCommand& command, int threads) : name_(command.name) {
  std::array<int, 2> requests{};
  std::array<int, 2> answers{};
  if (pipe2(requests.data(), O_CLOEXEC) != 0 || pipe2(answers.data(), O_CLOEXEC) != 0) throw PeerError("cannot make pipes");
  process_ = fork();
  if (process_ < 0) throw PeerError("cannot start a process");
  if (process_ == 0) become(command, threads, requests[0], answers[1]);
  close(requests[0]);
  close(answers[1]);
  to_ = requests[1];
  from_ = answers[0];
  try {
    version_ = read_answer(kStartSeconds);
  } catch (const PeerError& error) {
    end();
    throw PeerError(std::string(error.what()) + "; scripts/bench installs what the peers need");
  }
}

Peer::~Peer() { end(); }

void Peer::end() {
  if (process_ <= 0) return;
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
  close(to_);
  close(from_);
  process_ = -1;
}

std::string Peer::prepare(const Problem& problem, const std::filesystem::path& folder, double limit_seconds) {
  std::ostringstream line;
  line << "problem " << problem.n << ' ' << problem.ci << ' ' << problem.co << ' ' << problem.groups;
  for (const Extent3& extent :
       {problem.input, problem.output, problem.kernel, problem.stride, problem.padding, problem.dilation}) {
    line << ' ' << extent.d << ' ' << extent.h << ' ' << extent.w;
  }
  line << ' ' << folder.string();
  return ask(line.str(), limit_seconds);
}

double Peer::run_ms(int warmups, int repetitions, double limit_seconds) {
  return std::stod(ask("run " + std::to_string(warmups) + ' ' + std::to_string(repetitions), limit_seconds));
}

void Peer::write_output(double limit_seconds) { ask("output", limit_seconds); }

std::string Peer::ask(const std::string& request, double limit_seconds) {
  if (!alive()) throw PeerError("its process has ended");
  const std::string line = request + '\n';
  if (write(to_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) throw PeerError("cannot reach its process");
  kill(process_, SIGCONT);
  return read_answer(limit_seconds);
}

std::string Peer::read_answer(double limit_seconds) {
  const std::string line = read_line(limit_seconds);
  kill(process_, SIGSTOP);
  if (line.starts_with("ok")) return line.substr(std::min<std::size_t>(3, line.size()));
  throw PeerError(line.starts_with("no ") ? line.substr(3) : "answers '" + line + "'");
}

std::string Peer::read_line(double limit_seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(limit_seconds);
  for (;;) {
    if (const std::size_t length = unread_.find('\n'); length != std::string::npos) {
      std::string line = unread_.substr(0, length);
      unread_.erase(0, length + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd readable{.fd = from_, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&readable, 1, static_cast<int>(left.count())) == 0) {
      end();
      throw PeerError("gave up after " + std::to_string(static_cast<int>(limit_seconds)) + " s");
    }
    std::array<char, 4096> bytes;
    const ssize_t count = read(from_, bytes.data(), bytes.size());
    if (count <= 0) {
      end();
      throw PeerError("its process ended");
    }
    unread_.append(bytes.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace convt3d::bench
