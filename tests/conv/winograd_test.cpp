// Winograd over channels: which transforms are taken. And Fourier transforms that go around, over channels and along rows.
// That results are right on everything else is what the sweeps over all algorithms test.

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::Isa;
using convt3d::Problem;

/// The schemes on d, h and w: "F(4, 3) x F(4, 3) x F(4, 3)".
std::string schemes_of(const Problem& problem, Isa isa = Isa::kAvx512, const std::string& algorithm = "winograd") {
  const std::string tiles = plan_of(problem, {isa, algorithm}, 1).tiles;
  return tiles.substr(0, tiles.find(", blocks"));
}

/// What is chosen hangs on the lanes, which a plan for AVX-512 has only where there are kernels for it.
#if defined(__x86_64__)
constexpr bool kHasAvx512Plans = true;
#else
constexpr bool kHasAvx512Plans = false;
#endif

std::string schemes_of(const convt3d::ConvTranspose3dOptions& options, const convt3d::Extent3& input) {
  return schemes_of(convt3d::make_problem(options, 1, input));
}

TEST(Winograd, TransformsUpToThirteenTaps) {
  const auto schemes_for = [](std::int64_t taps) {
    return schemes_of({.in_channels = 32, .out_channels = 32, .kernel_size = {1, 1, taps}}, {8, 8, 60});
  };
  EXPECT_EQ(schemes_for(3), "sum x F(1, 1) x F(4, 3)");
  EXPECT_EQ(schemes_for(5), "sum x F(1, 1) x DFT12(8, 5)");
  EXPECT_EQ(schemes_for(7), "sum x F(1, 1) x DFT16(10, 7)");
  EXPECT_EQ(schemes_for(13), "sum x F(1, 1) x DFT16(4, 13)");
  EXPECT_THROW(schemes_for(14), convt3d::Error);
}

/// Transforms on d multiply the weights' points by more than they save of the products where tiles are few.
TEST(Winograd, SumsUpTapsOnDWhereThatIsLess) {
  if (!kHasAvx512Plans) GTEST_SKIP();
  EXPECT_EQ(schemes_of({.in_channels = 64, .out_channels = 64, .kernel_size = 3, .padding = 1}, 64),
            "F(4, 3) x F(4, 3) x F(4, 3)");
  EXPECT_EQ(schemes_of({.in_channels = 64, .out_channels = 64, .kernel_size = 7, .padding = 3}, 24),
            "sum x DFT12(6, 7) x DFT12(6, 7)");
  // Taps that do not line up can be summed, more than nine as well.
  EXPECT_EQ(schemes_of(problem_of(named_problem("taps_uneven_on_d"))).substr(0, 3), "sum");
  EXPECT_EQ(schemes_of(problem_of(named_problem("taps_many_on_d"))).substr(0, 3), "sum");
}

/// On h and w there are zeros enough at both ends for the whole axis to be one tile, or not.
TEST(Winograd, GoesAroundWhereAVolumeIsShort) {
  if (!kHasAvx512Plans) GTEST_SKIP();
  EXPECT_EQ(schemes_of(problem_of(named_problem("taps_around"))), "sum x DFT12(8, 7) x DFT12(9, 7)");
  EXPECT_EQ(schemes_of(problem_of(named_problem("taps_around_whole"))), "sum x DFT12(12, 6) x DFT12(12, 9)");
  EXPECT_EQ(schemes_of(problem_of(named_problem("taps_not_around"))), "sum x DFT16(10, 7) x DFT16(11, 6)");
  // Each of two tiles takes every second voxel.
  EXPECT_EQ(schemes_of({.in_channels = 8, .out_channels = 8, .kernel_size = {1, 1, 7}, .dilation = {1, 1, 2}}, {2, 2, 11}),
            "sum x F(1, 1) x DFT12(12, 7)");
}

/// Layers of one axis, whose phases have 4 to 13 taps, around the limit at the one end and at the other; strided, or
/// dilated.
std::vector<NamedProblem> layers_around_the_limit(int axis) {
  std::vector<NamedProblem> layers;
  const auto append = [&](std::int64_t stride, std::int64_t dilation, std::int64_t kernel, std::int64_t padding) {
    for (std::int64_t output_padding = 0; output_padding < stride; ++output_padding) {
      for (std::int64_t input = 2; input <= 17 * dilation; ++input) {
        if ((input - 1) * stride + dilation * (kernel - 1) + 1 + output_padding - 2 * padding < 1) continue;
        NamedProblem named = {"", {.in_channels = 4, .out_channels = 4, .kernel_size = 1}, {1, 1, 1}};
        convt3d::ConvTranspose3dOptions& layer = named.layer;
        layer.kernel_size[axis] = kernel;
        layer.stride[axis] = stride;
        layer.padding[axis] = padding;
        layer.output_padding[axis] = output_padding;
        layer.dilation[axis] = dilation;
        named.input[axis == 2 ? 1 : 2] = 2;
        named.input[axis] = input;
        layers.push_back(named);
      }
    }
  };
  for (const std::int64_t kernel : {4, 5, 6, 7, 8, 9, 11, 13}) {
    for (std::int64_t padding = 0; padding < kernel; ++padding) append(1, 1, kernel, padding);
    for (const std::int64_t padding : {0, 3, 4}) append(1, 2, kernel, padding);
    for (const std::int64_t padding : {0, 2}) append(1, 3, kernel, padding);
    if (kernel < 6) continue;  // of so few taps so many beyond the volume keep no error bound
    for (const std::int64_t padding : {9, 12}) append(1, 2, kernel, padding);
    for (const std::int64_t padding : {5, 7}) append(1, 3, kernel, padding);
  }
  for (std::int64_t kernel = 11; kernel <= 18; ++kernel) {
    for (std::int64_t padding = 0; padding < kernel; padding += 3) append(2, 1, kernel, padding);
  }
  return layers;
}

/// Runs the layers, and returns the schemes that were taken on their axis.
std::set<std::string> expect_right_around_the_limit(const std::string& algorithm, int axis, const std::string& before,
                                                    const std::string& behind) {
  std::set<std::string> schemes;
  for (const NamedProblem& named : layers_around_the_limit(axis)) {
    const Problem problem = problem_of(named);
    const Arrays<float> arrays = normal_arrays<float>(problem, 22);
    const std::vector<double> expected = run_reference(reference_layer(named), arrays);
    for (const Isa isa : convt3d::available_isas()) {
      if (isa == Isa::kBaseline) continue;
      const std::string all = schemes_of(problem, isa, algorithm);
      EXPECT_EQ(all.substr(0, before.size()), before);
      EXPECT_EQ(all.substr(all.size() - behind.size()), behind);
      schemes.insert(all.substr(before.size(), all.size() - before.size() - behind.size()));
      EXPECT_LE(deviation(run(problem, arrays, {isa, algorithm}), expected).relative_l2, kAllowed<float>.relative_l2)
          << all << " for " << to_string(problem) << " on " << convt3d::name_of(isa);
    }
  }
  return schemes;
}

TEST(Winograd, GoesAroundForNoOutputThatReadsWhatIsNotZero) {
  const std::set<std::string> schemes = expect_right_around_the_limit("winograd", 2, "sum x F(1, 1) x ", "");
  for (const char* most : {"DFT8(8, 4)", "DFT8(8, 7)", "DFT12(12, 6)", "DFT12(12, 9)", "DFT16(16, 5)", "DFT16(16, 13)",
                           "DFT12(5, 8)", "DFT16(11, 6)"})
    EXPECT_TRUE(schemes.contains(most)) << most;
}

TEST(WinogradRows, GoesAroundForNoOutputThatReadsWhatIsNotZero) {
  std::set<std::string> schemes = expect_right_around_the_limit("winograd_rows", 0, "", " x F(1, 1)");
  schemes.merge(expect_right_around_the_limit("winograd_rows", 1, "F(1, 1) x ", ""));
  for (const char* most : {"DFT8(8, 5)", "DFT8(8, 7)", "DFT12(12, 7)", "DFT12(12, 9)", "DFT16(16, 11)", "DFT16(16, 13)"})
    EXPECT_TRUE(schemes.contains(most)) << most;
}

/// Sums of thousands of terms, over channels and taps on d: in parts, which keep the bound.
TEST(Winograd, KeepsTheBoundForManyChannelsAndTaps) {
  const std::vector<NamedProblem> cases = {
      {"k4", {.in_channels = 128, .out_channels = 16, .kernel_size = 4}, {9, 9, 10}},
      {"k5", {.in_channels = 160, .out_channels = 16, .kernel_size = 5, .padding = 2}, {8, 7, 9}},
      {"k7", {.in_channels = 96, .out_channels = 16, .kernel_size = 7, .padding = 3}, {7, 9, 8}},
      {"k9", {.in_channels = 64, .out_channels = 16, .kernel_size = {4, 9, 9}, .padding = {1, 4, 4}}, {6, 6, 14}},
  };
  for (const NamedProblem& named : cases) {
    const Problem problem = problem_of(named);
    const Arrays<float> arrays = normal_arrays<float>(problem, 21);
    const std::vector<double> expected = run_reference(reference_layer(named), arrays);
    for (const Isa isa : convt3d::available_isas()) {
      if (isa == Isa::kBaseline) continue;
      const Deviation found = deviation(run(problem, arrays, {isa, "winograd"}), expected);
      EXPECT_LE(found.relative_l2, kAllowed<float>.relative_l2)
          << schemes_of(problem, isa) << " for " << named.name << " on " << convt3d::name_of(isa);
    }
  }
}

}  // namespace
}  // namespace testing_support
