// Convolutions through the engine: the problem that a Conv3d is, on every algorithm and instruction set.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "convt3d/conv/conv3d_shape.hpp"
#include "convt3d/conv/sampling.hpp"
#include "support/refusal.hpp"
#include "support/run.hpp"

namespace testing_support {
namespace {

using convt3d::Box3;
using convt3d::Conv3dOptions;
using convt3d::Conv3dPadding;
using convt3d::Extent3;
using convt3d::Problem;

/// A convolution as its definition reads: calls visit(input index, weight index, output index) for every product inside,
/// weights being (out, in/groups, kd, kh, kw).
template <typename Visit>
void for_each_product(const Conv3dOptions& o, const Extent3& before, std::int64_t n, const Extent3& in, const Extent3& out,
                      const Visit& visit) {
  const Extent3& k = o.kernel_size;
  const std::int64_t ins = o.in_channels / o.groups;
  const std::int64_t outs = o.out_channels / o.groups;
  for (std::int64_t v = 0; v < n * o.out_channels * out.d * out.h * out.w; ++v) {
    const Extent3 at = {v / out.w / out.h % out.d, v / out.w % out.h, v % out.w};
    const std::int64_t co = v / out.w / out.h / out.d % o.out_channels;
    const std::int64_t volume = v / out.w / out.h / out.d / o.out_channels;
    for (std::int64_t ci = 0; ci < ins; ++ci) {
      for (std::int64_t t = 0; t < k.d * k.h * k.w; ++t) {
        const Extent3 tap = {t / k.w / k.h, t / k.w % k.h, t % k.w};
        Extent3 i;
        bool inside = true;
        for (int a = 0; a < 3; ++a) {
          i[a] = at[a] * o.stride[a] + tap[a] * o.dilation[a] - before[a];
          inside = inside && i[a] >= 0 && i[a] < in[a];
        }
        if (!inside) continue;
        const std::int64_t channel = volume * o.in_channels + co / outs * ins + ci;
        visit(((channel * in.d + i.d) * in.h + i.h) * in.w + i.w, (co * ins + ci) * k.d * k.h * k.w + t, v);
      }
    }
  }
}

struct Case {
  Conv3dOptions options;
  Extent3 input;
  std::int64_t n = 1;
};

std::string name_of_case(const Case& c) {
  return "Conv3d(" + extra_repr(c.options) + ") of " + std::to_string(c.n) + " x " + to_string(c.input);
}

/// Kernels 1-5 x strides 1-4 x dilations 1-3 with odd extents, mixed over the axes, channels about the vectors' widths,
/// groups, padding from none to past the kernel.
std::vector<Case> cases() {
  std::vector<Case> all;
  Lcg lcg(7);
  constexpr std::int64_t kChannels[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 33};
  for (std::int64_t k = 1; k <= 5; ++k) {
    for (std::int64_t s = 1; s <= 4; ++s) {
      for (std::int64_t d = 1; d <= 3; ++d) {
        Case c;
        const auto channels = [&] { return kChannels[lcg.between(0, 10)]; };
        c.n = lcg.between(1, 2);
        c.options.groups = lcg.between(0, 3) == 0 ? lcg.between(2, 3) : 1;
        const bool depthwise = lcg.between(0, 9) == 0;
        if (depthwise) c.options.groups = 5;
        c.options.in_channels = depthwise ? 5 : channels() * c.options.groups;
        c.options.out_channels = depthwise ? 5 : channels() * c.options.groups;
        c.options.kernel_size = {k, lcg.between(1, 5), k};
        c.options.stride = {s, s, lcg.between(0, 2) == 0 ? lcg.between(1, 4) : s};
        c.options.dilation = {d, lcg.between(1, 3), d};
        c.options.bias = lcg.between(0, 3) > 0;
        Extent3 padding;
        for (int a = 0; a < 3; ++a) {
          const std::int64_t reach = c.options.dilation[a] * (c.options.kernel_size[a] - 1);
          padding[a] = lcg.between(0, reach + (lcg.between(0, 5) == 0 ? 2 : 0));
          c.input[a] = std::max<std::int64_t>(1, reach + 1 - 2 * padding[a]) + lcg.between(0, a == 2 ? 17 : 5);
        }
        c.options.padding = padding;
        if (s == 1 && d != 2 && lcg.between(0, 2) == 0 && c.options.stride == Extent3(1)) c.options.padding = "same";
        all.push_back(c);
      }
    }
  }
  // Rows long and wide enough for blocks of several tasks; short ones; the usual strided layers; one tap along w and a
  // stride along d alone; a kernel that reaches far over the rows, whose taps along w direct takes one by one.
  const auto add = [&](std::int64_t ci, std::int64_t co, Extent3 k, Extent3 s, Extent3 p, Extent3 input) {
    all.push_back({{.in_channels = ci, .out_channels = co, .kernel_size = k, .stride = s, .padding = p}, input, 1});
  };
  add(16, 24, 3, 2, 1, {9, 10, 70});
  add(3, 17, 2, 2, 0, {6, 7, 131});
  add(64, 33, 1, 2, 0, {5, 6, 45});
  add(5, 16, 4, 2, 1, {8, 8, 8});
  add(1, 40, 4, 4, 0, {8, 12, 40});
  add(1, 1, 3, 2, 1, {9, 9, 33});
  add(6, 11, {3, 1, 1}, {2, 1, 1}, {1, 0, 0}, {7, 5, 9});
  add(5, 18, {2, 3, 1}, {3, 1, 1}, {0, 1, 0}, {8, 6, 19});
  add(9, 4, 1, {2, 1, 1}, 0, {5, 6, 7});
  add(24, 40, 5, 2, 4, {3, 4, 14});
  return all;
}

Problem problem_of(const Case& c, convt3d::DType dtype) {
  Conv3dOptions options = c.options;
  options.dtype = dtype;
  return make_problem(options, c.n, c.input);
}

/// Weights as the engine has them: in and out changed over within each group, each kernel reversed.
template <typename T>
std::vector<T> turned(const Conv3dOptions& o, const std::vector<T>& weight) {
  const std::int64_t ins = o.in_channels / o.groups, outs = o.out_channels / o.groups;
  const std::int64_t taps = o.kernel_size.d * o.kernel_size.h * o.kernel_size.w;
  std::vector<T> result(weight.size());
  for (std::int64_t ci = 0; ci < o.in_channels; ++ci) {
    for (std::int64_t co = 0; co < outs; ++co) {
      for (std::int64_t t = 0; t < taps; ++t) {
        const std::int64_t source = (ci / ins * outs + co) * ins + ci % ins;
        result[static_cast<std::size_t>((ci * outs + co) * taps + t)] =
            weight[static_cast<std::size_t>(source * taps + taps - 1 - t)];
      }
    }
  }
  return result;
}

template <typename T>
std::vector<double> expected_of(const Case& c, const Arrays<T>& arrays) {
  const Extent3 out = output_extent(c.options, c.input);
  const std::int64_t voxels = out.d * out.h * out.w;
  std::vector<double> output(static_cast<std::size_t>(c.n * c.options.out_channels * voxels), 0.0);
  for (std::size_t o = 0; o < output.size() && !arrays.bias.empty(); ++o) {
    output[o] = arrays.bias[o / static_cast<std::size_t>(voxels) % arrays.bias.size()];
  }
  for_each_product(c.options, padding_of(c.options).begin, c.n, c.input, out,
                   [&](std::int64_t i, std::int64_t t, std::int64_t o) {
                     output[static_cast<std::size_t>(o)] += static_cast<double>(arrays.input[static_cast<std::size_t>(i)]) *
                                                            static_cast<double>(arrays.weight[static_cast<std::size_t>(t)]);
                   });
  return output;
}

template <typename T>
void expect_reference() {
  std::uint64_t seed = 100;
  for (const Case& c : cases()) {
    const Problem problem = problem_of(c, convt3d::dtype_of<T>());
    Arrays<T> arrays = normal_arrays<T>(problem, ++seed);
    const std::vector<double> expected = expected_of(c, arrays);
    arrays.weight = turned(c.options, arrays.weight);
    const std::vector<Variant> all = variants(problem);
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const Variant& v) { return v.algorithm == "direct"; }));
    for (const Variant& variant : all) {
      const Deviation found = deviation(run(problem, arrays, variant), expected);
      EXPECT_LE(found.relative_l2, kAllowed<T>.relative_l2) << name_of_case(c) << ", " << to_string(variant);
      EXPECT_LE(found.relative_most, kAllowed<T>.relative_most) << name_of_case(c) << ", " << to_string(variant);
    }
  }
}

TEST(Convolution, MatchesReference) { expect_reference<float>(); }

TEST(Convolution, MatchesReferenceInFloat64) { expect_reference<double>(); }

TEST(Convolution, TakesTapsAlongWOneByOneWhereMostAreOutside) {
  const Case last = cases().back();
  const Problem problem = problem_of(last, convt3d::DType::kFloat32);
  for (const convt3d::Isa isa : convt3d::available_isas())
    EXPECT_NE(plan_of(problem, {isa, "direct"}).tiles.find("each tap along w"), std::string::npos) << name_of_case(last);
}

TEST(Convolution, GivesTheSameBitsForAnyThreadsAndTiles) {
  std::uint64_t seed = 500;
  for (const Case& c : cases()) {
    const Problem problem = problem_of(c, convt3d::DType::kFloat32);
    const Arrays<float> arrays = normal_arrays<float>(problem, ++seed);
    const Variant variant = {convt3d::available_isas().back(), "direct"};
    const std::vector<float> one = run(executor_of(plan_of(problem, variant, 1), arrays), arrays.input);
    EXPECT_EQ(one, run(executor_of(plan_of(problem, variant, 3), arrays), arrays.input)) << name_of_case(c);
    EXPECT_EQ(one, run(executor_of(plan_of(problem, variant, 2, 1 << 12), arrays), arrays.input)) << name_of_case(c);
  }
}

TEST(Convolution, CarriesNanAndInfinityToTheOutputsWithATapToThem) {
  std::uint64_t seed = 900;
  for (const Case& c : cases()) {
    const Problem problem = problem_of(c, convt3d::DType::kFloat32);
    Arrays<float> arrays = normal_arrays<float>(problem, ++seed);
    const auto bad = static_cast<std::int64_t>(seed * 7919 % arrays.input.size());
    arrays.input[static_cast<std::size_t>(bad)] =
        seed % 2 == 0 ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
    std::vector<char> reached(static_cast<std::size_t>(output_size(problem)), 0);
    for_each_product(
        c.options, padding_of(c.options).begin, c.n, c.input, problem.output,
        [&](std::int64_t i, std::int64_t, std::int64_t o) { reached[static_cast<std::size_t>(o)] |= i == bad; });
    arrays.weight = turned(c.options, arrays.weight);
    for (const Variant& variant : variants(problem)) {
      const std::vector<float> output = run(problem, arrays, variant);
      const auto wrong = static_cast<std::size_t>(
          std::mismatch(output.begin(), output.end(), reached.begin(),
                        [](float value, char is_reached) { return std::isfinite(value) == (is_reached == 0); })
              .first -
          output.begin());
      EXPECT_EQ(wrong, output.size()) << name_of_case(c) << ", " << to_string(variant) << ", bad input " << bad;
    }
  }
}

TEST(Convolution, CountsItsProducts) {
  for (const Case& c : cases()) {
    std::int64_t products = 0;
    const Problem problem = problem_of(c, convt3d::DType::kFloat32);
    for_each_product(c.options, padding_of(c.options).begin, c.n, c.input, problem.output,
                     [&](std::int64_t, std::int64_t, std::int64_t) { ++products; });
    EXPECT_EQ(flops(problem), 2.0 * static_cast<double>(products)) << name_of_case(c);
  }
}

TEST(Convolution, RequiresNoMoreInputThanItsTapsReach) {
  Lcg lcg(3);
  for (const Case& c : cases()) {
    const Extent3 before = padding_of(c.options).begin;
    const Extent3 out = output_extent(c.options, c.input);
    Box3 box;
    for (int a = 0; a < 3; ++a) {
      box.begin[a] = lcg.between(0, out[a] - 1);
      box.end[a] = lcg.between(box.begin[a] + 1, out[a]);
    }
    // Axis by axis: the least and greatest input inside that an output of the box reads.
    Box3 expected{c.input, Extent3(0)};
    for (int a = 0; a < 3; ++a) {
      for (std::int64_t o = box.begin[a]; o < box.end[a]; ++o) {
        for (std::int64_t t = 0; t < c.options.kernel_size[a]; ++t) {
          const std::int64_t i = o * c.options.stride[a] + t * c.options.dilation[a] - before[a];
          if (i < 0 || i >= c.input[a]) continue;
          expected.begin[a] = std::min(expected.begin[a], i);
          expected.end[a] = std::max(expected.end[a], i + 1);
        }
      }
    }
    const Box3 required = required_input(c.options, c.input, box);
    if (expected.empty()) continue;  // no tap inside: what is asked for does not matter
    for (int a = 0; a < 3; ++a) {
      EXPECT_LE(required.begin[a], expected.begin[a]) << name_of_case(c);
      EXPECT_GE(required.end[a], expected.end[a]) << name_of_case(c);
      // Taps that step over the border may ask for the voxels between two of them.
      EXPECT_GT(required.begin[a] + c.options.dilation[a], expected.begin[a]) << name_of_case(c);
      EXPECT_LT(required.end[a] - c.options.dilation[a], expected.end[a]) << name_of_case(c);
    }
  }
}

TEST(Convolution, IsAJobForTheFastAlgorithmsAtStrideOne) {
  const Conv3dOptions options = {.in_channels = 64, .out_channels = 64, .kernel_size = 3, .padding = 1};
  convt3d::Machine machine;
  machine.isa = convt3d::Isa::kAvx512;
  EXPECT_EQ(make_plan(make_problem(options, 1, {64, 64, 64}), machine).algorithm, "winograd");
  Conv3dOptions strided = options;
  strided.stride = 2;
  const convt3d::Plan plan = make_plan(make_problem(strided, 1, {64, 64, 64}), machine);
  EXPECT_EQ(plan.algorithm, "direct");
  for (const convt3d::Candidate& candidate : plan.candidates) {
    EXPECT_EQ(candidate.rejected, candidate.algorithm == "direct" ? "" : "a strided convolution") << candidate.algorithm;
  }
}

TEST(Convolution, KeepsItsScratchSmall) {
  for (const std::int64_t stride : {1, 2, 3, 7, 60}) {
    for (const std::int64_t kernel : {1, 2, 3, 7}) {
      Conv3dOptions options = {.in_channels = 128, .out_channels = 128, .kernel_size = kernel, .stride = stride};
      const Problem problem = make_problem(options, 1, {128, 128, 128});
      const convt3d::Plan plan = make_plan(problem, convt3d::Machine(), {.threads = 2, .force_algorithm = "direct"});
      const std::int64_t weights = 4 * (weight_size(problem) + 128);
      EXPECT_LE(ledger_bytes(plan) - weights, std::int64_t{64} << 20) << to_string(problem);
    }
  }
}

TEST(ConvolutionGeometry, CentresEachOutputOnItsKernel) {
  const convt3d::Sampling halved = sampling_of(
      Conv3dOptions{.in_channels = 1, .out_channels = 1, .kernel_size = {3, 2, 4}, .stride = 2, .padding = {1, 0, 1}});
  EXPECT_EQ(halved.step, (std::array<double, 3>{2, 2, 2}));
  EXPECT_EQ(halved.offset, (std::array<double, 3>{0, 0.5, 0.5}));
  const convt3d::Sampling same = sampling_of(Conv3dOptions{
      .in_channels = 1, .out_channels = 1, .kernel_size = {3, 2, 3}, .padding = "same", .dilation = {1, 1, 2}});
  EXPECT_EQ(same.step, (std::array<double, 3>{1, 1, 1}));
  EXPECT_EQ(same.offset, (std::array<double, 3>{0, 0.5, 0}));
}

TEST(ConvolutionGeometry, IsUndoneByItsTransposed) {
  const Extent3 k = {3, 4, 5}, s = {2, 2, 3}, p = {1, 1, 2};
  const convt3d::Sampling there =
      sampling_of(Conv3dOptions{.in_channels = 1, .out_channels = 1, .kernel_size = k, .stride = s, .padding = p});
  const convt3d::Sampling back = sampling_of(
      convt3d::ConvTranspose3dOptions{.in_channels = 1, .out_channels = 1, .kernel_size = k, .stride = s, .padding = p});
  const convt3d::Sampling both = compose(there, back);
  for (std::size_t a = 0; a < 3; ++a) {
    EXPECT_DOUBLE_EQ(both.step[a], 1);
    EXPECT_DOUBLE_EQ(both.offset[a], 0);
  }
}

// ---- refusals ----

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

Conv3dOptions small() { return {.in_channels = 4, .out_channels = 6, .kernel_size = 3, .stride = 2, .padding = 1}; }

template <typename Change>
void expect_option_refused(const Change& change, const std::vector<std::string>& words) {
  Conv3dOptions options = small();
  change(options);
  expect_refused([&] { validate(options); }, words);
}

TEST(ConvolutionOptions, AreRefusedWithTheAxisAndTheAdmissibleRange) {
  using O = Conv3dOptions;
  expect_option_refused([](O& o) { o.groups = 0; }, {"Conv3d: ", "groups is 0", "at least 1"});
  expect_option_refused([](O& o) { o.groups = 3; }, {"in_channels is 4", "groups = 3"});
  expect_option_refused([](O& o) { o.out_channels = 0; }, {"out_channels is 0"});
  expect_option_refused([](O& o) { o.kernel_size.h = 0; }, {"kernel_size", "height", "at least 1"});
  expect_option_refused([](O& o) { o.stride.w = 0; }, {"stride", "width", "at least 1"});
  expect_option_refused([](O& o) { o.padding = {0, 0, -1}; }, {"padding", "width", "at least 0"});
  expect_option_refused([](O& o) { o.dilation.d = 0; }, {"dilation", "depth", "at least 1"});
  expect_option_refused([](O& o) { o.dilation.h = kMost / 2; }, {"63 bits", "height"});
  expect_option_refused([](O& o) { o.padding = "same"; }, {"\"same\"", "stride 1", "(2, 2, 2)"});
  expect_option_refused([](O& o) { o.dtype = convt3d::DType::kInt16; }, {"int16", "float32 and float64"});
  expect_option_refused([](O& o) { o.device = "cuda"; }, {"cuda", "cpu"});
  expect_refused([] { Conv3dPadding::named("full"); }, {"\"full\"", "\"valid\"", "\"same\""});
}

TEST(ConvolutionShape, RefusesWhatDoesNotFit) {
  Conv3dOptions options = small();
  expect_refused([&] { output_extent(options, {4, 0, 4}); }, {"empty", "height"});
  expect_refused([&] { output_shape(options, convt3d::Shape{4, 4}); }, {"rank 2", "5 (N, C, D, H, W)"});
  expect_refused([&] { output_shape(options, convt3d::Shape{1, 5, 4, 4, 4}); }, {"5 channels", "in_channels = 4"});
  options.kernel_size = {3, 3, 7};
  expect_refused([&] { output_extent(options, {4, 4, 4}); }, {"width", "6 + 1", "padded input 6", "1 to 6", "at least 2"});
  options.kernel_size = {3, 3, 6};
  EXPECT_EQ(output_extent(options, {4, 4, 4}), Extent3(2, 2, 1));
  options.padding = {1, 1, kMost / 2};
  expect_refused([&] { output_extent(options, {4, 4, 4}); }, {"width", "63 bits"});
  options = small();
  expect_refused([&] { make_problem(options, 1, {kMost / 2, 4, 4}); }, {});
}

}  // namespace
}  // namespace testing_support
