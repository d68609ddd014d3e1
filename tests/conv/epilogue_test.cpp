// What an epilogue does to the outputs is what the functions alone do to them afterwards, bit for bit, whichever algorithm
// and instruction set runs, and wherever a row ends.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "support/pointwise.hpp"
#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::Epilogue;
using convt3d::Pointwise;
using convt3d::Problem;
using Function = Pointwise::Function;

/// Layers of 1, 3, 5, 17 channels, groups, several volumes, odd rows, taps on one axis only; with every algorithm among
/// them.
std::vector<NamedProblem> problems() {
  return {
      {"one_channel_k4s2",
       {.in_channels = 1, .out_channels = 1, .kernel_size = 4, .stride = 2, .padding = 1},
       {3, 4, 19},
       2},
      {"to_3_k3s2", {.in_channels = 5, .out_channels = 3, .kernel_size = 3, .stride = 2, .output_padding = 1}, {2, 3, 5}},
      {"to_17_k2s2", {.in_channels = 4, .out_channels = 17, .kernel_size = 2, .stride = 2, .bias = false}, {2, 3, 9}, 2},
      {"to_40_k4s2", {.in_channels = 8, .out_channels = 40, .kernel_size = 4, .stride = 2, .padding = 1}, {3, 3, 11}},
      {"groups_k3s1", {.in_channels = 6, .out_channels = 10, .kernel_size = 3, .padding = 1, .groups = 2}, {3, 5, 18}, 2},
      {"depthwise_k132s2",
       {.in_channels = 3, .out_channels = 3, .kernel_size = {1, 3, 2}, .stride = {1, 2, 2}, .groups = 3},
       {2, 5, 7}},
  };
}

/// A parameter for every channel, of both signs.
std::vector<double> per_channel(std::int64_t channels, double first) {
  std::vector<double> values;
  for (std::int64_t c = 0; c < channels; ++c) values.push_back(first + 0.37 * static_cast<double>(c % 5) - 0.5);
  return values;
}

std::vector<Epilogue> epilogues(std::int64_t channels) {
  std::vector<Epilogue> list;
  for (const NamedPointwise& each : pointwise_functions()) list.push_back({each.pointwise});
  const Pointwise prelu = {.function = Function::kLeakyRelu, .p = per_channel(channels, 0.25)};
  const Pointwise norm = {.function = Function::kAffine, .p = per_channel(channels, 1.5), .q = per_channel(channels, 0.1)};
  list.push_back({prelu});
  list.push_back({prelu, norm, {.function = Function::kTanh}});
  return list;
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <typename T>
std::vector<T> run_with(const convt3d::Plan& plan, const Arrays<T>& arrays, const Epilogue& epilogue) {
  const T* bias = arrays.bias.empty() ? nullptr : arrays.bias.data();
  return run(convt3d::Executor(plan, arrays.weight.data(), bias, epilogue), arrays.input);
}

template <typename T>
void expect_as_if_applied_afterwards(const Problem& problem, const Arrays<T>& arrays, bool separable) {
  for (const convt3d::Isa isa : convt3d::available_isas()) {
    for (const std::string& algorithm : convt3d::algorithm_names()) {
      convt3d::Machine machine;
      machine.isa = isa;
      machine.threads = 2;
      convt3d::Plan plan;
      try {
        plan = convt3d::make_plan(problem, machine, {.threads = 2, .force_algorithm = algorithm, .separable = separable});
      } catch (const convt3d::Error&) {
        continue;
      }
      const std::vector<T> bare = run_with(plan, arrays, {});
      std::size_t index = 0;
      for (const Epilogue& epilogue : epilogues(problem.co)) {
        std::vector<T> expected = bare;
        for (const Pointwise& step : epilogue) convt3d::apply(step, output_view(problem, expected.data()), 1, isa);
        EXPECT_TRUE(same_bits(run_with(plan, arrays, epilogue), expected))
            << to_string(Variant{isa, algorithm}) << ", epilogue " << index;
        ++index;
      }
    }
  }
}

class EpilogueOf : public ProblemSweep {};

TEST_P(EpilogueOf, IsTheFunctionsAppliedAfterwardsBitForBit) {
  const Problem problem = problem_of(GetParam());
  expect_as_if_applied_afterwards(problem, normal_arrays<float>(problem, seed_of(GetParam())), false);
}

TEST_P(EpilogueOf, IsSoInDoubleToo) {
  const Problem problem = problem_of(GetParam(), convt3d::DType::kFloat64);
  expect_as_if_applied_afterwards(problem, normal_arrays<double>(problem, seed_of(GetParam())), false);
}

TEST_P(EpilogueOf, IsAppliedToVolumesWithNanAsToOthers) {
  const Problem problem = problem_of(GetParam());
  Arrays<float> arrays = normal_arrays<float>(problem, seed_of(GetParam()));
  arrays.input.front() = std::nanf("");
  arrays.input.back() = -std::numeric_limits<float>::infinity();
  const Epilogue epilogue = epilogues(problem.co)[11];
  for (const Variant& variant : variants(problem)) {
    const convt3d::Plan plan = plan_of(problem, variant);
    std::vector<float> expected = run_with(plan, arrays, {});
    for (const Pointwise& step : epilogue) convt3d::apply(step, output_view(problem, expected.data()), 1, variant.isa);
    const std::vector<float> found = run_with(plan, arrays, epilogue);
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_TRUE(found[i] == expected[i] || (std::isnan(found[i]) && std::isnan(expected[i]))) << to_string(variant);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Problems, EpilogueOf, testing::ValuesIn(problems()), name_of_problem);

TEST(Epilogue, OfKernelsOfRankOneIsTheFunctionsAppliedAfterwards) {
  const NamedProblem named = {
      "", {.in_channels = 3, .out_channels = 3, .kernel_size = 4, .stride = 2, .padding = 1, .groups = 3}, {3, 4, 19}, 2};
  const Problem problem = problem_of(named);
  Arrays<float> arrays = normal_arrays<float>(problem, 5);
  const float taps[] = {0.25F, 0.75F, 0.5F, -0.25F};
  for (std::size_t i = 0; i < arrays.weight.size(); ++i) arrays.weight[i] = taps[i / 16 % 4] * taps[i / 4 % 4] * taps[i % 4];
  expect_as_if_applied_afterwards(problem, arrays, true);
}

TEST(Epilogue, IsTheSameForOutputsThatAreStreamed) {
  // 4 MiB of output: past the caches of the machine that plan_of describes.
  const NamedProblem named = {
      "", {.in_channels = 2, .out_channels = 16, .kernel_size = 2, .stride = 2, .bias = false}, {16, 16, 37}};
  const Problem problem = problem_of(named);
  const Arrays<float> arrays = normal_arrays<float>(problem, 6);
  for (const Variant& variant : variants(problem)) {
    const convt3d::Plan plan = plan_of(problem, variant, 2, 1 << 15);
    std::vector<float> expected = run_with(plan, arrays, {});
    const Epilogue epilogue = {{.function = Function::kLeakyRelu, .p = per_channel(16, 0.25)}};
    convt3d::apply(epilogue[0], output_view(problem, expected.data()), 1, variant.isa);
    EXPECT_TRUE(same_bits(run_with(plan, arrays, epilogue), expected)) << to_string(variant);
  }
}

}  // namespace
}  // namespace testing_support
