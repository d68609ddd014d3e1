#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convt3d/base/machine.hpp"
#include "convt3d/conv/plane_reach.hpp"
#include "convt3d/conv/problem.hpp"

namespace convt3d {

struct PlanOptions {
  int threads = 0;                   ///< 0: all of the machine's
  std::string force_algorithm = {};  ///< name of a row of the table; empty: the cheapest (or CONVT3D_ALGORITHM)
  int epilogue = 0;                  ///< how many functions the Executor is given as its epilogue
  bool separable = false;            ///< the kernel has rank 1, so a separable algorithm may be considered
};

/// One row of the algorithms' table as it was considered: a cost, or the reason why it cannot run.
struct Candidate {
  std::string algorithm;
  double seconds = 0;    ///< estimated; meaningless where `rejected` is not empty
  std::string rejected;  ///< why this algorithm cannot run the problem
};

/// One buffer that the run allocates.
struct LedgerEntry {
  std::string what;
  std::int64_t bytes = 0;
  std::int64_t planes = 0;  ///< if not 0: of so many planes, and less where fewer are computed at once
};

/// How a problem will be run: a value that can be printed, compared and tested on any machine.
struct Plan {
  Problem problem;
  Machine machine;
  int threads = 1;       ///< that it may use
  int used_threads = 1;  ///< one where waking others would take longer than the run, unless the algorithm is forced
  std::string algorithm;
  std::string reason;               ///< why this one
  std::string tiles;                ///< the tiling, for people
  PlaneReach reach;                 ///< what planes of the output are made from
  std::vector<LedgerEntry> ledger;  ///< beyond input and output: packed weights, scratch of all threads
  std::vector<Candidate> candidates;
};

/// Throws Error{kShape} when a forced algorithm cannot run the problem (its reason is in the message) or does not exist.
Plan make_plan(const Problem& problem, const Machine& machine, const PlanOptions& options = {});

/// Sum of the ledger.
std::int64_t ledger_bytes(const Plan& plan);

/// Names of all algorithms, in the table's order.
std::vector<std::string> algorithm_names();

}  // namespace convt3d
