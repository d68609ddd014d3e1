#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace convt3d::bench {
namespace {

constexpr double kGiga = 1e9;
constexpr double kMaxError = 1e-5;  // each side's own bound is 2e-6 against the exact result; beyond this one is wrong
/// Share of the time that moving input and output through memory once would take.
double memory_share(const Problem& problem, const Limits& limits, double ms) {
  const double read = static_cast<double>(input_size(problem)) * sizeof(float) / limits.read_bytes;
  const double write = static_cast<double>(output_size(problem)) * sizeof(float) / limits.write_bytes;
  return (read + write) / (ms / 1000);
}

/// "12.3", or blanks for NaN: columns of a table.
std::string number(double value, int width, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%*.*f", width, digits, value);
  return std::isnan(value) ? std::string(static_cast<std::size_t>(width - 1), ' ') + "-" : text;
}

/// Three significant digits over the range of times there is.
std::string milliseconds(double ms) { return number(ms, 8, ms < 10 ? 3 : ms < 100 ? 2 : 1); }

nlohmann::ordered_json json_of(const Entry& entry) {
  nlohmann::ordered_json json;
  json["name"] = entry.name;
  json["how"] = entry.detail;
  json["median_ms"] = entry.timing.median_ms();
  json["samples_ms"] = entry.timing.samples_ms;
  if (!entry.timing.failure.empty()) json["failure"] = entry.timing.failure;
  return json;
}

nlohmann::ordered_json json_of(const Result& result) {
  nlohmann::ordered_json json;
  json["row"] = result.row.name;
  json["threads"] = result.threads;
  json["problem"] = to_string(result.problem);
  json["flops"] = flops(result.problem);
  json["ours"] = json_of(result.ours);
  json["ours"]["ledger_bytes"] = result.ledger_bytes;
  for (const Entry& peer : result.peers) {
    nlohmann::ordered_json one = json_of(peer);
    one["relative_l2_difference"] = peer.error;
    json["peers"].push_back(std::move(one));
  }
  json["disturbed"] = result.disturbed;
  json["ratio"] = result.ratio();
  json["must"] = result.must();
  return json;
}

}  // namespace

const Entry* Result::best_peer() const {
  const Entry* best = nullptr;
  for (const Entry& peer : peers) {
    const double ms = peer.timing.median_ms();
    if (!std::isnan(ms) && (best == nullptr || ms < best->timing.median_ms())) best = &peer;
  }
  return best;
}

double Result::ratio() const {
  const Entry* best = best_peer();
  return best == nullptr ? std::numeric_limits<double>::quiet_NaN() : best->timing.median_ms() / ours_ms();
}

bool Result::agrees() const {
  return std::ranges::all_of(peers, [](const Entry& peer) { return peer.error <= kMaxError; });  // false for NaN
}

void print_head(const Limits& limits) {
  std::printf("\n%d thread%s: FMA %.0f GFLOP/s, memory read %.1f GB/s, write %.1f GB/s\n", limits.threads,
              limits.threads == 1 ? "" : "s", limits.fma_flops / kGiga, limits.read_bytes / kGiga,
              limits.write_bytes / kGiga);
  std::printf("%-4s %-40s %8s %-12s %7s %8s  %5s %5s %7s %6s %6s  %s\n", "row", "what", "ours ms", "algorithm", "MiB",
              "peer ms", "ratio", "must", "GFLOP/s", "% peak", "% mem", "best peer");
}

void print_row(const Result& result, const Limits& limits) {
  const double ms = result.ours_ms();
  const double rate = flops(result.problem) / (ms / 1000);
  const Entry* peer = result.best_peer();
  const double peer_ms = peer == nullptr ? std::numeric_limits<double>::quiet_NaN() : peer->timing.median_ms();
  std::printf("%-4s %-40s %s %-12s %s %s  %s%s%s %s %s %s  %s\n", result.row.name.c_str(), to_string(result.problem).c_str(),
              milliseconds(ms).c_str(), result.ours.detail.c_str(),
              number(static_cast<double>(result.ledger_bytes) / (1 << 20), 7, 1).c_str(), milliseconds(peer_ms).c_str(),
              number(result.ratio(), 5, 2).c_str(), result.ratio() < result.must() ? "<" : " ",
              number(result.must(), 5, 2).c_str(), number(rate / kGiga, 7, 1).c_str(),
              number(100 * rate / limits.fma_flops, 6, 0).c_str(),
              number(100 * memory_share(result.problem, limits, ms), 6, 0).c_str(),
              peer == nullptr ? "-" : (peer->name + ": " + peer->detail).c_str());
  if (!result.ours.timing.failure.empty()) std::printf("     ours failed: %s\n", result.ours.timing.failure.c_str());
  if (result.disturbed > kMaxDisturbed) {
    std::printf("     DISTURBED: threads waited for a CPU %.0f %% of the time; measure again\n", 100 * result.disturbed);
  }
  for (const Entry& entry : result.peers) {
    if (!entry.timing.failure.empty()) std::printf("     %s: %s\n", entry.name.c_str(), entry.timing.failure.c_str());
    if (!(entry.error <= kMaxError)) std::printf("     %s DISAGREES: relative L2 %.2e\n", entry.name.c_str(), entry.error);
  }
  std::fflush(stdout);
}

void print_summary(const std::vector<Result>& results) {
  double logarithms = 0;
  int count = 0;
  std::string below;
  for (const Result& result : results) {
    if (std::isnan(result.ratio())) continue;
    logarithms += std::log(result.ratio());
    ++count;
    if (result.ratio() < result.must()) below += " " + result.row.name + "(" + std::to_string(result.threads) + ")";
  }
  if (count == 0) return;
  std::printf("\n%d ratios, geometric mean %.2f; below must: %s\n", count, std::exp(logarithms / count),
              below.empty() ? "none" : (below.substr(1) + ", with the threads in parentheses").c_str());
}

void write_json(const std::filesystem::path& path, const Machine& machine, const std::vector<Limits>& limits,
                const std::vector<Result>& results) {
  nlohmann::ordered_json json;
  json["isa"] = name_of(machine.isa);
  json["l2_bytes"] = machine.l2_bytes;
  json["l3_bytes"] = machine.l3_bytes;
  for (const Limits& one : limits) {
    json["limits"].push_back({{"threads", one.threads},
                              {"fma_flops_per_second", one.fma_flops},
                              {"read_bytes_per_second", one.read_bytes},
                              {"write_bytes_per_second", one.write_bytes}});
  }
  for (const Result& result : results) json["rows"].push_back(json_of(result));
  std::ofstream file(path);
  file << json.dump(1) << '\n';
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace convt3d::bench
