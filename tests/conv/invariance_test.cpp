// What a transposed convolution keeps, whatever computes it: linearity, shifts, groups; and what an engine must keep on top,
// bit for bit: batch, threads, slabs.

#include <gtest/gtest.h>

#include "convt3d/conv/shape.hpp"
#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::Box3;
using convt3d::Extent3;
using convt3d::Problem;

/// The box of every volume of an array (volumes, extent).
std::vector<float> part(const std::vector<float>& array, const Extent3& extent, const Box3& box) {
  const std::int64_t voxels = extent.d * extent.h * extent.w;
  std::vector<float> result;
  for (std::int64_t base = 0; base < static_cast<std::int64_t>(array.size()); base += voxels) {
    for (std::int64_t d = box.begin.d; d < box.end.d; ++d) {
      for (std::int64_t h = box.begin.h; h < box.end.h; ++h) {
        const auto row = array.begin() + base + (d * extent.h + h) * extent.w;
        result.insert(result.end(), row + box.begin.w, row + box.end.w);
      }
    }
  }
  return result;
}

/// Puts `values` into the box of every volume of a zero array.
std::vector<float> placed(const std::vector<float>& values, const Extent3& extent, const Box3& box) {
  const Extent3 inner = box.extent();
  const std::int64_t volumes = static_cast<std::int64_t>(values.size()) / (inner.d * inner.h * inner.w);
  std::vector<float> result(static_cast<std::size_t>(volumes * extent.d * extent.h * extent.w), 0.0F);
  auto row = values.begin();
  for (std::int64_t volume = 0; volume < volumes; ++volume) {
    for (std::int64_t d = box.begin.d; d < box.end.d; ++d) {
      for (std::int64_t h = box.begin.h; h < box.end.h; ++h, row += inner.w) {
        std::copy(row, row + inner.w, result.begin() + ((volume * extent.d + d) * extent.h + h) * extent.w + box.begin.w);
      }
    }
  }
  return result;
}

class Invariance : public ProblemSweep {
 protected:
  const NamedProblem& named() const { return GetParam(); }
  std::uint64_t seed() const { return seed_of(named()); }
  std::string who(const Variant& variant) const { return to_string(variant) + ", seed " + std::to_string(seed()); }
};

TEST_P(Invariance, DoublingTheDataDoublesTheOutputExactly) {
  Problem problem = problem_of(named());
  const Arrays<float> arrays = normal_arrays<float>(problem, seed());
  Arrays<float> doubled = arrays;
  for (float& value : doubled.input) value *= 2;
  for (float& value : doubled.bias) value *= 2;
  for (const Variant& variant : variants(problem)) {
    std::vector<float> expected = run(problem, arrays, variant);
    for (float& value : expected) value *= 2;
    EXPECT_TRUE(same_bits(run(problem, doubled, variant), expected)) << who(variant);
  }
}

TEST_P(Invariance, OutputOfASumIsTheSumOfTheOutputs) {
  Problem problem = problem_of(named());
  problem.bias = false;
  const Arrays<float> first = normal_arrays<float>(problem, seed());
  Arrays<float> second = first;
  second.input = standard_normal<float>(convt3d::input_size(problem), seed() + 7);
  Arrays<float> sum = first;
  for (std::size_t i = 0; i < sum.input.size(); ++i) sum.input[i] += second.input[i];
  for (const Variant& variant : variants(problem)) {
    std::vector<double> expected = widened(run(problem, first, variant));
    const std::vector<float> other = run(problem, second, variant);
    for (std::size_t o = 0; o < expected.size(); ++o) expected[o] += static_cast<double>(other[o]);
    // Three outputs, each within the bound, none much greater than the sum of two independent ones.
    EXPECT_LE(deviation(run(problem, sum, variant), expected).relative_l2, 3 * kAllowed<float>.relative_l2) << who(variant);
  }
}

TEST_P(Invariance, ShiftingTheInputByOneVoxelShiftsTheOutputByTheStride) {
  const Problem problem = problem_of(named());
  const Extent3& in = problem.input;
  const Extent3& out = problem.output;
  for (int axis = 0; axis < 3; ++axis) {
    if (in[axis] < 2 || out[axis] <= problem.stride[axis]) continue;
    // The same values, once from the axis' first voxel on, once from its second; no value leaves the input.
    Extent3 inner = in;
    inner[axis] -= 1;
    Extent3 step = 0;
    step[axis] = 1;
    Arrays<float> arrays = normal_arrays<float>(problem, seed());
    const std::vector<float> values = part(arrays.input, in, {0, inner});
    Arrays<float> shifted = arrays;
    arrays.input = placed(values, in, {0, inner});
    shifted.input = placed(values, in, {step, in});
    Extent3 stride = 0;
    stride[axis] = problem.stride[axis];
    const Extent3 less = {out.d - stride.d, out.h - stride.h, out.w - stride.w};
    for (const Variant& variant : variants(problem)) {
      const std::vector<float> before = part(run(problem, arrays, variant), out, {0, less});
      const std::vector<float> after = part(run(problem, shifted, variant), out, {stride, out});
      EXPECT_LE(deviation(after, widened(before)).relative_l2, 2 * kAllowed<float>.relative_l2)
          << convt3d::kAxisNames[axis] << ", " << who(variant);
    }
  }
}

TEST_P(Invariance, VolumesOfABatchAreComputedAsEachAloneBitForBit) {
  Problem batch = problem_of(named());
  batch.n = 3;
  Problem single = batch;
  single.n = 1;
  const Arrays<float> arrays = normal_arrays<float>(batch, seed());
  for (const Variant& variant : variants(batch)) {
    const convt3d::Executor alone = executor_of(plan_of(single, variant), arrays);
    std::vector<float> expected;
    for (std::int64_t n = 0; n < batch.n; ++n) {
      const auto begin = arrays.input.begin() + n * convt3d::input_size(single);
      const std::vector<float> output = run(alone, std::vector<float>(begin, begin + convt3d::input_size(single)));
      expected.insert(expected.end(), output.begin(), output.end());
    }
    EXPECT_TRUE(same_bits(run(batch, arrays, variant), expected)) << who(variant);
  }
}

template <typename T>
void expect_same_for_any_thread_count(const NamedProblem& named) {
  const Problem problem = problem_of(named, convt3d::dtype_of<T>());
  const Arrays<T> arrays = normal_arrays<T>(problem, seed_of(named));
  for (const Variant& variant : variants(problem)) {
    const std::vector<T> expected = run(problem, arrays, variant, 1);
    for (const int threads : {2, 3, 5}) {
      EXPECT_TRUE(same_bits(run(problem, arrays, variant, threads), expected))
          << to_string(variant) << ", " << threads << " threads";
    }
  }
}

TEST_P(Invariance, AnyThreadCountGivesTheSameBits) {
  expect_same_for_any_thread_count<float>(named());
  expect_same_for_any_thread_count<double>(named());
}

/// Small caches make small tiles, and outputs that are stored past them.
template <typename T>
void expect_same_for_any_cache(const NamedProblem& named) {
  const Problem problem = problem_of(named, convt3d::dtype_of<T>());
  const Arrays<T> arrays = normal_arrays<T>(problem, seed_of(named));
  for (const Variant& variant : variants(problem)) {
    const std::vector<T> expected = run(problem, arrays, variant);
    for (const std::int64_t l2_bytes : {256, 4 << 10, 64 << 10}) {
      const convt3d::Executor executor = executor_of(plan_of(problem, variant, 2, l2_bytes), arrays);
      EXPECT_TRUE(same_bits(run(executor, arrays.input), expected))
          << to_string(variant) << ", " << l2_bytes << " bytes of L2";
    }
  }
}

TEST_P(Invariance, AnyTilingGivesTheSameBits) {
  expect_same_for_any_cache<float>(named());
  expect_same_for_any_cache<double>(named());
}

/// Outputs [begin, end) along the depth read inputs [first, last): a problem of its own, whose padding makes its input's
/// first voxel fall where it fell. direct sums in an order that does not depend on where an output stands.
TEST_P(Invariance, ASlabIsThatPartOfTheWholeBitForBit) {
  const Problem problem = problem_of(named());
  const Arrays<float> arrays = normal_arrays<float>(problem, seed());
  for (const convt3d::Isa isa : convt3d::available_isas()) {
    const Variant variant = {isa, "direct"};
    const std::vector<float> output = run(problem, arrays, variant);
    for (std::int64_t begin = 0; begin < problem.output.d; begin += 3) {
      Box3 box = convt3d::whole(problem.output);
      box.begin.d = begin;
      box.end.d = std::min(begin + 3, problem.output.d);
      const Box3 needed = convt3d::required_input(named().layer, problem.input, box);
      Problem slab = problem;
      slab.output = box.extent();
      slab.input.d = needed.extent().d;
      slab.padding.d = problem.padding.d + begin - needed.begin.d * problem.stride.d;
      if (needed.empty() || slab.padding.d < 0) continue;
      Arrays<float> cut = arrays;
      cut.input =
          part(arrays.input, problem.input, {{needed.begin.d, 0, 0}, {needed.end.d, problem.input.h, problem.input.w}});
      EXPECT_TRUE(same_bits(run(slab, cut, variant), part(output, problem.output, box)))
          << "outputs from " << begin << " on, " << who(variant);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Problems, Invariance, testing::ValuesIn(named_problems()), name_of_problem);

class Groups : public ProblemSweep {
 public:
  static std::vector<NamedProblem> problems() {
    std::vector<NamedProblem> grouped;
    for (const NamedProblem& problem : named_problems()) {
      if (problem.layer.groups > 1) grouped.push_back(problem);
    }
    return grouped;
  }
};

/// Groups are a dense layer whose weight is zero between different groups.
TEST_P(Groups, AreABlockDiagonalWeight) {
  const Problem grouped = problem_of(GetParam());
  Problem dense = grouped;
  dense.groups = 1;
  const Arrays<float> arrays = normal_arrays<float>(grouped, seed_of(GetParam()));
  const std::int64_t taps = grouped.kernel.d * grouped.kernel.h * grouped.kernel.w;
  const std::int64_t ci_per_group = grouped.ci / grouped.groups;
  const std::int64_t co_per_group = grouped.co / grouped.groups;
  Arrays<float> block = arrays;
  block.weight.assign(static_cast<std::size_t>(convt3d::weight_size(dense)), 0.0F);
  for (std::int64_t ci = 0; ci < grouped.ci; ++ci) {
    const auto from = arrays.weight.begin() + ci * co_per_group * taps;
    std::copy(from, from + co_per_group * taps,
              block.weight.begin() + (ci * grouped.co + ci / ci_per_group * co_per_group) * taps);
  }
  for (const Variant& variant : variants(grouped)) {
    const std::vector<double> expected = widened(run(dense, block, {variant.isa, "direct"}));
    EXPECT_LE(deviation(run(grouped, arrays, variant), expected).relative_l2, 2 * kAllowed<float>.relative_l2)
        << to_string(variant);
  }
}

INSTANTIATE_TEST_SUITE_P(Problems, Groups, testing::ValuesIn(Groups::problems()), name_of_problem);

/// With one tap per output both sum over the channels alone, in one order: between them a plan may choose by time.
TEST(OneTapPerOutput, GivesTheSameBitsDirectlyAndByRows) {
  const convt3d::ConvTranspose3dOptions even{.in_channels = 512, .out_channels = 20, .kernel_size = 2, .stride = 2};
  const convt3d::ConvTranspose3dOptions uneven{.in_channels = 34,
                                               .out_channels = 18,
                                               .kernel_size = {2, 3, 2},
                                               .stride = {3, 3, 4},
                                               .padding = {1, 1, 0},
                                               .output_padding = {1, 0, 3},
                                               .groups = 2};
  for (const auto& options : {even, uneven}) {
    const Problem problem = convt3d::make_problem(options, 1, {3, 5, 29});
    const Arrays<float> arrays = normal_arrays<float>(problem, 1);
    for (const convt3d::Isa isa : convt3d::available_isas()) {
      EXPECT_TRUE(same_bits(run(problem, arrays, {isa, "direct"}), run(problem, arrays, {isa, "few_channel"})))
          << convt3d::name_of(isa) << ", " << to_string(problem);
    }
  }
}

/// Rows of few_channel with residues of h stored together, or where rows are long each on its own; through the caches and
/// past them.
TEST(OneTapPerOutput, GivesTheSameBitsByRowsStoredTogether) {
  const convt3d::ConvTranspose3dOptions strided{.in_channels = 5, .out_channels = 10, .kernel_size = 2, .stride = 2};
  const convt3d::ConvTranspose3dOptions gaps{.in_channels = 5, .out_channels = 10, .kernel_size = 1, .stride = 2};
  const std::vector<Problem> problems = {
      convt3d::make_problem(strided, 1, {2, 7, 21}),
      convt3d::make_problem(gaps, 1, {3, 9, 21}),
      convt3d::make_problem(strided, 1, {2, 3, 701}),
  };
  for (const Problem& problem : problems) {
    const Arrays<float> arrays = normal_arrays<float>(problem, 1);
    for (const convt3d::Isa isa : convt3d::available_isas()) {
      const std::vector<float> expected = run(problem, arrays, {isa, "direct"});
      for (const std::int64_t l2_bytes : {1 << 10, 1 << 20}) {
        const convt3d::Executor executor = executor_of(plan_of(problem, {isa, "few_channel"}, 2, l2_bytes), arrays);
        EXPECT_TRUE(same_bits(run(executor, arrays.input), expected))
            << convt3d::name_of(isa) << ", " << to_string(problem) << ", " << l2_bytes << " bytes of L2";
      }
    }
  }
}

/// gemm's pieces: blocks of channels where L2 is small, a last strip that is part empty, input channels in chunks, its end
/// gathered where vectors would go on behind the input; each as in direct.
TEST(OneTapPerOutput, GivesTheSameBitsByPiecesOfVolumes) {
  const auto plain = [](std::int64_t in, std::int64_t out, std::int64_t groups) {
    return convt3d::ConvTranspose3dOptions{.in_channels = in, .out_channels = out, .kernel_size = 1, .groups = groups};
  };
  const convt3d::ConvTranspose3dOptions gaps{.in_channels = 70, .out_channels = 20, .kernel_size = 1, .stride = {1, 2, 3}};
  const std::vector<Problem> problems = {
      convt3d::make_problem(plain(40, 20, 1), 2, {3, 23, 29}), convt3d::make_problem(plain(600, 50, 1), 1, {2, 9, 11}),
      convt3d::make_problem(plain(1100, 3, 1), 1, {1, 5, 7}),  convt3d::make_problem(plain(12, 66, 3), 2, {2, 16, 32}),
      convt3d::make_problem(plain(3, 1, 1), 1, {1, 1, 1}),     convt3d::make_problem(gaps, 2, {3, 9, 40}),
  };
  for (const Problem& problem : problems) {
    const Arrays<float> arrays = normal_arrays<float>(problem, 1);
    for (const convt3d::Isa isa : convt3d::available_isas()) {
      const std::vector<float> expected = run(problem, arrays, {isa, "direct"});
      for (const std::int64_t l2_bytes : {1 << 10, 1 << 16, 1 << 20}) {
        const convt3d::Executor executor = executor_of(plan_of(problem, {isa, "gemm"}, 2, l2_bytes), arrays);
        EXPECT_TRUE(same_bits(run(executor, arrays.input), expected))
            << convt3d::name_of(isa) << ", " << to_string(problem) << ", " << l2_bytes << " bytes of L2";
      }
    }
  }
}

}  // namespace
}  // namespace testing_support
