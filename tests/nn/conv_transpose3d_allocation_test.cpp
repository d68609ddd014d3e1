// After prepare, a run allocates nothing; before, what the plan's ledger says.

#include <gtest/gtest.h>

#include <cmath>

#include "convt3d/nn/conv3d.hpp"
#include "convt3d/nn/conv_transpose3d.hpp"
#include "support/allocations.hpp"

namespace convt3d {
namespace {

using testing_support::allocations;

TEST(Allocation, IsCounted) {
  const std::int64_t before = allocations().count;
  const Tensor tensor = Tensor::zeros({5, 5});
  EXPECT_GE(allocations().count - before, 2) << "the buffer and the shape";
}

class Prepared : public testing::TestWithParam<ConvTranspose3dOptions> {};

TEST_P(Prepared, RunsWithoutAllocating) {
  for (const int threads : {1, 2}) {
    ConvTranspose3d module(GetParam());
    const Tensor x = Tensor::zeros({2, GetParam().in_channels, 5, 6, 7}, GetParam().dtype);
    Tensor y = module.forward(x, {.threads = 2});
    module.prepare(x.shape(), {.threads = threads});
    module.forward_into(x, y);  // takes the scratch of the threads that wake up in time
    const std::int64_t before = allocations().count;
    for (int run = 0; run < 100; ++run) module.forward_into(x, y);
    // One thread has all it needs. Of two, one may come late and take its own once: a scratch buffer, its place in the pool,
    // and a few small lists.
    EXPECT_LE(allocations().count - before, threads == 1 ? 0 : 20) << threads << " threads";
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

/// A module's plan lists what the module takes, the epilogue's parameters and a correlation's turned kernels among it.
void expect_ledger(auto module, Tensor x) {
  ASSERT_NE(module.absorb({.function = Pointwise::Function::kRelu}), Fusion::kNone);
  x.values<float>()[0] = std::nanf("");  // so that what runs planes with a NaN is there too
  Tensor y = module.forward(x, {.threads = 1});
  module.weight();  // handed out, so packed anew
  const auto listed = static_cast<double>(ledger_bytes(module.plan(x.shape(), {.threads = 1})));
  module.weight().template values<float>()[0] = 0;
  const std::int64_t before = allocations().bytes;
  module.prepare(x.shape(), {.threads = 1});
  module.forward_into(x, y);
  EXPECT_NEAR(static_cast<double>(allocations().bytes - before), listed, 0.02 * listed + 40960);
}

void expect_packed_anew(auto module) {
  const Tensor x = Tensor::zeros({1, 64, 8, 9, 10});
  Tensor y = module.forward(x, {.threads = 1});
  const auto allocated = [&] {
    const std::int64_t before = allocations().bytes;
    module.forward_into(x, y, {.threads = 1});
    return allocations().bytes - before;
  };
  EXPECT_EQ(allocated(), 0);
  module.release();
  EXPECT_GE(allocated(), module.parameter_count() * 4) << "the packed weights";
  EXPECT_EQ(allocated(), 0);
}

TEST(Release, LetsTheNextRunPackAnew) {
  expect_packed_anew(ConvTranspose3d({.in_channels = 64, .out_channels = 48, .kernel_size = 4, .stride = 2}));
  expect_packed_anew(Conv3d({.in_channels = 64, .out_channels = 48, .kernel_size = 3}));
}

TEST(Ledger, IsWhatModulesAllocate) {
  const Tensor x = Tensor::zeros({1, 64, 8, 9, 10});
  expect_ledger(ConvTranspose3d({.in_channels = 64, .out_channels = 48, .kernel_size = 4, .stride = 2}), x);
  expect_ledger(Conv3d({.in_channels = 64, .out_channels = 48, .kernel_size = 3}), x);
  expect_ledger(Conv3d({.in_channels = 64, .out_channels = 48, .kernel_size = 5, .stride = 3}), x);
}

}  // namespace
}  // namespace convt3d
