/// convt3d_bench: our engine against other libraries on the shapes of rows.txt, in one run, turn by turn.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data.hpp"
#include "limits.hpp"
#include "measure.hpp"
#include "ours.hpp"
#include "peer.hpp"
#include "report.hpp"
#include "rows.hpp"

namespace convt3d::bench {
namespace {

constexpr double kPeerPatience = 6;  // a peer may take this many budgets for one answer (choosing a layout, a first run)

struct Settings {
  std::filesystem::path rows_file = CONVT3D_BENCH_ROWS;
  std::vector<std::string> rows;
  std::vector<int> threads;
  std::vector<std::string> peers = {"dnnl"};
  bool ours_only = false;
  bool peers_only = false;
  std::string algorithm;
  std::string isa;
  bool bfloat16 = false;
  Pace pace;
  std::filesystem::path json;
};

void add_options(CLI::App& app, Settings& settings) {
  app.add_option("--rows", settings.rows, "Names of rows, or first letters: D1,U5,X (default: all)")->delimiter(',');
  app.add_option("--threads", settings.threads, "Numbers of threads, one table each (default: all CPUs)")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_option("--peers", settings.peers, "Any of dnnl, torch, ort")->delimiter(',')->capture_default_str();
  auto* const ours_only = app.add_flag("--ours-only", settings.ours_only, "Without peers");
  app.add_flag("--peers-only", settings.peers_only, "Without us")->excludes("--ours-only");
  app.add_option("--algorithm", settings.algorithm, "Force this algorithm of ours");
  app.add_option("--isa", settings.isa, "Force this instruction set of ours: sse4, avx2, avx512, neon");
  app.add_flag("--bfloat16", settings.bfloat16, "Rows whose kernel is at most their stride in bfloat16, ours only")
      ->needs(ours_only);
  app.add_option("--repetitions", settings.pace.rounds, "Turns of each contender")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--budget", settings.pace.budget_seconds,
                 "Seconds for one contender on one row; the slower get fewer turns")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rows-file", settings.rows_file, "The shapes")->check(CLI::ExistingFile)->capture_default_str();
  app.add_option("--json", settings.json, "Write all figures here");
}

Machine machine_for(const Settings& settings) {
  Machine machine = Machine::detect();
  if (settings.isa.empty()) return machine;
  const std::optional<Isa> isa = isa_from_name(settings.isa);
  const std::vector<Isa> available = available_isas();
  if (!isa || std::find(available.begin(), available.end(), *isa) == available.end()) {
    throw std::runtime_error("this machine has no instruction set '" + settings.isa + "'");
  }
  machine.isa = *isa;
  machine.bfloat16 = machine.bfloat16 && *isa == Isa::kAvx512;
  return machine;
}

/// The peers of one number of threads. One that ended (it was given up, or crashed) is started again for the next row.
class Peers {
 public:
  Peers(const std::vector<std::string>& names, int threads) : threads_(threads) {
    for (const std::string& name : names) {
      commands_.push_back(peer_command(name));
      processes_.push_back(std::make_unique<Peer>(commands_.back(), threads));
      std::printf("%s: %s\n", name.c_str(), processes_.back()->version().c_str());
    }
  }

  std::vector<std::unique_ptr<Peer>>& processes() {
    for (std::size_t i = 0; i < commands_.size(); ++i) {
      if (!processes_[i]->alive()) processes_[i] = std::make_unique<Peer>(commands_[i], threads_);
    }
    return processes_;
  }

 private:
  int threads_;
  std::vector<PeerCommand> commands_;
  std::vector<std::unique_ptr<Peer>> processes_;
};

/// The contenders of one row: ours first (unless it is left out), then the peers that take the problem.
Result measure_row(const Row& row, const Settings& settings, const Machine& machine, int threads, Peers& peers) {
  Result result{.row = row, .problem = make_problem(row.options, row.n, row.input), .threads = threads};
  const double patience = kPeerPatience * settings.pace.budget_seconds;
  const Data data(result.problem);
  const Extent3& k = row.options.kernel_size;
  const Extent3& s = row.options.stride;
  result.problem.bfloat16 = settings.bfloat16 && k.d <= s.d && k.h <= s.h && k.w <= s.w;
  std::vector<Runner> runners;

  std::optional<Ours> ours;
  if (!settings.peers_only) {
    ours.emplace(make_plan(result.problem, machine, {.threads = threads, .force_algorithm = settings.algorithm}), data);
    result.ours = {.name = "ours", .detail = ours->plan().algorithm};
    result.ledger_bytes = ledger_bytes(ours->plan());
    runners.emplace_back([&](int warmups, int repetitions) { return ours->run_ms(warmups, repetitions); });
  }

  const SharedFolder folder;
  auto& processes = peers.processes();
  if (!processes.empty()) folder.save(data);
  std::vector<std::pair<Peer*, std::size_t>> running;  // with their places in result.peers
  for (const auto& peer : processes) {
    Entry& entry = result.peers.emplace_back(Entry{.name = peer->name()});
    try {
      entry.detail = peer->prepare(result.problem, folder.path(), patience);
      running.emplace_back(peer.get(), result.peers.size() - 1);
      runners.emplace_back([&process = *peer, patience](int warmups, int repetitions) {
        return process.run_ms(warmups, repetitions, patience);
      });
    } catch (const PeerError& error) {
      entry.timing.failure = error.what();
    }
  }

  const auto [timings, disturbed] = compare(runners, settings.pace);
  result.disturbed = disturbed;
  if (ours) result.ours.timing = timings.front();
  for (std::size_t i = 0; i < running.size(); ++i) {
    const auto [peer, place] = running[i];
    Entry& entry = result.peers[place];
    entry.timing = timings[i + (ours ? 1 : 0)];
    if (!ours || entry.timing.samples_ms.empty() || !peer->alive()) continue;
    peer->write_output(patience);
    entry.error = folder.take_output_error(ours->output());
  }
  return result;
}

int run(const Settings& settings) {
  const Machine machine = machine_for(settings);
  const std::vector<Row> rows = select_rows(read_rows(settings.rows_file), settings.rows);
  std::vector<Limits> limits;
  std::vector<Result> results;
  for (const int threads : settings.threads.empty() ? std::vector<int>{machine.threads} : settings.threads) {
    limits.push_back(measure_limits(threads));
    Peers peers(settings.ours_only ? std::vector<std::string>{} : settings.peers, threads);
    print_head(limits.back());
    for (const Row& row : rows) {
      results.push_back(measure_row(row, settings, machine, threads, peers));
      print_row(results.back(), limits.back());
    }
  }
  print_summary(results);
  if (!settings.json.empty()) write_json(settings.json, machine, limits, results);
  const bool agree = std::ranges::all_of(results, [](const Result& result) { return result.agrees(); });
  return agree ? 0 : 1;
}

}  // namespace
}  // namespace convt3d::bench

int main(int count, char** arguments) {
  std::signal(SIGPIPE, SIG_IGN);  // a peer that has ended is an error of write(), not our end
  convt3d::bench::Settings settings;
  CLI::App app("Times convt3d and other libraries on transposed 3-D convolutions, in turns; NCDHW in and out, float32.");
  add_options(app, settings);
  CLI11_PARSE(app, count, arguments);
  try {
    return convt3d::bench::run(settings);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "convt3d_bench: %s\n", error.what());
    return 1;
  }
}
