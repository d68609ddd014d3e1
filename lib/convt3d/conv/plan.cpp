#include "convt3d/conv/plan.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "convt3d/base/error.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/packed_epilogue.hpp"

namespace convt3d {
namespace {

std::string milliseconds(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g ms", seconds * 1e3);
  return text.data();
}

std::string forced_algorithm(const PlanOptions& options) {
  if (!options.force_algorithm.empty()) return options.force_algorithm;
  const char* environment = std::getenv("CONVT3D_ALGORITHM");
  return environment == nullptr ? "" : environment;
}

std::string joined_names() {
  std::string names;
  for (const Algorithm& algorithm : algorithms()) names += (names.empty() ? "" : ", ") + std::string(algorithm.name);
  return names;
}

/// Of the algorithm, and of the one that runs planes with NaN or Inf.
std::int64_t epilogue_bytes(const Plan& plan, int functions) {
  const Problem& p = plan.problem;
  const std::int64_t bytes = p.dtype == DType::kFloat64
                                 ? PackedEpilogue<double>::bytes(functions, p.co, p.groups, plan.machine.isa)
                                 : PackedEpilogue<float>::bytes(functions, p.co, p.groups, plan.machine.isa);
  const bool alone = plan.algorithm == kDirect.name || plan.algorithm == kGemmBfloat16.name;
  return (alone ? 1 : 2) * bytes;
}

}  // namespace

Plan make_plan(const Problem& problem, const Machine& machine, const PlanOptions& options) {
  Plan plan{.problem = problem,
            .machine = machine,
            .threads = options.threads > 0 ? options.threads : machine.threads,
            .used_threads = 0,
            .algorithm = {},
            .reason = {},
            .tiles = {},
            .reach = {},
            .ledger = {},
            .candidates = {}};
  Problem asked = with_joined_rows(problem);
  asked.n =
      std::max<std::int64_t>(1, problem.n);  // a batch of no volumes is planned as one, so that no estimate divides by it
  const Query query{asked, machine, plan.threads, options.separable};
  // Another algorithm rounds otherwise: so that neither the number of threads nor of volumes changes a bit, the choice is
  // made for one volume on one thread.
  Problem one_volume = asked;
  one_volume.n = 1;
  const Query canonical{one_volume, machine, 1, options.separable};
  const std::string forced = forced_algorithm(options);
  const Algorithm* chosen = nullptr;
  double best = std::numeric_limits<double>::infinity();
  bool known = forced.empty();
  for (const Algorithm& algorithm : algorithms()) {
    Candidate candidate{.algorithm = algorithm.name, .seconds = 0, .rejected = algorithm.rejects(query)};
    if (candidate.rejected.empty()) candidate.seconds = algorithm.seconds(canonical);
    const bool is_forced = forced == algorithm.name;
    known = known || is_forced;
    if (is_forced && !candidate.rejected.empty()) {
      throw Error(ErrorKind::kShape,
                  "algorithm " + forced + " cannot run " + to_string(problem) + ": " + candidate.rejected);
    }
    if (candidate.rejected.empty() && (forced.empty() ? candidate.seconds < best : is_forced)) {
      best = candidate.seconds;
      chosen = &algorithm;
    }
    plan.candidates.push_back(std::move(candidate));
  }
  if (!known) throw Error(ErrorKind::kShape, "there is no algorithm \"" + forced + "\"; expected one of " + joined_names());
  plan.algorithm = chosen->name;
  plan.reason = (forced.empty() ? "least cost, " : "forced, ") + milliseconds(best) + " estimated per volume and thread";
  // Estimated; a run takes about half of it. To wake a thread takes five microseconds, or twenty where others compete.
  constexpr double kWorthThreads = 1e-5;
  const bool is_brief = forced.empty() && best * static_cast<double>(asked.n) < kWorthThreads;
  plan.used_threads = is_brief ? 1 : plan.threads;
  const Query used{asked, machine, plan.used_threads, options.separable};
  plan.tiles = chosen->tiles(used);
  plan.reach = chosen->reach(used);
  if (problem.n == 0) return plan;
  plan.ledger = chosen->ledger(used);
  if (options.epilogue > 0) plan.ledger.push_back({"parameters of the epilogue", epilogue_bytes(plan, options.epilogue)});
  return plan;
}

std::int64_t ledger_bytes(const Plan& plan) {
  std::int64_t bytes = 0;
  for (const LedgerEntry& entry : plan.ledger) bytes += entry.bytes;
  return bytes;
}

std::vector<std::string> algorithm_names() {
  std::vector<std::string> names;
  for (const Algorithm& algorithm : algorithms()) names.emplace_back(algorithm.name);
  return names;
}

}  // namespace convt3d
