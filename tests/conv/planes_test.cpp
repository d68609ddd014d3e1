// Planes of the output on their own: with every algorithm they have the bits of the whole, from no more of the input than
// the plan's reach.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "convt3d/conv/conv3d_shape.hpp"
#include "convt3d/conv/plane_reach.hpp"
#include "support/refusal.hpp"
#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::Executor;
using convt3d::Extent3;
using convt3d::PlaneReach;
using convt3d::Planes;
using convt3d::Problem;

/// Those planes of every volume of an array (volumes, extent).
std::vector<float> planes_of(const std::vector<float>& array, const Extent3& extent, const Planes& planes) {
  const std::int64_t plane = extent.h * extent.w;
  std::vector<float> result;
  for (std::int64_t at = 0; at < static_cast<std::int64_t>(array.size()); at += extent.d * plane) {
    result.insert(result.end(), array.begin() + at + planes.begin * plane, array.begin() + at + planes.end * plane);
  }
  return result;
}

/// Planes `wanted` of the output from what they reach, the output full of NaN before.
std::vector<float> run_planes(const Executor& executor, const std::vector<float>& input, const Planes& wanted) {
  const Problem& p = executor.plan().problem;
  const Planes held = executor.plan().reach.of(wanted);
  const std::vector<float> part = planes_of(input, p.input, held);
  std::vector<float> output(static_cast<std::size_t>(p.n * p.co * wanted.count() * p.output.h * p.output.w),
                            std::numeric_limits<float>::quiet_NaN());
  convt3d::ConstTensorView from = input_view(p, part.data());
  convt3d::TensorView to = output_view(p, output.data());
  from.extent.d = held.count();
  to.extent.d = wanted.count();
  executor.run_planes(from, held, to, wanted);
  return output;
}

void expect_slabs_to_keep_bits(const Executor& executor, const std::vector<float>& input, const std::string& who) {
  const Extent3& extent = executor.plan().problem.output;
  const std::vector<float> whole = run(executor, input);
  for (const std::int64_t height : {1, 2, 5}) {
    for (std::int64_t begin = 0; begin < extent.d; begin += height) {
      const Planes wanted = {begin, std::min(begin + height, extent.d)};
      EXPECT_TRUE(same_bits(run_planes(executor, input, wanted), planes_of(whole, extent, wanted)))
          << who << ", planes " << wanted.begin << " to " << wanted.end << " of " << extent.d;
    }
  }
}

class OutputPlanes : public ProblemSweep {};

TEST_P(OutputPlanes, HaveTheBitsOfTheWhole) {
  const Problem problem = problem_of(GetParam());
  const Arrays<float> arrays = normal_arrays<float>(problem, seed_of(GetParam()));
  for (const Variant& variant : variants(problem)) {
    // A small cache makes blocks that slabs cut, and outputs that go past it.
    expect_slabs_to_keep_bits(executor_of(plan_of(problem, variant, 2, 4 << 10), arrays), arrays.input, to_string(variant));
    expect_slabs_to_keep_bits(executor_of(plan_of(problem, variant), arrays), arrays.input, to_string(variant));
  }
}

/// What is computed anew for a NaN depends on where the NaN is, not on where slabs begin.
TEST_P(OutputPlanes, HaveTheBitsOfTheWholeBesideNan) {
  Problem problem = problem_of(GetParam());
  problem.n = 2;
  Arrays<float> arrays = normal_arrays<float>(problem, seed_of(GetParam()));
  arrays.input[arrays.input.size() / 3] = std::numeric_limits<float>::quiet_NaN();
  for (const Variant& variant : variants(problem)) {
    expect_slabs_to_keep_bits(executor_of(plan_of(problem, variant), arrays), arrays.input, to_string(variant));
  }
}

INSTANTIATE_TEST_SUITE_P(Problems, OutputPlanes, testing::ValuesIn(named_problems()), name_of_problem);

/// A long volume with a NaN in its first plane: the planes out of its reach keep the bits they have without it.
TEST(Planes, OutOfReachOfANanAreNotComputedAnew) {
  Problem problem = problem_of(named_problem("k4s2p1"));
  problem.input.d = 24;
  problem.output.d = 48;
  const Arrays<float> arrays = normal_arrays<float>(problem, 3);
  Arrays<float> with_nan = arrays;
  with_nan.input.front() = std::numeric_limits<float>::quiet_NaN();
  for (const Variant& variant : variants(problem)) {
    const Executor executor = executor_of(plan_of(problem, variant), arrays);
    ASSERT_EQ(executor.plan().reach.of({0, 1}).begin, 0);
    ASSERT_GT(executor.plan().reach.of({24, 48}).begin, 0) << to_string(variant);
    const auto half = [&](const std::vector<float>& input) {
      return planes_of(run(executor, input), problem.output, {24, 48});
    };
    EXPECT_TRUE(same_bits(half(with_nan.input), half(arrays.input))) << to_string(variant);
  }
}

TEST(Planes, OfSeparableKernelsHaveTheBitsOfTheWhole) {
  const convt3d::ConvTranspose3dOptions layer = {
      .in_channels = 2, .out_channels = 2, .kernel_size = {6, 4, 6}, .stride = {3, 2, 4}, .padding = {2, 1, 1}, .groups = 2};
  const Problem problem = make_problem(layer, 2, {7, 5, 9});
  Arrays<float> arrays = normal_arrays<float>(problem, 11);
  for (std::size_t i = 0; i < arrays.weight.size(); ++i) {
    arrays.weight[i] = static_cast<float>((1 + i / 24 % 6) * (1 + i / 6 % 4) * (1 + i % 6));
  }
  convt3d::Machine machine;
  machine.l2_bytes = 4 << 10;
  for (const convt3d::Isa isa : convt3d::available_isas()) {
    machine.isa = isa;
    const convt3d::Plan plan =
        make_plan(problem, machine, {.threads = 2, .force_algorithm = "separable", .separable = true});
    Arrays<float> with_nan = arrays;
    with_nan.input[200] = std::numeric_limits<float>::infinity();
    const std::string who = "separable on " + std::string(name_of(isa));
    expect_slabs_to_keep_bits(executor_of(plan, arrays), arrays.input, who);
    expect_slabs_to_keep_bits(executor_of(plan, arrays), with_nan.input, who + " beside an infinity");
  }
}

TEST(Planes, OfStridedConvolutionsHaveTheBitsOfTheWhole) {
  for (const std::int64_t stride : {1, 2, 3}) {
    const Problem problem = make_problem(
        convt3d::Conv3dOptions{
            .in_channels = 5, .out_channels = 6, .kernel_size = {3, 3, 2}, .stride = stride, .padding = Extent3(4, 1, 1)},
        1, {9, 6, 7});
    const Arrays<float> arrays = normal_arrays<float>(problem, 13);
    for (const Variant& variant : variants(problem)) {
      expect_slabs_to_keep_bits(executor_of(plan_of(problem, variant), arrays), arrays.input,
                                to_string(variant) + ", stride " + std::to_string(stride));
    }
  }
}

TEST(Planes, OfLayersInBfloat16HaveTheBitsOfTheWhole) {
  convt3d::Machine machine = convt3d::Machine::detect();
  if (!machine.bfloat16) GTEST_SKIP() << "no AVX-512 BF16";
  machine.l2_bytes = 4 << 10;
  const Problem problem = make_problem(
      convt3d::ConvTranspose3dOptions{
          .in_channels = 19, .out_channels = 20, .kernel_size = 2, .stride = {3, 2, 2}, .bfloat16 = true},
      2, {7, 5, 9});
  Arrays<float> arrays = normal_arrays<float>(problem, 17);
  const convt3d::Plan plan = make_plan(problem, machine, {.threads = 2, .force_algorithm = "gemm_bfloat16"});
  expect_slabs_to_keep_bits(executor_of(plan, arrays), arrays.input, "bfloat16");
  arrays.input[200] = std::numeric_limits<float>::quiet_NaN();
  expect_slabs_to_keep_bits(executor_of(plan, arrays), arrays.input, "bfloat16 beside NaN");
}

TEST(Planes, AreRefusedWhereTheInputLacksSomeOfTheirReach) {
  const Problem problem = problem_of(named_problem("k4s2p1"));
  const Arrays<float> arrays = normal_arrays<float>(problem, 1);
  const Executor executor = executor_of(plan_of(problem, {convt3d::Isa::kBaseline, "direct"}), arrays);
  std::vector<float> output(static_cast<std::size_t>(convt3d::output_size(problem)));
  convt3d::ConstTensorView from = input_view(problem, arrays.input.data());
  from.extent.d = 1;
  convt3d::TensorView to = output_view(problem, output.data());
  to.extent.d = 2;
  expect_refused(
      [&] {
        executor.run_planes(from, {0, 1}, to, {0, 2});
      },
      {"planes 0 to 1 of the input", "planes 0 to 2", "expected 0 to 2"});
}

TEST(PlaneReach, StaysInsideAndHoldsWhatEndPlanesStandFor) {
  const PlaneReach replicates = {.lowest = -3, .highest = -3, .input = 10};
  EXPECT_EQ(replicates.of({0, 1}), (Planes{0, 1}));
  EXPECT_EQ(replicates.of({2, 5}), (Planes{0, 2}));
  EXPECT_EQ(replicates.of({12, 16}), (Planes{9, 10}));
  PlaneReach mirrors = replicates;
  mirrors.mirrors = true;
  EXPECT_EQ(mirrors.of({0, 1}), (Planes{3, 4}));    // plane -3 is plane 3
  EXPECT_EQ(mirrors.of({1, 6}), (Planes{0, 3}));    // -2 ... 2
  EXPECT_EQ(mirrors.of({14, 16}), (Planes{6, 8}));  // 11 and 12 are 7 and 6
}

TEST(PlaneReach, CountsRunsFromTheirFirstPlaneOn) {
  const PlaneReach tiles = {.first = -1, .run = 6, .advance = 3, .lowest = -1, .highest = 3, .input = 100};
  EXPECT_EQ(tiles.of({5, 6}), (Planes{2, 7}));  // run 1: planes 5 to 10
  EXPECT_EQ(tiles.of({4, 6}), (Planes{0, 7}));  // and the last of run 0
  EXPECT_EQ(tiles.of({5, 11}), (Planes{2, 7}));
}

}  // namespace
}  // namespace testing_support
