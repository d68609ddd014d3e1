#pragma once

#include <cstdint>

#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/pointwise.hpp"

namespace convt3d {

/// (x - centre)·factor + bias for each of many channels, as pointwise functions that lose no digits where the centre is
/// large against what is left. With the centre rounded to the dtype as c, the difference x - c of numbers near it is exact,
/// and the summand bias - (centre - c)·factor has what the rounding left; x·factor + (bias - centre·factor) would cancel.
/// Internal: not installed.
class CentredAffine {
 public:
  explicit CentredAffine(DType dtype) : dtype_(dtype) {}

  void add_channel(double centre, double factor, double bias);

  Epilogue functions() &&;

 private:
  DType dtype_;
  Pointwise centred_{.function = Pointwise::Function::kAffine, .p = {1}, .q = {}};
  Pointwise affine_{.function = Pointwise::Function::kAffine, .p = {}, .q = {}};
};

/// Does to every channel of every volume functions of its own, those of `functions`: one set of parameters per (n, c), or
/// one for all.
void apply_to_each(const Epilogue& functions, const TensorView& volumes, int threads);

/// A function whose parameters are those of one volume's channels, for `volumes` volumes.
Pointwise repeated(Pointwise function, std::int64_t volumes);

}  // namespace convt3d
