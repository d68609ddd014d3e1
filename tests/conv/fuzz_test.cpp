// Random small problems against the reference. CONVT3D_FUZZ_COUNT raises their number, CONVT3D_FUZZ_SEED moves the first
// seed: a failure prints the seed that reproduces it with a count of 1.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "support/run.hpp"

namespace testing_support {
namespace {

using convt3d::Extent3;

std::int64_t environment_number(const char* variable, std::int64_t fallback) {
  const char* text = std::getenv(variable);
  return text == nullptr ? fallback : std::stoll(text);
}

Extent3 draw(Lcg& lcg, std::int64_t low, std::int64_t high) {
  const std::int64_t d = lcg.between(low, high);
  const std::int64_t h = lcg.between(low, high);
  return {d, h, lcg.between(low, high)};
}

/// A problem that is valid and takes the reference less than some 10 ms.
NamedProblem draw_problem(std::uint64_t seed) {
  Lcg lcg(seed * 2654435761u + 12345);
  NamedProblem named = {"seed_" + std::to_string(seed), {}, draw(lcg, 1, 6), lcg.between(1, 2)};
  named.input.w = lcg.between(1, lcg.between(0, 3) == 0 ? 40 : 8);
  convt3d::ConvTranspose3dOptions& layer = named.layer;
  const bool grouped = lcg.between(0, 2) == 0;
  layer.groups = grouped ? lcg.between(2, 6) : 1;
  layer.in_channels = layer.groups * lcg.between(1, grouped ? 9 : 36);
  layer.out_channels = layer.groups * lcg.between(1, grouped ? 9 : 36);
  layer.kernel_size = draw(lcg, 1, 5);
  layer.stride = draw(lcg, 1, lcg.between(0, 3) == 0 ? 8 : 4);
  layer.dilation = draw(lcg, 1, lcg.between(1, 4));
  layer.bias = lcg.between(0, 1) == 1;
  for (int axis = 0; axis < 3; ++axis) {
    layer.output_padding[axis] = lcg.between(0, std::max(layer.stride[axis], layer.dilation[axis]) - 1);
    // At most so much that one output is left.
    const std::int64_t unpadded = (named.input[axis] - 1) * layer.stride[axis] +
                                  (layer.kernel_size[axis] - 1) * layer.dilation[axis] + 1 + layer.output_padding[axis];
    layer.padding[axis] = lcg.between(0, (unpadded - 1) / 2);
  }
  while (reference::multiply_adds(reference_layer(named)) > 2'000'000) {
    named.input = {(named.input.d + 1) / 2, (named.input.h + 1) / 2, (named.input.w + 1) / 2};
    layer.padding = 0;
  }
  return named;
}

template <typename T>
void expect_reference(const NamedProblem& named, std::uint64_t seed) {
  const convt3d::Problem problem = problem_of(named, convt3d::dtype_of<T>());
  const Arrays<T> arrays = normal_arrays<T>(problem, seed);
  const std::vector<double> expected = run_reference(reference_layer(named), arrays);
  for (const Variant& variant : variants(problem)) {
    const Deviation found = deviation(run(problem, arrays, variant), expected);
    EXPECT_LE(found.relative_l2, kAllowed<T>.relative_l2) << to_string(variant) << ", " << named;
    EXPECT_LE(found.relative_most, kAllowed<T>.relative_most) << to_string(variant) << ", " << named;
  }
}

TEST(Fuzz, RandomProblemsMatchTheReference) {
  const std::int64_t first = environment_number("CONVT3D_FUZZ_SEED", 1);
  const std::int64_t count = environment_number("CONVT3D_FUZZ_COUNT", 300);
  for (std::int64_t seed = first; seed < first + count; ++seed) {
    const NamedProblem named = draw_problem(static_cast<std::uint64_t>(seed));
    SCOPED_TRACE("CONVT3D_FUZZ_COUNT=1 CONVT3D_FUZZ_SEED=" + std::to_string(seed));
    if (seed % 4 == 0) {
      expect_reference<double>(named, static_cast<std::uint64_t>(seed));
    } else {
      expect_reference<float>(named, static_cast<std::uint64_t>(seed));
    }
    if (HasFailure()) return;  // one problem is enough to look at
  }
}

}  // namespace
}  // namespace testing_support
