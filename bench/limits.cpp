#include "limits.hpp"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include "convt3d/base/buffer.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "limits.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace convt3d::bench::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

constexpr std::size_t kVectors = 8;  // enough loads or stores in flight

/// A fused multiply-add takes 4 cycles and a core starts two per cycle: 8 independent sums keep it busy, and 12 do also
/// where it takes 5 or 6; with the two factors that makes 14 of AVX2's 16 registers. Returns the operations done.
double MultiplyAdd(std::int64_t iterations, float* sink) {
  const D d;
  const V x = hn::Set(d, 0.999f);
  const V y = hn::Set(d, 0.001f);
  const auto start = [&](float value) { return hn::Set(d, value + *sink); };  // all different, or the compiler keeps one
  V a0 = start(0), a1 = start(1), a2 = start(2), a3 = start(3), a4 = start(4), a5 = start(5);
  V a6 = start(6), a7 = start(7), a8 = start(8), a9 = start(9), a10 = start(10), a11 = start(11);
  for (std::int64_t i = 0; i < iterations; ++i) {
    a0 = hn::MulAdd(a0, x, y), a1 = hn::MulAdd(a1, x, y), a2 = hn::MulAdd(a2, x, y), a3 = hn::MulAdd(a3, x, y);
    a4 = hn::MulAdd(a4, x, y), a5 = hn::MulAdd(a5, x, y), a6 = hn::MulAdd(a6, x, y), a7 = hn::MulAdd(a7, x, y);
    a8 = hn::MulAdd(a8, x, y), a9 = hn::MulAdd(a9, x, y), a10 = hn::MulAdd(a10, x, y), a11 = hn::MulAdd(a11, x, y);
  }
  const V sum = hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), hn::Add(hn::Add(a4, a5), hn::Add(a6, a7)));
  *sink = hn::GetLane(hn::Add(sum, hn::Add(hn::Add(a8, a9), hn::Add(a10, a11))));
  return 2.0 * 12 * static_cast<double>(iterations) * static_cast<double>(hn::Lanes(d));
}

void Write(float* data, std::size_t count) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  const V value = hn::Zero(d);
  for (std::size_t i = 0; i + kVectors * lanes <= count; i += kVectors * lanes) {
    for (std::size_t v = 0; v < kVectors; ++v) hn::Stream(value, d, data + i + v * lanes);
  }
}

void Read(const float* data, std::size_t count, float* sink) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  V even = hn::Zero(d);
  V odd = hn::Zero(d);
  for (std::size_t i = 0; i + kVectors * lanes <= count; i += kVectors * lanes) {
    for (std::size_t v = 0; v < kVectors; v += 2) {
      even = hn::Or(even, hn::Load(d, data + i + v * lanes));
      odd = hn::Or(odd, hn::Load(d, data + i + (v + 1) * lanes));
    }
  }
  *sink = hn::GetLane(hn::Or(even, odd));
}

}  // namespace convt3d::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace convt3d::bench {
namespace {

HWY_EXPORT(MultiplyAdd);
HWY_EXPORT(Write);
HWY_EXPORT(Read);

constexpr int kAttempts = 6;
constexpr std::int64_t kIterations = 1 << 20;  // about 6 ms at 2 GHz
constexpr std::size_t kFloats = (std::size_t{128} << 20) / sizeof(float);

/// Seconds from the moment all threads start `body(thread)` to the moment the last one is done.
double seconds_of(int threads, const std::function<void(int)>& body) {
  using Clock = std::chrono::steady_clock;
  std::barrier start(threads);
  std::vector<Clock::time_point> begins(static_cast<std::size_t>(threads));
  std::vector<Clock::time_point> ends(begins.size());
  std::vector<std::jthread> workers;
  for (int thread = 0; thread < threads; ++thread) {
    workers.emplace_back([&, thread] {
      start.arrive_and_wait();
      begins[static_cast<std::size_t>(thread)] = Clock::now();
      body(thread);
      ends[static_cast<std::size_t>(thread)] = Clock::now();
    });
  }
  workers.clear();  // joins
  return std::chrono::duration<double>(*std::ranges::max_element(ends) - *std::ranges::min_element(begins)).count();
}

}  // namespace

Limits measure_limits(int threads) {
  const auto count = static_cast<std::size_t>(threads);
  Buffer buffer(kFloats * sizeof(float));
  const std::size_t share = kFloats / count / 1024 * 1024;
  const auto part = [&](int t) { return static_cast<float*>(buffer.data()) + static_cast<std::size_t>(t) * share; };
  std::vector<double> operations(count);
  std::vector<float> sinks(count);
  const auto at = [](auto& of_threads, int t) { return &of_threads[static_cast<std::size_t>(t)]; };

  // Non-temporal stores leave nothing in the caches, so each read after a write comes from memory.
  double fma = 1e9, write = 1e9, read = 1e9;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    fma = std::min(fma, seconds_of(threads, [&](int t) {
                     *at(operations, t) = HWY_DYNAMIC_DISPATCH(MultiplyAdd)(kIterations, at(sinks, t));
                   }));
    write = std::min(write, seconds_of(threads, [&](int t) { HWY_DYNAMIC_DISPATCH(Write)(part(t), share); }));
    read = std::min(read, seconds_of(threads, [&](int t) { HWY_DYNAMIC_DISPATCH(Read)(part(t), share, at(sinks, t)); }));
  }
  const double bytes = static_cast<double>(share * sizeof(float)) * threads;
  return {.threads = threads,
          .fma_flops = std::accumulate(operations.begin(), operations.end(), 0.0) / fma,
          .read_bytes = bytes / read,
          .write_bytes = bytes / write};
}

}  // namespace convt3d::bench

#endif
