#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "convt3d/conv/algorithm.hpp"

namespace convt3d {

/// What a search found, or why there is nothing to find.
template <typename Tiling>
struct FoundTiling {
  std::optional<Tiling> tiling;
  std::string reason;
};

/// What `search`, std::optional<Tiling>(const Query&, std::string& reason), answers to a query. It takes milliseconds, and a
/// plan asks about one problem several times: a thread's last answer is kept.
template <auto search>
const auto& last_tiling(const Query& query) {
  using Tiling = typename std::invoke_result_t<decltype(search), const Query&, std::string&>::value_type;
  struct Asked {
    Problem problem;
    Machine machine;
    int threads = 0;
    FoundTiling<Tiling> found;
  };
  thread_local Asked last;
  if (last.threads != query.threads || last.problem != query.problem || last.machine != query.machine) {
    Asked next = {.problem = query.problem, .machine = query.machine, .threads = query.threads, .found = {}};
    next.found.tiling = search(query, next.found.reason);
    last = std::move(next);
  }
  return last.found;
}

}  // namespace convt3d
