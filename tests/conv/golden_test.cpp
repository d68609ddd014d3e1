// The convolution against values that others computed: PyTorch's (goldens/make_goldens.py) and ONNX's node tests
// (goldens/convert_onnx.py).

#include <gtest/gtest.h>

#include "convt3d/conv/shape.hpp"
#include "support/goldens.hpp"
#include "support/run.hpp"

namespace testing_support {
namespace {

using convt3d::Extent3;
using convt3d::Problem;

/// The layer, batch and input of a line, whose x is (N, C, D, H, W) or (C, D, H, W).
NamedProblem named_problem_of(const GoldenLine& line) {
  const std::vector<std::int64_t> x = line.integers("x");
  const std::size_t d = x.size() - 3;
  NamedProblem named = {line.text("name"), layer_of(line), {x[d], x[d + 1], x[d + 2]}, x.size() == 5 ? x[0] : 1};
  if (line.has("output_size") && !line.text("output_size").empty()) {
    named.layer.output_padding = convt3d::output_padding_for(named.layer, named.input, line.integers("output_size"));
  }
  return named;
}

std::string name_of_line(const testing::TestParamInfo<GoldenLine>& info) { return info.param.text("name"); }

class PyTorchGolden : public testing::TestWithParam<GoldenLine> {
 protected:
  template <typename T>
  void check() {
    const GoldenLine& line = GetParam();
    const NamedProblem named = named_problem_of(line);
    const Problem problem = problem_of(named, convt3d::dtype_of<T>());
    const Arrays<T> arrays = golden_arrays<T>(line);
    expect_close<T>(run_reference(reference_layer(named), arrays), "reference");
    for (const Variant& variant : variants(problem)) {
      expect_close<T>(widened(run(problem, arrays, variant)), to_string(variant));
    }
  }

 private:
  template <typename T>
  void expect_close(const std::vector<double>& output, const std::string& who) {
    const GoldenLine& line = GetParam();
    const std::vector<double> expected = widened(read_golden_values<T>("conv_transpose3d.bin", line.integers("values")));
    std::vector<double> kept;
    for (std::size_t i = 0; i < output.size(); i += static_cast<std::size_t>(line.integer("step")))
      kept.push_back(output[i]);
    const Deviation found = deviation(kept, expected);
    EXPECT_LE(found.relative_l2, kAllowed<T>.relative_l2) << who;
    EXPECT_LE(found.relative_most, kAllowed<T>.relative_most) << who;
  }
};

TEST_P(PyTorchGolden, IsReproduced) {
  if (GetParam().text("dtype") == "float32") {
    check<float>();
  } else {
    check<double>();
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, PyTorchGolden, testing::ValuesIn(read_golden_lines("conv_transpose3d.txt")), name_of_line);

class OnnxNode : public testing::TestWithParam<GoldenLine> {};

TEST_P(OnnxNode, IsReproducedWhereTheLayerIsCropped) {
  const GoldenLine& line = GetParam();
  const NamedProblem named = named_problem_of(line);
  const auto values = [&](const std::string& key) { return read_golden_values<float>("onnx.bin", line.integers(key)); };
  Problem problem = problem_of(named);
  problem.bias = line.integers("bias_values")[1] > 0;
  const Arrays<float> arrays = {values("x_values"), values("w_values"), values("bias_values")};
  const std::vector<float> expected = values("y_values");
  const std::vector<std::int64_t> y = line.integers("y");
  const Extent3 crop = line.extent("crop");
  for (const Variant& variant : variants(problem)) {
    const std::vector<float> output = run(problem, arrays, variant);
    std::vector<float> cropped;
    for (std::int64_t nc = 0; nc < y[0] * y[1]; ++nc) {
      for (std::int64_t d = 0; d < y[2]; ++d) {
        for (std::int64_t h = 0; h < y[3]; ++h) {
          const std::int64_t row = (nc * problem.output.d + d + crop.d) * problem.output.h + h + crop.h;
          const auto begin = output.begin() + row * problem.output.w + crop.w;
          cropped.insert(cropped.end(), begin, begin + y[4]);
        }
      }
    }
    // Small integers: exact in any order, but for Winograd's fractions.
    const Deviation found = deviation(cropped, std::vector<double>(expected.begin(), expected.end()));
    EXPECT_LE(found.relative_most, variant.algorithm == "winograd_rows" ? 1e-6 : 0) << to_string(variant);
  }
}

INSTANTIATE_TEST_SUITE_P(NodeTests, OnnxNode, testing::ValuesIn(read_golden_lines("onnx.txt")), name_of_line);

}  // namespace
}  // namespace testing_support
