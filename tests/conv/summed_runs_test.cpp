// How the cells of an axis whose taps are summed are cut into products: which taps each cell takes, and what is saved.

#include "convt3d/conv/summed_runs.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/problems.hpp"

namespace testing_support {
namespace {

using convt3d::SummedRun;
using convt3d::SummedRuns;
using convt3d::WinogradAxis;

constexpr std::int64_t kChannels = 32;

WinogradAxis axis_of(const convt3d::Problem& problem, std::int64_t margin) {
  WinogradAxis axis;
  axis.cells = convt3d::make_cell_axis(problem, 0);
  axis = convt3d::summed(axis);
  axis.margin = margin;
  return axis;
}

WinogradAxis axis_of(std::int64_t input, std::int64_t kernel, std::int64_t padding, std::int64_t margin) {
  const convt3d::ConvTranspose3dOptions options{
      .in_channels = kChannels, .out_channels = kChannels, .kernel_size = {kernel, 3, 3}, .padding = {padding, 1, 1}};
  return axis_of(convt3d::make_problem(options, 1, {input, 8, 8}), margin);
}

/// Taps of all cells together, one for each product of a cell.
std::int64_t products(const WinogradAxis& axis, std::int64_t sums) {
  std::int64_t count = 0;
  SummedRuns runs;
  for (const SummedRun& run : runs.cut(axis, 0, axis.cells.begin, axis.cells.end, sums, kChannels))
    count += run.cells() * run.taps();
  return count;
}

/// Each cell has one run, with all its taps that read the volume and none that reads past the margin.
void expect_complete(const WinogradAxis& axis, std::int64_t begin, std::int64_t end, std::int64_t sums) {
  SummedRuns runs;
  for (std::int64_t residue = 0; residue < axis.cells.stride; ++residue) {
    const std::vector<std::int64_t>& shifts = axis.shifts[static_cast<std::size_t>(residue)];
    std::vector<int> times(static_cast<std::size_t>(end - begin), 0);
    for (const SummedRun& run : runs.cut(axis, residue, begin, end, sums, kChannels)) {
      for (std::int64_t cell = run.begin; cell < run.end; ++cell) {
        ++times.at(static_cast<std::size_t>(cell - begin));
        for (std::int64_t tap = 0; tap < std::ssize(shifts); ++tap) {
          const std::int64_t plane = cell + axis.cells.lowest + shifts[static_cast<std::size_t>(tap)];
          const bool taken = run.first_tap <= tap && tap < run.end_tap;
          const bool inside = plane >= 0 && plane < axis.cells.input;
          const bool within_margin = plane >= -axis.margin && plane < axis.cells.input + axis.margin;
          EXPECT_TRUE(inside ? taken : !taken || within_margin) << "cell " << cell << ", plane " << plane;
        }
      }
    }
    for (const int count : times) EXPECT_EQ(count, 1);
  }
}

TEST(SummedRuns, TakeTheTapsOfEveryCellInsideTheVolume) {
  for (const NamedProblem& named : named_problems()) {
    const convt3d::Problem problem = problem_of(named);
    if (convt3d::is_strided(problem)) continue;
    SCOPED_TRACE(named.name);
    for (const std::int64_t margin : {0, 1, 3, 7}) {
      const WinogradAxis axis = axis_of(problem, margin);
      const std::int64_t begin = axis.cells.begin, end = axis.cells.end, middle = (begin + end) / 2;
      for (const std::int64_t sums : {1, 2, 8, 50}) {
        expect_complete(axis, begin, end, sums);
        expect_complete(axis, begin, middle, sums);
        expect_complete(axis, middle, end, sums);
      }
    }
  }
}

TEST(SummedRuns, LeaveOutWhatReadsNothing) {
  // Seven planes make thirteen: 7 x 7 of 13 x 7 taps read one.
  EXPECT_EQ(products(axis_of(7, 7, 0, 0), 8), 49);
  // Two sums a cell are too few on their own, and all at once take 91.
  EXPECT_EQ(products(axis_of(7, 7, 0, 3), 2), 67);
  // Where few planes are near the ends, the others stay together.
  EXPECT_EQ(products(axis_of(64, 3, 1, 0), 8), 64 * 3 - 2);
  SummedRuns runs;
  const WinogradAxis axis = axis_of(64, 3, 1, 0);
  EXPECT_EQ(runs.cut(axis, 0, axis.cells.begin, axis.cells.end, 8, kChannels).size(), 3U);
}

}  // namespace
}  // namespace testing_support
