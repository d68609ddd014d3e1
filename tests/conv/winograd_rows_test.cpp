// Winograd along rows: which transforms are taken, and blocks that sweeps over small problems do not meet. That its results
// are right is what the sweeps over all algorithms test.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::ConvTranspose3dOptions;
using convt3d::Extent3;
using convt3d::Machine;
using convt3d::Plan;
using convt3d::Problem;

Plan plan_rows(const Problem& problem, const Machine& machine) {
  return convt3d::make_plan(problem, machine, {.threads = 1, .force_algorithm = "winograd_rows"});
}

Machine machine_of(convt3d::Isa isa) {
  Machine machine;
  machine.isa = isa;
  return machine;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string schemes_of(const ConvTranspose3dOptions& options, const Extent3& input) {
  const std::string tiles = plan_rows(convt3d::make_problem(options, 1, input), machine_of(convt3d::Isa::kAvx512)).tiles;
  return tiles.substr(0, tiles.find(", blocks"));
}

TEST(WinogradRows, TakesFourierTransformsWhereWinogradsDoMoreOrRoundTooMuch) {
  const auto schemes_for = [](std::int64_t taps) {
    return schemes_of({.in_channels = 8, .out_channels = 1, .kernel_size = {taps, taps, 1}}, {40, 40, 64});
  };
  EXPECT_EQ(schemes_of({.in_channels = 32, .out_channels = 1, .kernel_size = 3, .padding = 1}, 64), "F(4, 3) x F(4, 3)");
  EXPECT_EQ(schemes_for(5), "DFT16(12, 5) x DFT16(12, 5)");
  EXPECT_EQ(schemes_for(7), "DFT16(10, 7) x DFT16(10, 7)");
  EXPECT_EQ(schemes_for(9), "DFT16(8, 9) x DFT16(8, 9)");
  EXPECT_EQ(schemes_for(13), "DFT16(4, 13) x DFT16(4, 13)");
}

/// Where a volume is short along d or h, one transform makes all its outputs.
TEST(WinogradRows, GoesAroundWhereAVolumeIsShort) {
  const ConvTranspose3dOptions k7{.in_channels = 8, .out_channels = 1, .kernel_size = {7, 7, 1}, .padding = {3, 3, 0}};
  EXPECT_EQ(schemes_of(k7, {9, 5, 40}), "DFT12(9, 7) x DFT8(5, 7)");
  EXPECT_EQ(schemes_of(k7, {13, 14, 40}), "DFT16(13, 7) x DFT12(6, 7)");
}

TEST(WinogradRows, RefusesPhasesThatItHasNoTransformFor) {
  const ConvTranspose3dOptions options{.in_channels = 8, .out_channels = 1, .kernel_size = {14, 3, 3}};
  try {
    plan_rows(convt3d::make_problem(options, 1, {20, 20, 20}), machine_of(convt3d::Isa::kAvx512));
    FAIL() << "planned";
  } catch (const convt3d::Error& error) {
    EXPECT_TRUE(contains(error.what(), "more than 13 taps along d or h")) << error.what();
  }
}

/// Residues without taps, between others or behind them, on any axes: their outputs are the bias, and no columns are spent
/// on them. An epilogue is done to them as to the others.
TEST(WinogradRows, ComputesNoResiduesWithoutTaps) {
  const std::vector<NamedProblem> cases = {
      {"all axes share a factor",
       {.in_channels = 5, .out_channels = 2, .kernel_size = 3, .stride = 2, .padding = {1, 2, 3}, .dilation = 2},
       {5, 6, 19}},
      {"d and h do",
       {.in_channels = 3, .out_channels = 7, .kernel_size = 4, .stride = {2, 4, 2}, .padding = 1, .dilation = {4, 2, 1}},
       {6, 3, 21},
       2},
      {"w alone does",
       {.in_channels = 3, .out_channels = 3, .kernel_size = 3, .stride = {1, 2, 4}, .dilation = {1, 1, 2}},
       {4, 5, 40}},
      {"a stride above the kernel",
       {.in_channels = 4, .out_channels = 3, .kernel_size = {3, 1, 2}, .stride = {1, 3, 5}},
       {7, 5, 23}},
  };
  const convt3d::Epilogue epilogue = {{.function = convt3d::Pointwise::Function::kLeakyRelu, .p = {0.25}}};
  for (const NamedProblem& named : cases) {
    const Problem problem = problem_of(named);
    const Arrays<float> arrays = normal_arrays<float>(problem, 6);
    std::vector<double> expected = run_reference(reference_layer(named), arrays);
    for (double& value : expected) value = value < 0 ? 0.25 * value : value;
    for (const convt3d::Isa isa : convt3d::available_isas()) {
      if (isa == convt3d::Isa::kBaseline) continue;
      const Plan plan = plan_rows(problem, machine_of(isa));
      const convt3d::Executor executor(plan, arrays.weight.data(), arrays.bias.data(), epilogue);
      EXPECT_LE(deviation(run(executor, arrays.input), expected).relative_l2, kAllowed<float>.relative_l2)
          << named.name << " on " << convt3d::name_of(isa);
    }
  }
  // One column of eight residues for each channel.
  const Plan plan = plan_rows(problem_of(cases.front()), machine_of(convt3d::Isa::kAvx512));
  EXPECT_TRUE(contains(plan.tiles, ", 2 columns")) << plan.tiles;
}

/// Where w has residues without taps, rows are spread out between the bias: into their places at once, or for an epilogue,
/// or an output that exceeds the caches (of 8 KiB here), into a row of their own. Every stride that there are columns for,
/// with rows that begin at one residue or another and are no whole vectors.
TEST(WinogradRows, SpreadsRowsBetweenResiduesOfWWithoutTaps) {
  const convt3d::Epilogue relu = {{.function = convt3d::Pointwise::Function::kLeakyRelu, .p = {0.25}}};
  for (std::int64_t stride = 2; stride <= 16; ++stride) {
    for (const std::int64_t taps : {1, 2, 3, 4, 6, 8, 9}) {
      if (taps >= stride) continue;
      const std::int64_t dilation = stride % 3 == 0 ? 1 : 3;  // taps in another order than their residues
      const NamedProblem named = {"",
                                  {.in_channels = 3,
                                   .out_channels = 2,
                                   .kernel_size = {2, 2, taps},
                                   .stride = {1, 1, stride},
                                   .padding = {0, 1, taps % 3},
                                   .output_padding = {0, 0, stride / 2},
                                   .dilation = {1, 2, dilation}},
                                  {9, 8, 17 + stride % 4}};
      const Problem problem = problem_of(named);
      const Arrays<float> arrays = normal_arrays<float>(problem, 7);
      const std::vector<double> expected = run_reference(reference_layer(named), arrays);
      std::vector<double> activated = expected;
      for (double& value : activated) value = value < 0 ? 0.25 * value : value;
      for (const convt3d::Isa isa : convt3d::available_isas()) {
        if (isa == convt3d::Isa::kBaseline) continue;
        const auto deviation_from = [&](const std::vector<double>& wanted, const convt3d::Epilogue& epilogue,
                                        std::int64_t l2_bytes) {
          const convt3d::Executor executor(plan_of(problem, {isa, "winograd_rows"}, 2, l2_bytes), arrays.weight.data(),
                                           arrays.bias.data(), epilogue);
          return deviation(run(executor, arrays.input), wanted).relative_l2;
        };
        const std::string which = to_string(problem) + " on " + std::string(convt3d::name_of(isa));
        EXPECT_LE(deviation_from(expected, {}, 1 << 20), kAllowed<float>.relative_l2) << which;
        EXPECT_LE(deviation_from(expected, {}, 512), kAllowed<float>.relative_l2) << which << ", past the caches";
        EXPECT_LE(deviation_from(activated, relu, 1 << 20), kAllowed<float>.relative_l2) << which << ", with an epilogue";
      }
    }
  }
}

/// Rows too long for the cache are cut, and the rows of the output that they make with them.
TEST(WinogradRows, CutsLongRows) {
  for (const std::int64_t stride : {1, 2, 3}) {
    const NamedProblem named = {
        "long rows",
        {.in_channels = 24, .out_channels = 2, .kernel_size = {3, 3, 4}, .stride = {1, 1, stride}, .padding = 1},
        {3, 9, 1001}};
    const Problem problem = problem_of(named);
    const Arrays<float> arrays = normal_arrays<float>(problem, 5);
    const std::vector<double> expected = run_reference(reference_layer(named), arrays);
    for (const convt3d::Isa isa : convt3d::available_isas()) {
      if (isa == convt3d::Isa::kBaseline) continue;
      const Plan plan = plan_rows(problem, machine_of(isa));
      EXPECT_TRUE(contains(plan.tiles, " cells")) << plan.tiles;
      EXPECT_LE(deviation(run(executor_of(plan, arrays), arrays.input), expected).relative_l2, kAllowed<float>.relative_l2)
          << plan.tiles << " on " << convt3d::name_of(isa);
    }
  }
}

}  // namespace
}  // namespace testing_support
