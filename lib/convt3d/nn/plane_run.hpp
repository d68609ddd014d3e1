#pragma once

#include <functional>

#include "convt3d/base/planes.hpp"
#include "convt3d/base/tensor.hpp"

namespace convt3d {

/// One layer's work on some planes of volumes (N, C, D, H, W), all channels of them.
struct PlaneRun {
  Shape whole;            ///< of the whole input
  ConstTensorView input;  ///< planes `held` of it
  Planes held;
  TensorView output;  ///< planes `wanted` of the output; the input's own memory where the layer works in place
  Planes wanted;
};

/// Planes `wanted` of `held`, which contain them, as a tensor: the same memory, for reading, where there are no others, else
/// a copy.
Tensor cut(const ConstTensorView& planes, const Planes& held, const Planes& wanted, int threads);

/// Where planes do not depend on one another: has `forward` turn planes `wanted` of the input into those of the output. It
/// may work in place where both have as many channels, rows and columns; otherwise it reads.
void run_alone(const PlaneRun& run, int threads, const std::function<Tensor(Tensor)>& forward);

}  // namespace convt3d
