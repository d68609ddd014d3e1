// col2vol: when it is taken, and blocks that sweeps over small problems do not meet. That its results are right is what the
// sweeps over all algorithms test.

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

std::string reason_against(const Problem& problem) {
  for (const convt3d::Candidate& candidate : convt3d::make_plan(problem, convt3d::Machine{}).candidates) {
    if (candidate.algorithm == "col2vol") return candidate.rejected;
  }
  return "not in the table";
}

TEST(Col2Vol, IsTakenForKernelsHardlySmallerThanTheVolume) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "measured with AVX-512, of which this build knows no vectors";
#endif
  const auto algorithm_for = [](const ConvTranspose3dOptions& options, const Extent3& input) {
    convt3d::Machine machine;
    machine.isa = Isa::kAvx512;
    return convt3d::make_plan(convt3d::make_problem(options, 1, input), machine).algorithm;
  };
  EXPECT_EQ(algorithm_for({.in_channels = 256, .out_channels = 4, .kernel_size = 7, .stride = 2}, {4, 7, 6}), "col2vol");
  EXPECT_EQ(algorithm_for({.in_channels = 64, .out_channels = 2, .kernel_size = 4, .dilation = 2}, {7, 7, 8}), "col2vol");
  EXPECT_NE(algorithm_for({.in_channels = 64, .out_channels = 32, .kernel_size = 4, .stride = 2}, {32, 32, 32}), "col2vol");
}

TEST(Col2Vol, RefusesWhatItCannotAddUpInTheCacheOrWithinTheErrorBound) {
  const auto reason = [](const ConvTranspose3dOptions& options, const Extent3& input) {
    return reason_against(convt3d::make_problem(options, 1, input));
  };
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = 10}, {4, 5, 6}), "");
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = {10, 10, 11}}, {4, 5, 6}),
            "a kernel of over 1000 taps");
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = {3, 1, 1}}, {4, 1000, 1000}),
            "planes too large to be added to in the cache");
  EXPECT_EQ(reason({.in_channels = 1, .out_channels = 1, .kernel_size = 3}, {4, 5, std::int64_t{1} << 40}),
            "planes too large to be added to in the cache");
}

class Col2VolBlocks : public ProblemSweep {};

/// Blocks of rows and of parts of rows, several chunks of channels and blocks of planes: each output as in one piece.
TEST_P(Col2VolBlocks, MatchTheReferenceWithTheSameBitsOnAnyNumberOfThreads) {
  const Problem problem = problem_of(GetParam());
  const std::uint64_t seed = seed_of(GetParam());
  const Arrays<float> arrays = normal_arrays<float>(problem, seed);
  const std::vector<double> expected = run_reference(reference_layer(GetParam()), arrays);
  for (const Isa isa : convt3d::available_isas()) {
    const Variant variant = {isa, "col2vol"};
    const Plan alone = plan_of(problem, variant, 1), shared = plan_of(problem, variant, 9);
    EXPECT_NE(alone.tiles, shared.tiles);
    const std::vector<float> output = run(executor_of(alone, arrays), arrays.input);
    EXPECT_LE(deviation(output, expected).relative_l2, kAllowed<float>.relative_l2)
        << to_string(variant) << ", seed " << seed;
    EXPECT_TRUE(same_bits(run(executor_of(shared, arrays), arrays.input), output)) << shared.tiles << ", " << alone.tiles;
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
        NamedProblem{
            "gaps", {.in_channels = 4, .out_channels = 6, .kernel_size = 2, .stride = {5, 4, 3}, .groups = 2}, {3, 21, 25}}),
    name_of_problem);

}  // namespace
}  // namespace testing_support
