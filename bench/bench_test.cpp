#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>

#include "convt3d/conv/plan.hpp"
#include "measure.hpp"
#include "report.hpp"
#include "rows.hpp"

namespace convt3d::bench {
namespace {

/// Claims to take `ms`, and leaves its letter in `order` at every call.
Runner fake(char letter, double ms, std::string& order) {
  return [letter, ms, &order](int, int) {
    order += letter;
    return ms;
  };
}

TEST(Compare, TakesTurns) {
  std::string order;
  const Comparison comparison = compare({fake('a', 30, order), fake('b', 40, order)}, {.rounds = 3, .budget_seconds = 0.2});
  EXPECT_EQ(order.substr(0, 8), "abababab");  // one run each to learn how long it takes, then three rounds
  EXPECT_EQ(comparison.timings[0].samples_ms, std::vector<double>({30, 30, 30}));
  EXPECT_EQ(comparison.timings[1].median_ms(), 40);
}

TEST(Compare, GivesTheSlowFewerRounds) {
  std::string order;
  const Comparison comparison =
      compare({fake('a', 30, order), fake('b', 45, order), fake('c', 900, order)}, {.rounds = 7, .budget_seconds = 0.1});
  EXPECT_EQ(comparison.timings[0].samples_ms.size(), 3U);
  EXPECT_EQ(comparison.timings[1].samples_ms.size(), 2U);
  EXPECT_EQ(comparison.timings[2].samples_ms.size(), 1U);  // the only run there is
}

TEST(Compare, RepeatsShortRunsWithinATurn) {
  int most = 0;
  compare({[&](int, int repetitions) {
            most = std::max(most, repetitions);
            return 0.1;
          }},
          {.rounds = 1, .budget_seconds = 0.1});
  EXPECT_GE(most, 50);
}

TEST(Compare, AFailureLeavesTheOthersAlone) {
  std::string order;
  const Runner broken = [](int, int) -> double { throw std::runtime_error("out of columns"); };
  const Comparison comparison = compare({broken, fake('b', 40, order)}, {.rounds = 2, .budget_seconds = 0.2});
  EXPECT_EQ(comparison.timings[0].failure, "out of columns");
  EXPECT_TRUE(std::isnan(comparison.timings[0].median_ms()));
  EXPECT_EQ(comparison.timings[1].samples_ms.size(), 2U);
}

TEST(Timing, MedianOfEvenAndOdd) {
  EXPECT_EQ((Timing{.samples_ms = {3, 1, 9}}.median_ms()), 3);
  EXPECT_EQ((Timing{.samples_ms = {4, 1, 9, 2}}.median_ms()), 3);
}

TEST(Rows, ShippedFile) {
  const std::vector<Row> rows = read_rows(CONVT3D_BENCH_ROWS);
  const Row d1 = select_rows(rows, {"D1"}).at(0);
  EXPECT_EQ(d1.options.in_channels, 64);
  EXPECT_EQ(d1.options.out_channels, 32);
  EXPECT_EQ(d1.input, Extent3(64));
  EXPECT_EQ(d1.options.kernel_size, Extent3(4));
  EXPECT_EQ(d1.must, 2.4);
  EXPECT_EQ(select_rows(rows, {"X26"}).at(0).must, 1);
  EXPECT_EQ(select_rows(rows, {"Q", "F1"}).size(), 4U);
  EXPECT_THROW(select_rows(rows, {"Z9"}), std::runtime_error);
  for (const Row& row : rows) EXPECT_NO_THROW(make_problem(row.options, row.n, row.input)) << row.name;
}

TEST(Rows, RefusesLinesThatDoNotParse) {
  const std::string good = "T1 1 8 8 1  4 4 4  3 3 3  1 1 1  1 1 1  0 0 0  1 1 1";
  for (const std::string& line : {good.substr(0, good.size() - 1), good + " fast", good + " 2 3", good + " -1"}) {
    const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "rows.txt";
    std::ofstream(path) << line << '\n';
    EXPECT_THROW(read_rows(path), std::runtime_error) << line;
  }
}

TEST(Result, RatioIsTheBestPeersAndOneThreadMayBeATenthSlower) {
  Result result;
  result.row.must = 2;
  result.threads = 2;
  result.ours.timing.samples_ms = {10};
  result.peers.resize(3);
  result.peers[0].timing.samples_ms = {50};
  result.peers[1].timing.samples_ms = {25};
  result.peers[2].timing.failure = "gave up";
  EXPECT_EQ(result.best_peer(), &result.peers[1]);
  EXPECT_EQ(result.ratio(), 2.5);
  EXPECT_EQ(result.must(), 2);
  result.threads = 1;
  EXPECT_EQ(result.must(), 1.8);
}

TEST(Result, DisagreementAndNaNShow) {
  Result result;
  result.peers.resize(1);
  EXPECT_TRUE(result.agrees());
  result.peers[0].error = 1e-3;
  EXPECT_FALSE(result.agrees());
  result.peers[0].error = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(result.agrees());
}

/// What peers' column buffers are complained about for: memory beyond input, output and weights keeps to 64 MiB on every
/// row.
TEST(Rows, TakeLittleScratch) {
  for (const Row& row : read_rows(CONVT3D_BENCH_ROWS)) {
    const Problem problem = make_problem(row.options, row.n, row.input);
    for (const Isa isa : {Isa::kSse4, Isa::kAvx2, Isa::kAvx512, Isa::kNeon}) {
      Machine machine;
      machine.isa = isa;
      std::int64_t scratch = 0;
      for (const LedgerEntry& entry : make_plan(problem, machine, {.threads = 2}).ledger) {
        if (entry.what.find("weights") == std::string::npos) scratch += entry.bytes;
      }
      EXPECT_LE(scratch, 64 << 20) << row.name << ", " << name_of(isa);
      EXPECT_GT(scratch, 0) << row.name << ", " << name_of(isa);
    }
  }
}

}  // namespace
}  // namespace convt3d::bench
