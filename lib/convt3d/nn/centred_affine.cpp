#include "convt3d/nn/centred_affine.hpp"

#include <utility>
#include <vector>

namespace convt3d {

void CentredAffine::add_channel(double centre, double factor, double bias) {
  const double rounded = dtype_ == DType::kFloat32 ? static_cast<double>(static_cast<float>(centre)) : centre;
  centred_.q.push_back(-rounded);
  affine_.p.push_back(factor);
  affine_.q.push_back(bias - (centre - rounded) * factor);
}

Epilogue CentredAffine::functions() && { return {std::move(centred_), std::move(affine_)}; }

void apply_to_each(const Epilogue& functions, const TensorView& volumes, int threads) {
  // As if all channels were of one volume.
  apply_all(functions, {volumes.data, volumes.dtype, 1, volumes.n * volumes.c, volumes.extent}, threads);
}

Pointwise repeated(Pointwise function, std::int64_t volumes) {
  for (std::vector<double>* values : {&function.p, &function.q}) {
    if (values->size() == 1) continue;
    const std::vector<double> once = *values;
    for (std::int64_t n = 1; n < volumes; ++n) values->insert(values->end(), once.begin(), once.end());
  }
  return function;
}

}  // namespace convt3d
