#include "convt3d/nn/plane_run.hpp"

#include <cstring>

#include "convt3d/conv/parallel.hpp"

namespace convt3d {
namespace {

/// Planes `wanted` of `held`, of all volumes and channels.
void copy_planes(const ConstTensorView& from, const Planes& held, const TensorView& to, const Planes& wanted, int threads) {
  const auto element = static_cast<std::int64_t>(size_of(from.dtype));
  const std::int64_t plane = from.extent.h * from.extent.w * element;
  const auto* const source = static_cast<const std::byte*>(from.data);
  auto* const target = static_cast<std::byte*>(to.data);
  parallel_for(threads, from.n * from.c * wanted.count(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t volume = i / wanted.count();
      const std::int64_t at = volume * held.count() + wanted.begin - held.begin + i % wanted.count();
      std::memcpy(target + i * plane, source + at * plane, static_cast<std::size_t>(plane));
    }
  });
}

}  // namespace

Tensor cut(const ConstTensorView& planes, const Planes& held, const Planes& wanted, int threads) {
  if (held == wanted) return Tensor::borrowing(planes);
  Tensor copy = Tensor::empty({planes.n, planes.c, wanted.count(), planes.extent.h, planes.extent.w}, planes.dtype);
  copy_planes(planes, held, copy.view(), wanted, threads);
  return copy;
}

void run_alone(const PlaneRun& run, int threads, const std::function<Tensor(Tensor)>& forward) {
  const ConstTensorView& in = run.input;
  const TensorView& out = run.output;
  const bool alike = in.c == out.c && in.extent.h == out.extent.h && in.extent.w == out.extent.w;
  if (alike && in.data != out.data) copy_planes(in, run.held, out, run.wanted, threads);
  const Tensor result = forward(alike ? Tensor::borrowing(out) : cut(in, run.held, run.wanted, threads));
  if (result.raw() != out.data) std::memcpy(out.data, result.raw(), static_cast<std::size_t>(result.size_bytes()));
}

}  // namespace convt3d
