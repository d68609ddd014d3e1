#pragma once

#include <cstdint>
#include <memory>

#include "convt3d/base/tensor.hpp"

namespace convt3d {

class Layer;

/// What a layer must know of all of its input (N, C, D, H, W) before it can do any part of it, for one run. Every plane
/// along d of every volume is added once in each pass, in whatever parts and order, by one caller at a time: the result is
/// the same, bit for bit. Memory grows with N·C·D at the most.
class Statistics {
 public:
  virtual ~Statistics() = default;

  /// Planes (n, C, d, H, W): those from first_d on of the volumes from first_n on.
  virtual void add(const ConstTensorView& planes, std::int64_t first_n, std::int64_t first_d, int threads) = 0;
  /// All has been added. Whether all must be added once more.
  virtual bool finish_pass() = 0;
};

/// The layer's statistics of a volume that is there as a whole; null where it needs none.
std::unique_ptr<const Statistics> gathered(const Layer& layer, const Tensor& input, int threads);

}  // namespace convt3d
