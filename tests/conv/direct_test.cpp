// The direct algorithm: where it takes each tap along w on its own, and where it cuts volumes. That its results are right,
// and the same bits whatever the tiling, is what the sweeps over all algorithms test.

#include <gtest/gtest.h>

#include <string>

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

bool crops(const Problem& problem, const convt3d::Machine& machine, int threads = 1) {
  const convt3d::Query query{problem, machine, threads};
  return problem.dtype == convt3d::DType::kFloat64 ? convt3d::direct_tiling<double>(query).crop
                                                   : convt3d::direct_tiling<float>(query).crop;
}

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
  const ConvTranspose3dOptions options{.in_channels = 3, .out_channels = 32, .kernel_size = 2};
  const Problem problem = convt3d::make_problem(options, 1, {16, 17, 15});
  const convt3d::Machine machine = machine_of(Isa::kAvx512);
  const Extent3 blocks = convt3d::direct_tiling<float>({problem, machine, 2}).blocks;
  EXPECT_GT(blocks.d, 1);
  EXPECT_EQ(blocks.h, 1);
  EXPECT_EQ(blocks.w, 1);
}

/// It changes the order of the sums.
TEST(Direct, CropsWhateverTheThreadsVolumesCachesAndSlabs) {
  for (const NamedProblem& named : named_problems()) {
    for (const convt3d::DType dtype : {convt3d::DType::kFloat32, convt3d::DType::kFloat64}) {
      for (const Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
        const Problem problem = problem_of(named, dtype);
        const bool expected = crops(problem, machine_of(isa));
        Problem batch = problem;
        batch.n = 7;
        EXPECT_EQ(crops(batch, machine_of(isa), 16), expected) << named;
        EXPECT_EQ(crops(problem, machine_of(isa, 256)), expected) << named;
        Problem slab = problem;  // the first plane of output, from the inputs that it depends on
        slab.output.d = 1;
        slab.input.d = 1;
        EXPECT_EQ(crops(slab, machine_of(isa)), expected) << named;
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

}  // namespace
}  // namespace testing_support
