#include "convt3d/conv/moments.hpp"

#include <string>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/parallel.hpp"

namespace convt3d {
namespace {

// 2^16 elements are 256 or 512 KiB: starting a task is nothing against reading them.
constexpr std::int64_t kGrain = std::int64_t{1} << 16;

/// With the plane's first value x0 as shift, Σ(x - x0)² - (Σ(x - x0))²/n cancels little: x0 is one of the values, so
/// n·(x0 - mean)² is at most n times the result, and the rounding of double at most n·2^-53 of it.
template <typename T>
Moments moments_of(const T* values, std::int64_t count, kernels::RowSumsFn<T> row_sums) {
  const auto shift = static_cast<double>(*values);
  const auto n = static_cast<double>(count);
  const kernels::RowSums sums = row_sums(values, count, shift);
  const double squares = sums.squares - sums.sum * sums.sum / n;
  return {.mean = shift + sums.sum / n, .squares = squares < 0 ? 0 : squares};  // NaN stays
}

template <typename T>
void moments_of_planes(const ConstTensorView& volumes, std::span<Moments> planes, int threads, Isa isa) {
  const std::int64_t plane = volumes.extent.h * volumes.extent.w;
  const auto* const values = static_cast<const T*>(volumes.data);
  const kernels::RowSumsFn<T> row_sums = kernels::row_sums<T>(isa);
  parallel_for(threads, volumes.n * volumes.c * volumes.extent.d, ceil_div(kGrain, plane),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   planes[static_cast<std::size_t>(i)] = moments_of(values + i * plane, plane, row_sums);
                 }
               });
}

}  // namespace

void plane_moments(const ConstTensorView& volumes, std::span<Moments> planes, int threads, std::optional<Isa> isa) {
  static const Machine machine = Machine::detect();
  const Isa with = isa ? *isa : machine.isa;
  if (volumes.dtype == DType::kFloat64) return moments_of_planes<double>(volumes, planes, threads, with);
  if (volumes.dtype == DType::kFloat32) return moments_of_planes<float>(volumes, planes, threads, with);
  throw Error(ErrorKind::kShape, "moments are of float32 and float64; the input is " + std::string(name_of(volumes.dtype)));
}

/// As Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979, of parts of
/// one size: the mean is the means' mean, and each part's squares grow by count·(its mean - the mean)².
Moments merged(std::span<const Moments> planes, double count) {
  Moments all;
  for (const Moments& plane : planes) all.mean += plane.mean / static_cast<double>(planes.size());
  for (const Moments& plane : planes) {
    const double apart = plane.mean - all.mean;
    all.squares += plane.squares + count * apart * apart;
  }
  return all;
}

}  // namespace convt3d
