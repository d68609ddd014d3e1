#include "convt3d/conv/cells.hpp"

namespace convt3d {
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

TappedResidues tapped_residues(const CellAxis& axis) {
  TappedResidues tapped;
  for (std::int64_t r = 0; r < axis.stride; ++r) {
    bool has_tap = false;
    for (std::int64_t e = axis.lowest; e <= axis.highest; ++e) has_tap = has_tap || axis.kernel_index(r, e) >= 0;
    tapped.places.push_back(has_tap ? tapped.count() : -1);
    if (has_tap) tapped.residues.push_back(r);
  }
  return tapped;
}

PlaneReach reach_of(const CellAxis& d, std::int64_t run) {
  return {.first = d.output_of(d.begin, 0),
          .run = run * d.stride,
          .advance = run,
          .lowest = d.begin + d.lowest,
          .highest = d.begin + run - 1 + d.highest,
          .input = d.input};
}

}  // namespace convt3d
