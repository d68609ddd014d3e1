#pragma once

/// The library: transposed convolutions of volumes, as in torch.nn, on the CPU.
#include "convt3d/base/dtype.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/base/extent.hpp"
#include "convt3d/base/machine.hpp"
#include "convt3d/base/observer.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/options.hpp"
#include "convt3d/conv/plan.hpp"
#include "convt3d/conv/sampling.hpp"
#include "convt3d/conv/shape.hpp"
#include "convt3d/nn/conv_transpose3d.hpp"
#include "convt3d/nn/functional.hpp"
#include "convt3d/nn/layer.hpp"
#include "convt3d/nn/sequential.hpp"
