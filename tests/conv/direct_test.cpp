// The direct algorithm: where it takes each tap along w on its own, where all of them as one, and where it cuts volumes.
// That its results are right, and the same bits whatever the tiling, is what the sweeps over all algorithms test.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "convt3d/conv/direct_tiling.hpp"
#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::ConvTranspose3dOptions;
using convt3d::Extent3;
using convt3d::Isa;
using convt3d::Problem;

convt3d::Machine machine_of(Isa isa, std::int64_t l2_bytes = 1 << 20) {
  convt3d::Machine machine;
  machine.isa = isa;
  machine.l2_bytes = l2_bytes;
  return machine;
}

convt3d::DirectTiling tiling_of(const Problem& problem, const convt3d::Machine& machine, int threads = 1) {
  const convt3d::Query query{problem, machine, threads};
  return problem.dtype == convt3d::DType::kFloat64 ? convt3d::direct_tiling<double>(query)
                                                   : convt3d::direct_tiling<float>(query);
}

bool crops(const Problem& problem, const convt3d::Machine& machine) { return tiling_of(problem, machine).crop; }

TEST(Direct, CropsWhereKernelsReachFarOverTheEndsOfRows) {
  const ConvTranspose3dOptions k5{.in_channels = 16, .out_channels = 256, .kernel_size = 5, .padding = {2, 0, 1}};
  const ConvTranspose3dOptions k4s2{.in_channels = 16, .out_channels = 256, .kernel_size = 4, .stride = 2, .padding = 1};
  const ConvTranspose3dOptions k1{.in_channels = 16, .out_channels = 256, .kernel_size = {5, 5, 1}};
  const ConvTranspose3dOptions few{.in_channels = 1, .out_channels = 1, .kernel_size = {1, 1, 5}};
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
    const auto crops_at = [&](const ConvTranspose3dOptions& options, const Extent3& input) {
      return crops(convt3d::make_problem(options, 1, input), machine_of(isa));
    };
    EXPECT_TRUE(crops_at(k5, {6, 5, 8})) << convt3d::name_of(isa);
    EXPECT_FALSE(crops_at(k5, {64, 64, 256})) << convt3d::name_of(isa) << ": hardly any input is outside";
    EXPECT_FALSE(crops_at(k4s2, {16, 16, 32})) << convt3d::name_of(isa) << ": hardly any input is outside";
    EXPECT_FALSE(crops_at(k1, {6, 5, 8})) << convt3d::name_of(isa) << ": no input is outside along w";
    EXPECT_FALSE(crops_at(few, {6, 5, 8})) << convt3d::name_of(isa) << ": a product costs more than it leaves out";
  }
}

/// Cut along h, it would share a line of each plane of each channel with another thread.
TEST(Direct, CutsShortRowsAlongDepthForTwoThreads) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "estimated with AVX-512, of which this build knows no vectors";
#endif
  const ConvTranspose3dOptions options{.in_channels = 3, .out_channels = 32, .kernel_size = 2};
  const Problem problem = convt3d::make_problem(options, 1, {16, 17, 15});
  const convt3d::Machine machine = machine_of(Isa::kAvx512);
  const Extent3 blocks = convt3d::direct_tiling<float>({problem, machine, 2}).blocks;
  EXPECT_GT(blocks.d, 1);
  EXPECT_EQ(blocks.h, 1);
  EXPECT_EQ(blocks.w, 1);
}

TEST(Direct, JoinsTapsOfNeighbouringColumns) {
  const ConvTranspose3dOptions k5{.in_channels = 3, .out_channels = 32, .kernel_size = 5};
  const ConvTranspose3dOptions k5s2d2{.in_channels = 3, .out_channels = 32, .kernel_size = 5, .stride = 2, .dilation = 2};
  const ConvTranspose3dOptions k5d2{.in_channels = 3, .out_channels = 32, .kernel_size = 5, .dilation = 2};
  const ConvTranspose3dOptions many{.in_channels = 64, .out_channels = 32, .kernel_size = 5};
  const auto joins = [](const ConvTranspose3dOptions& options) {
    return tiling_of(convt3d::make_problem(options, 1, {24, 24, 96}), machine_of(Isa::kAvx512)).joins_w;
  };
  EXPECT_TRUE(joins(k5));
  EXPECT_TRUE(joins(k5s2d2));
  EXPECT_FALSE(joins(k5d2)) << "columns are in between";
  EXPECT_FALSE(joins(many)) << "padding is in between";
}

/// Both change the order of the sums.
TEST(Direct, CropsAndJoinsWhateverTheThreadsVolumesCachesAndSlabs) {
  for (const NamedProblem& named : named_problems()) {
    for (const convt3d::DType dtype : {convt3d::DType::kFloat32, convt3d::DType::kFloat64}) {
      for (const Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
        const Problem problem = problem_of(named, dtype);
        const auto order = [&](const Problem& variant, int threads, std::int64_t l2_bytes) {
          const convt3d::DirectTiling tiling = tiling_of(variant, machine_of(isa, l2_bytes), threads);
          return std::pair(tiling.crop, tiling.joins_w);
        };
        const auto expected = order(problem, 1, 1 << 20);
        Problem batch = problem;
        batch.n = 7;
        EXPECT_EQ(order(batch, 16, 1 << 20), expected) << named;
        EXPECT_EQ(order(problem, 1, 256), expected) << named;
        Problem slab = problem;  // the first plane of output, from the inputs that it depends on
        slab.output.d = 1;
        slab.input.d = 1;
        EXPECT_EQ(order(slab, 1, 1 << 20), expected) << named;
      }
    }
  }
}

TEST(Direct, CropsProblemsOfTheSweeps) {
  for (const NamedProblem& named : named_problems()) {
    if (!named.name.starts_with("beyond_rows")) continue;
    for (const convt3d::DType dtype : {convt3d::DType::kFloat32, convt3d::DType::kFloat64}) {
      for (const Isa isa : {Isa::kBaseline, Isa::kSse4, Isa::kAvx2, Isa::kAvx512})
        EXPECT_TRUE(crops(problem_of(named, dtype), machine_of(isa))) << named << ", " << convt3d::name_of(isa);
    }
  }
}

/// Many blocks along every axis, and more threads than tasks.
TEST(Direct, GivesTheSameBitsCroppedInAnyBlocks) {
  const Problem problem = problem_of(named_problem("beyond_rows_k5"));
  const Arrays<float> arrays = normal_arrays<float>(problem, 5);
  for (const Isa isa : convt3d::available_isas()) {
    const std::vector<float> expected = run(problem, arrays, {isa, "direct"}, 1);
    for (const int threads : {2, 3, 64}) {
      const convt3d::Plan plan = plan_of(problem, {isa, "direct"}, threads, 256);
      EXPECT_TRUE(same_bits(run(executor_of(plan, arrays), arrays.input), expected))
          << convt3d::name_of(isa) << ", " << threads << " threads, " << plan.tiles;
    }
  }
}

/// Short rows are multiplied several at once; for a small cache blocks have fewer.
TEST(Direct, GivesTheSameBitsForAnyNumberOfRows) {
  const ConvTranspose3dOptions layers[] = {
      {.in_channels = 1, .out_channels = 16, .kernel_size = {3, 1, 5}, .padding = {0, 0, 2}},
      {.in_channels = 20, .out_channels = 40, .kernel_size = {17, 1, 2}, .padding = {2, 0, 0}},  // 680 terms, in parts
      {.in_channels = 5, .out_channels = 16, .kernel_size = {2, 3, 7}, .stride = {1, 1, 3}, .padding = {0, 1, 2}},
      {.in_channels = 3, .out_channels = 20, .kernel_size = {2, 1, 1}, .stride = {1, 2, 2}},  // phases without taps
      {.in_channels = 8, .out_channels = 16, .kernel_size = {3, 2, 2}, .padding = {0, 0, 1}, .dilation = {1, 2, 2}},
      {.in_channels = 192, .out_channels = 16, .kernel_size = {2, 1, 3}, .padding = {0, 0, 1}},
      {.in_channels = 16,
       .out_channels = 16,
       .kernel_size = {1, 5, 5},
       .padding = {0, 0, 1}},  // cropped where rows are short
  };
  for (const ConvTranspose3dOptions& layer : layers) {
    for (const Isa isa : convt3d::available_isas()) {
      const std::string name = std::string(convt3d::name_of(isa)) + ", kernel " + to_string(layer.kernel_size);
      int others = 0;
      for (std::int64_t width = 2; width < 9; ++width) {
        const Problem problem = convt3d::make_problem(layer, 1, {2, 13, width});
        others += tiling_of(problem, machine_of(isa, 256), 2).block.h < tiling_of(problem, machine_of(isa), 1).block.h;
        const Arrays<float> arrays = normal_arrays<float>(problem, 7);
        const std::vector<float> expected =
            run(executor_of(plan_of(problem, {isa, "direct"}, 2, 256), arrays), arrays.input);
        EXPECT_TRUE(same_bits(run(problem, arrays, {isa, "direct"}, 1), expected)) << name << ", width " << width;
      }
      EXPECT_GT(others, 0) << name << ": no width is cut otherwise for the small cache";
    }
  }
}

/// Lines that are shared by two rows, two planes or two blocks; channels that fill no vector.
TEST(Direct, StoresTheSameBitsPastTheCaches) {
  constexpr std::int64_t kL2 = 1 << 16;
  const ConvTranspose3dOptions layers[] = {
      {.in_channels = 3, .out_channels = 20, .kernel_size = 3},
      {.in_channels = 3, .out_channels = 20, .kernel_size = 2, .stride = {1, 2, 2}},
      {.in_channels = 3, .out_channels = 20, .kernel_size = 2, .stride = 2},
  };
  for (const ConvTranspose3dOptions& layer : layers) {
    const Problem problem = convt3d::make_problem(layer, 2, {7, 23, 37});
    ASSERT_GT(output_size(problem) * 4, 16 * kL2);
    const Arrays<float> arrays = normal_arrays<float>(problem, 9);
    for (const Isa isa : convt3d::available_isas()) {
      const std::vector<float> expected =
          run(executor_of(plan_of(problem, {isa, "direct"}, 1, 1 << 24), arrays), arrays.input);
      for (const int threads : {1, 2, 3}) {
        const Extent3 block = tiling_of(problem, machine_of(isa, kL2), threads).block;
        EXPECT_GE(block.h * problem.stride.h * block.w * problem.stride.w, 128) << "too short to go past the caches";
        const convt3d::Plan plan = plan_of(problem, {isa, "direct"}, threads, kL2);
        EXPECT_TRUE(same_bits(run(executor_of(plan, arrays), arrays.input), expected))
            << convt3d::name_of(isa) << ", " << to_string(problem) << ", " << threads << " threads";
      }
    }
  }
}

}  // namespace
}  // namespace testing_support
