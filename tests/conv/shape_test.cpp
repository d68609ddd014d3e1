// Extents, required inputs, operation counts and positions, against brute force.

#include "convt3d/conv/shape.hpp"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <limits>

#include "convt3d/conv/problem.hpp"
#include "convt3d/conv/sampling.hpp"
#include "support/arrays.hpp"
#include "support/goldens.hpp"
#include "support/refusal.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::Box3;
using convt3d::ConvTranspose3dOptions;
using convt3d::DType;
using convt3d::Extent3;
using convt3d::Shape;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

TEST(OutputExtent, IsTheReferences) {
  for (const NamedProblem& problem : named_problems()) {
    const reference::Triple expected = reference::output_extent(reference_layer(problem));
    EXPECT_EQ(convt3d::output_extent(problem.layer, problem.input), Extent3(expected[0], expected[1], expected[2]))
        << problem;
  }
}

/// A 2x layer for the refusals.
const ConvTranspose3dOptions kUp2 = {.in_channels = 2, .out_channels = 3, .kernel_size = 4, .stride = 2, .padding = 1};

TEST(OutputExtent, RefusesAnEmptyAxis) {
  expect_refused([] { convt3d::output_extent(kUp2, {4, 0, 4}); }, {"height", "at least 1"});
  expect_refused([] { convt3d::output_extent(kUp2, {4, 4, -1}); }, {"width", "at least 1"});
}

TEST(OutputExtent, RefusesAnOutputOfNoVoxelsAndNamesThePaddingThatGivesOne) {
  ConvTranspose3dOptions layer = kUp2;
  layer.padding = {1, 1, 5};  // (3-1)*2 + 4 = 8 less 10
  expect_refused([&] { convt3d::output_extent(layer, 3); }, {"width", "-2", "at least 1", "0 to 3"});
  layer.padding = {1, 1, 3};
  EXPECT_EQ(convt3d::output_extent(layer, 3).w, 2);
  layer.padding = {1, 4, 1};
  expect_refused([&] { convt3d::output_extent(layer, 3); }, {"height", "0", "at least 1", "0 to 3"});
}

TEST(OutputExtent, RefusesInvalidParametersItself) {
  ConvTranspose3dOptions layer = kUp2;
  layer.stride = {2, 0, 2};
  expect_refused([&] { convt3d::output_extent(layer, 3); }, {"stride", "height", "at least 1"});
}

/// Sizes that overflow if multiplied unchecked; nothing is allocated on the way.
TEST(OutputExtent, RefusesWhatPasses63Bits) {
  const auto refused = [](const std::function<void(ConvTranspose3dOptions&)>& change, Extent3 input, const char* axis) {
    ConvTranspose3dOptions layer = kUp2;
    change(layer);
    expect_refused([&] { convt3d::output_extent(layer, input); }, {axis});
  };
  refused([](auto& layer) { layer.stride = {2, kMost, 2}; }, 3, "height");
  refused([](auto& layer) { layer.dilation = {2, 2, kMost / 2}; }, 3, "width");
  refused([](auto& layer) { layer.kernel_size = {kMost, 1, 1}, layer.dilation = 2; }, 3, "depth");
  refused([](auto& layer) { layer.padding = {1, kMost, 1}; }, 3, "height");
  refused([](auto& layer) { layer.padding = {1, kMost / 2 + 1, 1}; }, 3, "height");
  refused([](auto& layer) { layer.kernel_size = kMost, layer.stride = kMost, layer.output_padding = kMost - 1; }, 1,
          "depth");
  refused([](auto&) {}, {3, 3, kMost}, "width");
}

TEST(MakeProblem, RefusesCountsAndBytesPast63Bits) {
  const auto refuses = [](const ConvTranspose3dOptions& layer, std::int64_t n, Extent3 input) {
    expect_refused([&] { convt3d::make_problem(layer, n, input); }, {});
  };
  refuses(kUp2, std::int64_t{1} << 40, 1 << 10);  // elements
  refuses(kUp2, 1, std::int64_t{1} << 19);        // bytes of the output: 3 * 2^60 * 4
  refuses(kUp2, -1, 4);
  ConvTranspose3dOptions layer = kUp2;
  layer.kernel_size = std::int64_t{1} << 21;  // the weight's elements
  refuses(layer, 1, 1);
  layer = {.in_channels = std::int64_t{1} << 31, .out_channels = std::int64_t{1} << 31, .kernel_size = 1};
  refuses(layer, 1, 1);  // bytes of the weight: 2^62 * 4
}

TEST(MakeProblem, RefusesStridesThatMakeBillionsOfPhases) {
  ConvTranspose3dOptions layer = kUp2;
  layer.stride = {2, 2'000'000'000, 2};
  expect_refused([&] { convt3d::make_problem(layer, 1, {2, 2, 2}); }, {"stride", "2000000000", "height", "65536"});
  EXPECT_NO_THROW(convt3d::make_problem(layer, 1, {2, 1, 2}));  // few outputs, few phases
}

TEST(MakeProblem, TakesNoVolumes) { EXPECT_EQ(convt3d::output_size(convt3d::make_problem(kUp2, 0, 4)), 0); }

TEST(OutputPadding, IsAsPyTorchFindsItFromTheOutputSize) {
  const std::vector<GoldenLine> lines = read_golden_lines("output_padding.txt");
  ASSERT_GT(lines.size(), 50U);
  for (const GoldenLine& line : lines) {
    const std::vector<std::int64_t> size = line.integers("output_size");
    // PyTorch knows the input's rank (here 5); this function takes any rank a layer can have.
    if (size.size() == 4) continue;
    const auto find = [&] { return convt3d::output_padding_for(layer_of(line), line.extent("input"), size); };
    SCOPED_TRACE(line.text("input") + " to " + line.text("output_size") + ", " + convt3d::extra_repr(layer_of(line)));
    if (line.expected() == "refused") {
      expect_refused(find, {"output_size", "expected"});
    } else {
      EXPECT_EQ(find(), GoldenLine("found=" + line.expected()).extent("found"));
    }
  }
}

TEST(OutputPadding, NamesTheAdmissibleSizes) {
  const std::vector<std::int64_t> size = {8, 8, 10};  // (4-1)*2 - 2 + 4 = 8
  expect_refused([&] { convt3d::output_padding_for(kUp2, 4, size); }, {"output_size", "10", "width", "8 to 9"});
  const std::vector<std::int64_t> two = {8, 8};
  expect_refused([&] { convt3d::output_padding_for(kUp2, 4, two); }, {"output_size", "2", "3"});
}

TEST(OutputShape, IsBatchedOrNot) {
  EXPECT_EQ(convt3d::output_shape(kUp2, {7, 2, 3, 4, 5}), (Shape{7, 3, 6, 8, 10}));
  EXPECT_EQ(convt3d::output_shape(kUp2, {2, 3, 4, 5}), (Shape{3, 6, 8, 10}));
  EXPECT_EQ(convt3d::output_shape(kUp2, {0, 2, 3, 4, 5}), (Shape{0, 3, 6, 8, 10}));
}

TEST(OutputShape, RefusesOtherRanksAndChannels) {
  expect_refused([] { convt3d::output_shape(kUp2, {3, 4, 5}); }, {"(3, 4, 5)", "5", "(N, C, D, H, W)", "4", "(C, D, H, W)"});
  expect_refused([] { convt3d::output_shape(kUp2, {1, 1, 2, 3, 4, 5}); }, {"6", "(N, C, D, H, W)"});
  expect_refused([] { convt3d::output_shape(kUp2, {}); }, {"(N, C, D, H, W)"});
  expect_refused([] { convt3d::output_shape(kUp2, {1, 3, 3, 4, 5}); }, {"3 channels", "in_channels", "2"});
  expect_refused([] { convt3d::output_shape(kUp2, {3, 3, 4, 5}); }, {"3 channels", "in_channels", "2"});
}

/// Axes are independent: input i on an axis is needed when one of its products falls on an output in [begin, end).
Box3 needed_by_brute_force(const NamedProblem& problem, const Box3& output) {
  Box3 needed = {problem.input, 0};
  for (int axis = 0; axis < 3; ++axis) {
    for (std::int64_t i = 0; i < problem.input[axis]; ++i) {
      for (std::int64_t t = 0; t < problem.layer.kernel_size[axis]; ++t) {
        const std::int64_t o =
            i * problem.layer.stride[axis] - problem.layer.padding[axis] + t * problem.layer.dilation[axis];
        if (o < output.begin[axis] || o >= output.end[axis]) continue;
        needed.begin[axis] = std::min(needed.begin[axis], i);
        needed.end[axis] = std::max(needed.end[axis], i + 1);
      }
    }
  }
  return needed;
}

TEST(RequiredInput, IsTheLeastBoxThatBruteForceFinds) {
  Lcg lcg(11);
  for (const NamedProblem& problem : named_problems()) {
    const Extent3 out = convt3d::output_extent(problem.layer, problem.input);
    for (int trial = 0; trial < 20; ++trial) {
      Box3 box;
      for (int axis = 0; axis < 3; ++axis) {
        box.begin[axis] = lcg.between(0, out[axis] - 1);
        box.end[axis] = lcg.between(box.begin[axis] + 1, trial == 0 ? out[axis] : std::min(out[axis], box.begin[axis] + 3));
      }
      const Box3 expected = needed_by_brute_force(problem, box);
      const Box3 found = convt3d::required_input(problem.layer, problem.input, box);
      if (expected.empty()) {
        EXPECT_TRUE(found.empty()) << problem;
      } else {
        EXPECT_EQ(found, expected) << problem << ", outputs from " << to_string(box.begin) << " to " << to_string(box.end);
      }
    }
  }
}

TEST(RequiredInput, OfAllOutputsLiesInsideTheInput) {
  for (const NamedProblem& problem : named_problems()) {
    const Box3 found = convt3d::required_input(problem.layer, problem.input,
                                               convt3d::whole(convt3d::output_extent(problem.layer, problem.input)));
    for (int axis = 0; axis < 3; ++axis) {
      EXPECT_GE(found.begin[axis], 0) << problem;
      EXPECT_LE(found.end[axis], problem.input[axis]) << problem;
    }
  }
}

TEST(Flops, AreTwiceTheMultiplyAddsThatLandInside) {
  for (const NamedProblem& problem : named_problems()) {
    const double expected = 2.0 * static_cast<double>(reference::multiply_adds(reference_layer(problem)));
    EXPECT_EQ(convt3d::flops(problem_of(problem)), expected) << problem;
  }
}

TEST(Problem, CountsItsElements) {
  const convt3d::Problem problem = convt3d::make_problem(
      ConvTranspose3dOptions{.in_channels = 6, .out_channels = 4, .kernel_size = {2, 3, 4}, .stride = 2, .groups = 2}, 5,
      {3, 4, 7});
  EXPECT_EQ(convt3d::input_size(problem), 5 * 6 * 3 * 4 * 7);
  EXPECT_EQ(convt3d::weight_size(problem), 6 * 2 * 2 * 3 * 4);
  EXPECT_EQ(convt3d::output_size(problem), 5 * 4 * 6 * 9 * 16);
}

/// The size one to stride-1 voxels short of stride * input, and how to have it whole.
TEST(Advice, NamesTheOutputPaddingAndSizeThatReachTheMultiple) {
  const ConvTranspose3dOptions short_by_one = {
      .in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = 1};
  const std::string advice = convt3d::advise_exact_multiple(short_by_one, {4, 5, 6});
  EXPECT_NE(advice.find("output_padding=(1, 1, 1)"), std::string::npos) << advice;
  EXPECT_NE(advice.find("output_size=(8, 10, 12)"), std::string::npos) << advice;
  ConvTranspose3dOptions padded = short_by_one;
  padded.output_padding = 1;
  EXPECT_EQ(convt3d::advise_exact_multiple(padded, {4, 5, 6}), "");
  EXPECT_EQ(convt3d::advise_exact_multiple(kUp2, {4, 5, 6}), "") << "is whole already";
  const ConvTranspose3dOptions longer = {.in_channels = 1, .out_channels = 1, .kernel_size = 4, .stride = 2};
  EXPECT_EQ(convt3d::advise_exact_multiple(longer, {4, 5, 6}), "") << "is longer than the multiple";
}

TEST(Advice, LeadsToTheMultiple) {
  for (const NamedProblem& problem : named_problems()) {
    const std::string advice = convt3d::advise_exact_multiple(problem.layer, problem.input);
    if (advice.empty()) continue;
    Extent3 multiple;
    for (int axis = 0; axis < 3; ++axis) multiple[axis] = problem.input[axis] * problem.layer.stride[axis];
    EXPECT_NE(advice.find("output_size=" + to_string(multiple)), std::string::npos) << problem << ": " << advice;
    const std::array<std::int64_t, 3> size = {multiple.d, multiple.h, multiple.w};
    EXPECT_NO_THROW(convt3d::output_padding_for(problem.layer, problem.input, size)) << problem << ": " << advice;
  }
}

/// The response to a single voxel, of a kernel of ones, has its centre of mass where Sampling puts that voxel.
TEST(Sampling, PutsAVoxelAtTheCentreOfItsResponse) {
  for (const NamedProblem& problem : named_problems()) {
    const convt3d::Sampling sampling = convt3d::sampling_of(problem.layer);
    for (int axis = 0; axis < 3; ++axis) {
      constexpr std::int64_t kVoxel = 50;  // far from the borders, where nothing of the response is cut off
      double centre = 0;
      for (std::int64_t t = 0; t < problem.layer.kernel_size[axis]; ++t) {
        centre += static_cast<double>(kVoxel * problem.layer.stride[axis] - problem.layer.padding[axis] +
                                      t * problem.layer.dilation[axis]);
      }
      centre /= static_cast<double>(problem.layer.kernel_size[axis]);
      const auto a = static_cast<std::size_t>(axis);
      EXPECT_NEAR(centre * sampling.step[a] + sampling.offset[a], static_cast<double>(kVoxel), 1e-12) << problem;
    }
  }
}

TEST(Sampling, OfTheTableInDocsMath) {
  const auto offset = [](const ConvTranspose3dOptions& layer) { return convt3d::sampling_of(layer).offset[2]; };
  const auto keeps_the_field_of_view = [](double stride) { return 0.5 * (1 / stride - 1); };
  EXPECT_DOUBLE_EQ(offset({.kernel_size = 2, .stride = 2}), keeps_the_field_of_view(2));
  EXPECT_DOUBLE_EQ(offset({.kernel_size = 4, .stride = 2, .padding = 1}), keeps_the_field_of_view(2));
  EXPECT_DOUBLE_EQ(offset({.kernel_size = 4, .stride = 4}), keeps_the_field_of_view(4));
  EXPECT_DOUBLE_EQ(offset({.kernel_size = 9, .stride = 3, .padding = 3}), keeps_the_field_of_view(3));
  EXPECT_DOUBLE_EQ(offset({.kernel_size = 3, .stride = 2, .padding = 1, .output_padding = 1}), 0);
  EXPECT_DOUBLE_EQ(offset({.kernel_size = 3, .stride = 2}), -0.5);
}

TEST(Sampling, ComposesFromTheLastOutputBackToTheFirstInput) {
  const convt3d::Sampling first = {{0.5, 0.25, 1}, {-0.25, 3, 0.5}};
  const convt3d::Sampling second = {{1.0 / 3, 2, 0.5}, {1, -0.5, 2}};
  const convt3d::Sampling both = convt3d::compose(first, second);
  for (std::size_t a = 0; a < 3; ++a) {
    for (const double o : {0.0, 1.0, 17.5}) {
      const double between = o * second.step[a] + second.offset[a];
      EXPECT_NEAR(o * both.step[a] + both.offset[a], between * first.step[a] + first.offset[a], 1e-12);
    }
  }
  EXPECT_EQ(convt3d::compose({}, first), first);
  EXPECT_EQ(convt3d::compose(first, {}), first);
}

}  // namespace
}  // namespace testing_support
