#pragma once

#include <array>
#include <cstdint>
#include <vector>

/// Transposed convolution as its definition reads, in float64 and plain loops. Shares no code with lib/: it has its own
/// shape formula and scatters where the library gathers.
namespace reference {

using Triple = std::array<std::int64_t, 3>;  ///< (d, h, w)

/// input (n, ci, input), weight (ci, co/groups, kernel), bias (co), output (n, co, output_extent), all dense, w fastest.
struct Layer {
  std::int64_t n = 1;
  std::int64_t ci = 1;
  std::int64_t co = 1;
  std::int64_t groups = 1;
  Triple input = {1, 1, 1};
  Triple kernel = {1, 1, 1};
  Triple stride = {1, 1, 1};
  Triple padding = {0, 0, 0};
  Triple output_padding = {0, 0, 0};
  Triple dilation = {1, 1, 1};
};

/// The extent that holds every product, less the padding on both sides, plus the output padding behind.
Triple output_extent(const Layer& layer);

/// output[co, i*stride - padding + t*dilation] += input[ci, i] * weight[ci, co, t], over a bias (empty: zeros).
std::vector<double> conv_transpose3d(const Layer& layer, const std::vector<double>& input, const std::vector<double>& weight,
                                     const std::vector<double>& bias);

/// The adjoint, a convolution: takes (n, co, output_extent) to (n, ci, input),
/// result[ci, i] = sum over co, t of array[co, i*stride - padding + t*dilation] * weight[ci, co, t].
std::vector<double> conv3d(const Layer& layer, const std::vector<double>& array, const std::vector<double>& weight);

/// Products of conv_transpose3d that land inside the output, counted one by one.
std::int64_t multiply_adds(const Layer& layer);

}  // namespace reference
