#pragma once

#include "convt3d/nn/sequential.hpp"

namespace convt3d {

/// The same stack with pointwise layers (activations, batch_norm3d) done by the layer before them, where that can and nobody
/// else wants what it gives: memory is touched once for the chain. A layer fused away stays in its place, with its type,
/// repr, shapes and parameters; it hands its input on, and its plan says where it went ("fused").
Sequential fuse(Sequential stack);

}  // namespace convt3d
