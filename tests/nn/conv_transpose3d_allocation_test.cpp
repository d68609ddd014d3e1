// After prepare, a run allocates nothing: counted by this executable's own operator new and aligned_alloc, which is all that
// the library takes memory with.

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "convt3d/nn/conv_transpose3d.hpp"

namespace {

std::atomic<std::int64_t> allocations = 0;

void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  void* memory = memalign(alignment, bytes > 0 ? bytes : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new[](std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return counted(bytes, alignment); }

namespace convt3d {
namespace {

TEST(Allocation, IsCounted) {
  const std::int64_t before = allocations;
  const Tensor tensor = Tensor::zeros({5, 5});
  EXPECT_GE(allocations - before, 2) << "the buffer and the shape";
}

class Prepared : public testing::TestWithParam<ConvTranspose3dOptions> {};

TEST_P(Prepared, RunsWithoutAllocating) {
  for (const int threads : {1, 2}) {
    ConvTranspose3d module(GetParam());
    const Tensor x = Tensor::zeros({2, GetParam().in_channels, 5, 6, 7}, GetParam().dtype);
    Tensor y = module.forward(x, {.threads = 2});
    module.prepare(x.shape(), {.threads = threads});
    module.forward_into(x, y);  // takes the scratch of the threads that wake up in time
    const std::int64_t before = allocations;
    for (int run = 0; run < 100; ++run) module.forward_into(x, y);
    // One thread has all it needs. Of two, one may come late and take its own once: a scratch buffer, its place in the pool,
    // and a few small lists.
    EXPECT_LE(allocations - before, threads == 1 ? 0 : 20) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Layers, Prepared,
    testing::Values(
        ConvTranspose3dOptions{.in_channels = 20, .out_channels = 17, .kernel_size = 4, .stride = 2, .padding = 1},
        ConvTranspose3dOptions{.in_channels = 1, .out_channels = 1, .kernel_size = 4, .stride = 2, .padding = 1},
        ConvTranspose3dOptions{.in_channels = 6, .out_channels = 6, .kernel_size = 3, .groups = 6},
        ConvTranspose3dOptions{
            .in_channels = 3, .out_channels = 5, .kernel_size = 3, .stride = 2, .dtype = DType::kFloat64}));

}  // namespace
}  // namespace convt3d
