// Data that is hard to sum, through realistic numbers of channels: the bounds of standard-normal data hold for every
// algorithm on every instruction set of this machine, the tile sizes that Winograd's takes for these shapes among them.

#include <gtest/gtest.h>

#include <array>

#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::Plan;
using convt3d::Problem;

constexpr std::array kKinds = {"mean 1000, deviation 1",       "1e-3 to 1e3 by channel",           "1e-3 to 1e3 by voxel",
                               "neighbours of opposite signs", "channels of opposite signs, 1000", "constant"};

/// One volume of each kind.
Problem with_all_kinds(const NamedProblem& named) {
  Problem problem = problem_of(named);
  problem.n = kKinds.size();
  return problem;
}

/// Of voxel x (d + h + w is even or odd) of channel c: a standard-normal value made into one of a kind.
float hard_value(std::size_t kind, std::int64_t c, bool odd, float normal, Lcg& lcg) {
  switch (kind) {
    case 0: return 1000 + normal;
    case 1: return normal * std::pow(10.0F, static_cast<float>(c % 7 - 3));
    case 2: return normal * std::pow(10.0F, static_cast<float>(lcg.between(-3, 3)));
    case 3: return (odd ? -1.0F : 1.0F) * (1 + 0.01F * normal);
    case 4: return (c % 2 != 0 ? -1.0F : 1.0F) * (1000 + normal);
    default: return 1;
  }
}

Arrays<float> hard_arrays(const Problem& problem, std::uint64_t seed) {
  Arrays<float> arrays = normal_arrays<float>(problem, seed);
  Lcg lcg(seed);
  const auto& [d, h, w] = problem.input;
  const std::int64_t volume = d * h * w;
  for (std::size_t i = 0; i < arrays.input.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const bool odd = (at % w + at / w % h + at / w / h % d) % 2 != 0;
    arrays.input[i] =
        hard_value(i * kKinds.size() / arrays.input.size(), at / volume % problem.ci, odd, arrays.input[i], lcg);
  }
  return arrays;
}

void expect_bounds(const std::vector<float>& output, const std::vector<double>& expected, const std::string& what) {
  const auto volume = static_cast<std::ptrdiff_t>(expected.size() / kKinds.size());
  ASSERT_EQ(output.size(), expected.size());
  for (std::size_t kind = 0; kind < kKinds.size(); ++kind) {
    const auto begin = static_cast<std::ptrdiff_t>(kind) * volume;
    const Deviation found = deviation(std::vector<float>(output.begin() + begin, output.begin() + begin + volume),
                                      std::vector<double>(expected.begin() + begin, expected.begin() + begin + volume));
    EXPECT_LE(found.relative_l2, kAllowed<float>.relative_l2) << kKinds[kind] << ", " << what;
    EXPECT_LE(found.relative_most, kAllowed<float>.relative_most) << kKinds[kind] << ", " << what;
  }
}

class HardData : public ProblemSweep {};

TEST_P(HardData, IsConvolvedWithinTheBounds) {
  const Problem problem = with_all_kinds(GetParam());
  const std::uint64_t seed = seed_of(GetParam());
  const Arrays<float> arrays = hard_arrays(problem, seed);
  reference::Layer layer = reference_layer(GetParam());
  layer.n = problem.n;
  const std::vector<double> expected = run_reference(layer, arrays);
  for (const Variant& variant : variants(problem)) {
    const Plan plan = plan_of(problem, variant);
    expect_bounds(run(executor_of(plan, arrays), arrays.input), expected,
                  to_string(variant) + ", " + plan.tiles + ", seed " + std::to_string(seed));
  }
}

/// Sums of up to 14,000 terms, and every number of taps per phase that Winograd's transforms take, one to five.
INSTANTIATE_TEST_SUITE_P(
    Problems, HardData,
    testing::Values(
        NamedProblem{"k3s1_512", {.in_channels = 512, .out_channels = 16, .kernel_size = 3, .padding = 1}, {3, 4, 6}},
        NamedProblem{
            "k4s2_512", {.in_channels = 512, .out_channels = 16, .kernel_size = 4, .stride = 2, .padding = 1}, {2, 3, 4}},
        NamedProblem{"k2s2_512", {.in_channels = 512, .out_channels = 17, .kernel_size = 2, .stride = 2}, {2, 3, 4}},
        NamedProblem{"k3s1_128", {.in_channels = 128, .out_channels = 16, .kernel_size = 3, .padding = 1}, {6, 9, 12}},
        NamedProblem{"k3s1_16", {.in_channels = 16, .out_channels = 16, .kernel_size = 3, .padding = 1}, {9, 12, 16}},
        NamedProblem{"k133s1_64",
                     {.in_channels = 64, .out_channels = 16, .kernel_size = {1, 3, 3}, .padding = {0, 1, 1}},
                     {2, 12, 16}},
        NamedProblem{
            "k4s2_128", {.in_channels = 128, .out_channels = 16, .kernel_size = 4, .stride = 2, .padding = 1}, {4, 7, 12}},
        NamedProblem{"k344s122_64",
                     {.in_channels = 64, .out_channels = 16, .kernel_size = {3, 4, 4}, .stride = {1, 2, 2}, .padding = 1},
                     {4, 6, 8}},
        NamedProblem{
            "k5s2_64", {.in_channels = 64, .out_channels = 16, .kernel_size = 5, .stride = 2, .padding = 2}, {4, 5, 6}},
        NamedProblem{"k118s112_64",
                     {.in_channels = 64, .out_channels = 16, .kernel_size = {1, 1, 8}, .stride = {1, 1, 2}},
                     {3, 4, 13}},
        NamedProblem{"k335s1_32", {.in_channels = 32, .out_channels = 16, .kernel_size = {3, 3, 5}}, {4, 6, 12}},
        NamedProblem{"k4s2_512_to_1",
                     {.in_channels = 512, .out_channels = 1, .kernel_size = 4, .stride = 2, .padding = 1},
                     {4, 5, 6}},
        NamedProblem{
            "k9s2_32_to_1",
            {.in_channels = 32, .out_channels = 1, .kernel_size = 9, .stride = 2, .padding = 4, .output_padding = 1},
            {5, 7, 9}},
        NamedProblem{
            "k9s3_56_to_1", {.in_channels = 56, .out_channels = 1, .kernel_size = 9, .stride = 3, .padding = 3}, {8, 9, 7}},
        NamedProblem{"k3s1_24_to_3", {.in_channels = 24, .out_channels = 3, .kernel_size = 3, .padding = 1}, {9, 8, 17}},
        NamedProblem{"k8s2_2_to_2", {.in_channels = 2, .out_channels = 2, .kernel_size = 8, .stride = 2}, {7, 8, 9}},
        NamedProblem{"k4s1_256", {.in_channels = 256, .out_channels = 2, .kernel_size = 4}, {6, 7, 9}},
        NamedProblem{"k3s1_512_to_2", {.in_channels = 512, .out_channels = 2, .kernel_size = 3, .padding = 1}, {10, 10, 7}},
        NamedProblem{
            "k683", {.in_channels = 2, .out_channels = 2, .kernel_size = {6, 8, 3}, .padding = {3, 4, 1}}, {7, 6, 9}},
        NamedProblem{
            "k962", {.in_channels = 3, .out_channels = 1, .kernel_size = {9, 6, 2}, .padding = {4, 3, 0}}, {5, 7, 9}},
        NamedProblem{
            "k573", {.in_channels = 96, .out_channels = 2, .kernel_size = {5, 7, 3}, .padding = {2, 3, 1}}, {9, 7, 5}},
        NamedProblem{
            "k933", {.in_channels = 4, .out_channels = 3, .kernel_size = {9, 3, 3}, .padding = {4, 1, 1}}, {9, 7, 6}},
        NamedProblem{
            "k297", {.in_channels = 4, .out_channels = 3, .kernel_size = {2, 9, 7}, .padding = {0, 4, 3}}, {6, 9, 8}},
        NamedProblem{
            "k191", {.in_channels = 4, .out_channels = 3, .kernel_size = {1, 9, 1}, .padding = {0, 4, 0}}, {3, 15, 8}},
        NamedProblem{"k12s2",
                     {.in_channels = 2, .out_channels = 1, .kernel_size = 12, .stride = 2, .padding = 5},
                     {6, 7, 8}},
        NamedProblem{"k10_1000_taps", {.in_channels = 1, .out_channels = 1, .kernel_size = 10}, {10, 11, 12}},
        NamedProblem{"k7s2_256_to_4", {.in_channels = 256, .out_channels = 4, .kernel_size = 7, .stride = 2}, {3, 5, 6}},
        NamedProblem{
            "k5d2", {.in_channels = 8, .out_channels = 2, .kernel_size = 5, .padding = 4, .dilation = 2}, {9, 8, 10}},
        NamedProblem{
            "k7_depthwise", {.in_channels = 8, .out_channels = 8, .kernel_size = 7, .padding = 3, .groups = 8}, {6, 7, 9}}),
    name_of_problem);

TEST(HardDataThroughSeparableKernels, IsConvolvedWithinTheBounds) {
  const NamedProblem named{"separable",
                           {.in_channels = 6, .out_channels = 6, .kernel_size = 6, .stride = 2, .padding = 2, .groups = 6},
                           {6, 7, 9}};
  const Problem problem = with_all_kinds(named);
  Arrays<float> arrays = hard_arrays(problem, 11);
  const std::vector<float> factor = standard_normal<float>(6, 12);
  for (std::size_t i = 0; i < arrays.weight.size(); ++i)
    arrays.weight[i] = factor[i / 36 % 6] * factor[i / 6 % 6] * factor[i % 6];
  reference::Layer layer = reference_layer(named);
  layer.n = problem.n;
  const std::vector<double> expected = run_reference(layer, arrays);
  for (const convt3d::Isa isa : convt3d::available_isas()) {
    convt3d::Machine machine;
    machine.isa = isa;
    const Plan plan =
        convt3d::make_plan(problem, machine, {.threads = 2, .force_algorithm = "separable", .separable = true});
    expect_bounds(run(executor_of(plan, arrays), arrays.input), expected, std::string(convt3d::name_of(isa)));
  }
}

/// Inputs of a third of the largest float: Winograd's transforms would overflow, the sums themselves do not.
TEST(HugeData, OverflowsInNoAlgorithmWhereTheSumsDoNot) {
  for (const char* name :
       {"k4s2p1", "k3s1p1", "k3s2p1op1", "k344s122p1", "scan_k4s2p1", "depthwise_k4s2p1", "taps_around", "taps_many_on_d"}) {
    const Problem problem = problem_of(named_problem(name));
    Arrays<float> arrays = normal_arrays<float>(problem, 13);
    arrays.input = uniform<float>(convt3d::input_size(problem), 1e38, 14);
    const std::vector<double> expected = run_reference(reference_layer(named_problem(name)), arrays);
    for (const Variant& variant : variants(problem)) {
      const Deviation found = deviation(run(problem, arrays, variant), expected);
      EXPECT_LE(found.relative_l2, kAllowed<float>.relative_l2) << name << ", " << to_string(variant);
    }
  }
}

/// One row of input, of which a kernel's small ends alone are read; summed over d first, with the kernel's middle, it would
/// overflow.
TEST(HugeData, OverflowsInNoSumOfASeparableKernel) {
  const NamedProblem named{
      "small_ends",
      {.in_channels = 1, .out_channels = 1, .kernel_size = {2, 3, 1}, .padding = {0, 1, 0}, .bias = false},
      {1, 1, 5}};
  const Problem problem = problem_of(named);
  const Arrays<float> arrays = {.input = std::vector<float>(5, 1e38F), .weight = {8, 1e-3F, 0, 8, 1e-3F, 0}, .bias = {}};
  const Plan plan = convt3d::make_plan(problem, convt3d::Machine::detect(),
                                       {.threads = 1, .force_algorithm = "separable", .separable = true});
  EXPECT_EQ(run(executor_of(plan, arrays), arrays.input), std::vector<float>(10, 1e-3F * 1e38F));
}

/// A weight that is not finite reaches the outputs that have a tap to it.
TEST(HugeData, SpreadsNoWeight) {
  const Problem problem = problem_of(named_problem("k4s2p1"));
  Arrays<float> arrays = normal_arrays<float>(problem, 15);
  arrays.weight[40] = std::numeric_limits<float>::infinity();
  const std::vector<float> expected = run(problem, arrays, {convt3d::available_isas().back(), "direct"});
  const std::vector<float> output = run(problem, arrays, {convt3d::available_isas().back(), "winograd"});
  for (std::size_t o = 0; o < expected.size(); ++o) ASSERT_EQ(std::isfinite(output[o]), std::isfinite(expected[o])) << o;
}

}  // namespace
}  // namespace testing_support
