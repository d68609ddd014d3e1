// col2vol and col2vol_rows: when they are taken, and blocks that sweeps over small problems do not meet. That their results
// are right is what the sweeps over all algorithms test.

#include <gtest/gtest.h>

#include <string>

#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::ConvTranspose3dOptions;
using convt3d::Extent3;
using convt3d::Isa;
using convt3d::Plan;
using convt3d::Problem;

std::string reason_against(const Problem& problem, const std::string& algorithm) {
  return rejection_of(algorithm, convt3d::make_plan(problem, convt3d::Machine{}));
}

/// With AVX-512.
std::string algorithm_for(const ConvTranspose3dOptions& options, const Extent3& input) {
  convt3d::Machine machine;
  machine.isa = Isa::kAvx512;
  return convt3d::make_plan(convt3d::make_problem(options, 1, input), machine).algorithm;
}

TEST(Col2Vol, IsTakenForKernelsHardlySmallerThanTheVolume) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "measured with AVX-512, of which this build knows no vectors";
#endif
  EXPECT_EQ(algorithm_for({.in_channels = 256, .out_channels = 4, .kernel_size = 7, .stride = 2}, {4, 7, 6}), "col2vol");
  EXPECT_EQ(algorithm_for({.in_channels = 64, .out_channels = 2, .kernel_size = 4, .dilation = 2}, {7, 7, 8}), "col2vol");
  EXPECT_NE(algorithm_for({.in_channels = 64, .out_channels = 32, .kernel_size = 4, .stride = 2}, {32, 32, 32}), "col2vol");
}

TEST(Col2VolRows, IsTakenForFewOutputChannelsFromMany) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "measured with AVX-512, of which this build knows no vectors";
#endif
  EXPECT_EQ(algorithm_for({.in_channels = 32, .out_channels = 1, .kernel_size = 2}, {17, 10, 21}), "col2vol_rows");
  EXPECT_EQ(
      algorithm_for({.in_channels = 128, .out_channels = 3, .kernel_size = {2, 3, 2}, .stride = {1, 2, 1}}, {43, 55, 24}),
      "col2vol_rows");
  EXPECT_NE(algorithm_for({.in_channels = 32, .out_channels = 1, .kernel_size = 9, .stride = 2}, {64, 64, 64}),
            "col2vol_rows");
  EXPECT_NE(algorithm_for({.in_channels = 1, .out_channels = 1, .kernel_size = 4, .stride = 2}, {181, 217, 181}),
            "col2vol_rows");
}

TEST(Col2Vol, RefusesWhatItCannotAddUpInTheCacheOrWithinTheErrorBound) {
  const auto reason = [](const ConvTranspose3dOptions& options, const Extent3& input) {
    return reason_against(convt3d::make_problem(options, 1, input), "col2vol");
  };
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = 10}, {4, 5, 6}), "");
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = {10, 10, 11}}, {4, 5, 6}),
            "a kernel of over 1000 taps");
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = {3, 1, 1}}, {4, 1000, 1000}),
            "planes too large to be added to in the cache");
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = 3}, {4, 5, std::int64_t{1} << 40}),
            "planes too large to be added to in the cache");
}

TEST(Col2VolRows, RefusesWhatItCannotAddUpInTheCacheOrWithinTheErrorBound) {
  const auto reason = [](const ConvTranspose3dOptions& options, const Extent3& input) {
    return reason_against(convt3d::make_problem(options, 1, input), "col2vol_rows");
  };
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = 10}, {4, 5, 6}), "");
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = {10, 10, 11}}, {4, 5, 6}),
            "a kernel of over 1000 taps");
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 2049, .kernel_size = 2}, {4, 5, 6}), "over 16384 taps and channels");
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = 1, .stride = 2}, {4, 5, 6}),
            "one tap: nothing to add up");
  const std::string too_large = "planes too large to be added to in the cache";
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = {3, 1, 1}}, {4, 2000, 1000}), too_large);
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = 3}, {4, 5, std::int64_t{1} << 40}), too_large);
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = 3}, {4, std::int64_t{1} << 40, 5}), too_large);
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .dilation = {1, 1, 1 << 30}}, {4, 5, 6}),
            too_large);
}

/// Of the residues of a stride that exceeds the output by far, those without an output are not looked for.
TEST(Col2VolRows, TakesStridesFarBeyondTheOutput) {
  const NamedProblem named{
      "far",
      {.in_channels = 8, .out_channels = 1, .kernel_size = {1, 2, 3}, .stride = {1, std::int64_t{1} << 50, 1}},
      {2, 1, 9}};
  const Problem problem = problem_of(named);
  const Arrays<float> arrays = normal_arrays<float>(problem, 3);
  const std::vector<float> output = run(problem, arrays, {convt3d::available_isas().back(), "col2vol_rows"}, 2);
  EXPECT_LE(deviation(output, run_reference(reference_layer(named), arrays)).relative_l2, kAllowed<float>.relative_l2);
}

class Col2VolBlocks : public ProblemSweep {};

/// Blocks of rows and of parts of rows, several chunks of channels, blocks of planes that begin and end within sets of
/// columns: each output as in one piece.
TEST_P(Col2VolBlocks, MatchTheReferenceWithTheSameBitsOnAnyNumberOfThreads) {
  const Problem problem = problem_of(GetParam());
  const std::uint64_t seed = seed_of(GetParam());
  const Arrays<float> arrays = normal_arrays<float>(problem, seed);
  const std::vector<double> expected = run_reference(reference_layer(GetParam()), arrays);
  for (const Isa isa : convt3d::available_isas()) {
    for (const char* algorithm : {"col2vol", "col2vol_rows"}) {
      const Variant variant = {isa, algorithm};
      const Plan alone = plan_of(problem, variant, 1), shared = plan_of(problem, variant, 12);
      EXPECT_NE(alone.tiles, shared.tiles) << to_string(variant);
      const std::vector<float> output = run(executor_of(alone, arrays), arrays.input);
      EXPECT_LE(deviation(output, expected).relative_l2, kAllowed<float>.relative_l2)
          << to_string(variant) << ", seed " << seed;
      EXPECT_TRUE(same_bits(run(executor_of(shared, arrays), arrays.input), output)) << shared.tiles << ", " << alone.tiles;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Problems, Col2VolBlocks,
    testing::Values(
        NamedProblem{"parts_of_rows", {.in_channels = 5, .out_channels = 3, .kernel_size = {2, 3, 4}}, {3, 4, 500}},
        NamedProblem{"rows", {.in_channels = 17, .out_channels = 5, .kernel_size = 3, .stride = 2}, {5, 23, 31}},
        NamedProblem{"dilated_rows",
                     {.in_channels = 3,
                      .out_channels = 7,
                      .kernel_size = {3, 4, 5},
                      .stride = {2, 3, 1},
                      .padding = {1, 4, 3},
                      .output_padding = {1, 2, 1},
                      .dilation = {3, 2, 4}},
                     {4, 19, 37}},
        NamedProblem{"chunks_of_terms", {.in_channels = 1100, .out_channels = 2, .kernel_size = {4, 2, 3}}, {6, 3, 9}},
        NamedProblem{
            "gaps", {.in_channels = 4, .out_channels = 6, .kernel_size = 2, .stride = {5, 4, 3}, .groups = 2}, {3, 21, 25}}),
    name_of_problem);

}  // namespace
}  // namespace testing_support
