#include "convt3d/conv/cells.hpp"

namespace convt3d {
namespace {

constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -ceil_div(-a, b); }

}  // namespace

CellAxis make_cell_axis(const Problem& p, int axis) {
  CellAxis a{.stride = p.stride[axis],
             .padding = p.padding[axis],
             .dilation = p.dilation[axis],
             .kernel = p.kernel[axis],
             .input = p.input[axis],
             .output = p.output[axis]};
  a.begin = floor_div(a.padding, a.stride);
  a.end = floor_div(a.output - 1 + a.padding, a.stride) + 1;
  // Kernel index t belongs to residue (t*dilation) mod stride, so its e is -floor(t*dilation / stride): 0 for t = 0, and
  // falling.
  a.highest = 0;
  a.lowest = -floor_div((a.kernel - 1) * a.dilation, a.stride);
  return a;
}

}  // namespace convt3d
