#pragma once

#include <sys/types.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "convt3d/conv/problem.hpp"

namespace convt3d::bench {

/// How to start a peer's process.
struct PeerCommand {
  std::string name;                      ///< "dnnl", "torch", "ort"
  std::vector<std::string> arguments;    ///< the program and its arguments
  std::vector<std::string> environment;  ///< "NAME=value", added to ours
};

/// The peers this build can start. Throws std::invalid_argument for another name, saying which there are.
PeerCommand peer_command(const std::string& name);

/// A peer could not do what it was asked; what() says why, in the peer's words.
class PeerError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Another library in a process of its own: its thread pool, thread binding and allocator never meet ours, and between its
/// turns the process is stopped (SIGSTOP), so that no spinning worker of it takes time from whoever is measured.
///
/// Requests and answers are lines:
///   problem N CI CO GROUPS, INPUT OUTPUT KERNEL STRIDE PADDING DILATION (three numbers each), FOLDER
///       takes the problem with the data of FOLDER/{input,weight,bias}.f32 (raw float32 in PyTorch's layouts)
///       and answers how it will run it
///   run WARMUPS REPETITIONS     answers the mean milliseconds of a run
///   output                      writes the last run's output to FOLDER/output.f32
/// An answer is "ok TEXT" or "no REASON"; at its start a peer says "ok NAME VERSION".
class Peer {
 public:
  /// Throws PeerError when it does not come up.
  Peer(const PeerCommand& command, int threads);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  const std::string& name() const { return name_; }
  const std::string& version() const { return version_; }

  /// Each throws PeerError when the peer refuses, has ended, or does not answer within `limit_seconds`; in the last two
  /// cases the process is gone, and alive() false.
  std::string prepare(const Problem& problem, const std::filesystem::path& folder, double limit_seconds);
  double run_ms(int warmups, int repetitions, double limit_seconds);
  void write_output(double limit_seconds);

  bool alive() const { return process_ > 0; }

 private:
  std::string ask(const std::string& request, double limit_seconds);
  std::string read_answer(double limit_seconds);
  std::string read_line(double limit_seconds);
  void end();

  std::string name_;
  std::string version_;
  std::string unread_;
  pid_t process_ = -1;
  int to_ = -1;
  int from_ = -1;
};

}  // namespace convt3d::bench
