// How a packed plan is run: into whose memory, from which threads, on which instruction set, and what it refuses.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <future>
#include <limits>
#include <new>
#include <thread>

#include "convt3d/conv/algorithm.hpp"
#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::DType;
using convt3d::Error;
using convt3d::ErrorKind;
using convt3d::Executor;
using convt3d::Problem;

/// What the kernels' compiler calls an instruction set.
const char* kernels_name_of(convt3d::Isa isa) {
  switch (isa) {
    case convt3d::Isa::kSse4: return "SSE4";
    case convt3d::Isa::kAvx2: return "AVX2";
    case convt3d::Isa::kAvx512: return "AVX3";
    case convt3d::Isa::kNeon: return "NEON";
    case convt3d::Isa::kBaseline: break;
  }
#if defined(__x86_64__)
  return "SCALAR";
#else
  return "NEON";
#endif
}

class Execute : public ProblemSweep {};

TEST_P(Execute, RunsTheForcedInstructionSet) {
  const Problem problem = problem_of(GetParam());
  const Arrays<float> arrays = normal_arrays<float>(problem, 1);
  for (const Variant& variant : variants(problem)) {
    const Executor executor = executor_of(plan_of(problem, variant), arrays);
    run(executor, arrays.input);
    EXPECT_EQ(executor.isa(), kernels_name_of(variant.isa)) << to_string(variant);
  }
}

/// The output stands between guards at an address of no alignment but its elements'; so does the input.
TEST_P(Execute, WritesAllOfTheOutputAndNothingElse) {
  constexpr std::size_t kGuard = 67;  // odd, so that what follows is aligned to 4 bytes alone
  const float guard = -12345.5F;
  const Problem problem = problem_of(GetParam());
  const Arrays<float> arrays = normal_arrays<float>(problem, 2);
  const auto size = static_cast<std::size_t>(convt3d::output_size(problem));
  for (const Variant& variant : variants(problem)) {
    std::vector<float> input(arrays.input.size() + 1);
    std::copy(arrays.input.begin(), arrays.input.end(), input.begin() + 1);
    const std::vector<float> input_before = input;
    std::vector<float> memory(size + 2 * kGuard, guard);
    std::fill_n(memory.begin() + kGuard, size, std::numeric_limits<float>::quiet_NaN());
    executor_of(plan_of(problem, variant), arrays)
        .run(input_view(problem, input.data() + 1), output_view(problem, memory.data() + kGuard));
    const auto is_guard = [&](float value) { return value == guard; };
    EXPECT_TRUE(std::all_of(memory.begin(), memory.begin() + kGuard, is_guard))
        << "before the output, " << to_string(variant);
    EXPECT_TRUE(std::all_of(memory.end() - kGuard, memory.end(), is_guard)) << "behind the output, " << to_string(variant);
    const std::vector<float> output(memory.begin() + kGuard, memory.end() - kGuard);
    EXPECT_EQ(output, run(problem, arrays, variant)) << to_string(variant);  // NaN equals nothing
    EXPECT_EQ(input, input_before) << to_string(variant);
  }
}

/// Elements that end where memory begins that may not be touched.
class BeforeNoMemory {
 public:
  explicit BeforeNoMemory(const std::vector<float>& values) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = values.size() * sizeof(float), pages = (bytes + page - 1) / page * page;
    size_ = pages + page;
    memory_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED || mprotect(static_cast<char*>(memory_) + pages, page, PROT_NONE) != 0) throw std::bad_alloc();
    begin_ = static_cast<char*>(memory_) + pages - bytes;
    std::memcpy(begin_, values.data(), bytes);
  }
  ~BeforeNoMemory() { munmap(memory_, size_); }
  BeforeNoMemory(const BeforeNoMemory&) = delete;
  BeforeNoMemory& operator=(const BeforeNoMemory&) = delete;

  const void* data() const { return begin_; }

 private:
  void* memory_;
  char* begin_;
  std::size_t size_;
};

TEST_P(Execute, ReadsNothingBehindTheInput) {
  const Problem problem = problem_of(GetParam());
  const Arrays<float> arrays = normal_arrays<float>(problem, 2);
  const BeforeNoMemory input(arrays.input);
  std::vector<float> output(static_cast<std::size_t>(convt3d::output_size(problem)));
  constexpr std::int64_t kNoCache = 256;  // what comes from memory may be read in another way
  for (const Variant& variant : variants(problem)) {
    SCOPED_TRACE(to_string(variant));
    const std::vector<float> expected = run(problem, arrays, variant);
    for (const std::int64_t l2_bytes : {std::int64_t{1} << 20, kNoCache}) {
      executor_of(plan_of(problem, variant, 2, l2_bytes), arrays)
          .run(input_view(problem, input.data()), output_view(problem, output.data()));
      EXPECT_EQ(output, expected) << l2_bytes << " bytes of L2";
    }
  }
}

TEST_P(Execute, IsReusable) {
  const Problem problem = problem_of(GetParam());
  const Arrays<float> first = normal_arrays<float>(problem, 3);
  const std::vector<float> second = standard_normal<float>(convt3d::input_size(problem), 4);
  for (const Variant& variant : variants(problem)) {
    const Executor executor = executor_of(plan_of(problem, variant), first);
    const std::vector<float> output = run(executor, first.input);
    const std::vector<float> other = run(executor, second);
    EXPECT_EQ(run(executor, first.input), output) << to_string(variant);
    EXPECT_EQ(run(executor, second), other) << to_string(variant);
  }
}

/// A NaN or Inf reaches the outputs that depend on it and no other, with every algorithm; other volumes keep their bits.
TEST_P(Execute, CarriesNanAndInfToTheOutputsThatDependOnThem) {
  const Problem problem = problem_of(GetParam());
  Arrays<float> arrays = normal_arrays<float>(problem, 5);
  arrays.input[arrays.input.size() / 3] = std::numeric_limits<float>::quiet_NaN();
  arrays.input[arrays.input.size() / 2] = std::numeric_limits<float>::infinity();
  arrays.input[arrays.input.size() - 1] = -std::numeric_limits<float>::infinity();
  const std::vector<double> expected = run_reference(reference_layer(GetParam()), arrays);
  const auto kind = [](double value) { return std::isnan(value) ? 'n' : std::isinf(value) ? (value > 0 ? '+' : '-') : '.'; };
  for (const Variant& variant : variants(problem)) {
    const std::vector<float> output = run(problem, arrays, variant);
    std::int64_t wrong = 0;
    for (std::size_t o = 0; o < expected.size(); ++o) wrong += kind(static_cast<double>(output[o])) != kind(expected[o]);
    EXPECT_EQ(wrong, 0) << "of " << expected.size() << " outputs, " << to_string(variant);
  }
}

TEST(ScratchPool, GivesAThreadTheBufferThatItHad) {
  using Lease = convt3d::ScratchPool::Lease;
  convt3d::ScratchPool pool(64);
  const void* mine = nullptr;
  std::promise<void> taken, given;
  std::thread other;
  {
    Lease lease(pool);
    mine = lease.data();
    other = std::thread([&] {
      const Lease its(pool);
      taken.set_value();
      given.get_future().wait();
    });
    taken.get_future().wait();
  }
  given.set_value();
  other.join();  // it gave its buffer back last
  EXPECT_EQ(Lease(pool).data(), mine);
}

TEST(Executor, LeavesVolumesBesideOneWithNanBitForBitAsTheyAre) {
  for (const char* name : {"k4s2p1", "k3s2p1op1"}) {
    Problem batch = problem_of(named_problem(name));
    batch.n = 3;
    const Arrays<float> arrays = normal_arrays<float>(batch, 7);
    Arrays<float> with_nan = arrays;
    const std::size_t volume = arrays.input.size() / 3;
    with_nan.input[volume + 5] = std::numeric_limits<float>::quiet_NaN();  // in the second of three
    for (const Variant& variant : variants(batch)) {
      const std::vector<float> expected = run(batch, arrays, variant);
      const std::vector<float> output = run(batch, with_nan, variant);
      const std::size_t size = output.size() / 3;
      EXPECT_TRUE(std::equal(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(size), expected.begin()))
          << to_string(variant);
      EXPECT_TRUE(std::equal(output.end() - static_cast<std::ptrdiff_t>(size), output.end(),
                             expected.end() - static_cast<std::ptrdiff_t>(size)))
          << to_string(variant);
      EXPECT_TRUE(std::any_of(output.begin(), output.end(), [](float y) { return std::isnan(y); })) << to_string(variant);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Problems, Execute, testing::ValuesIn(problems_without_sweeps()), name_of_problem);

TEST(Executor, MayBeRunByManyThreadsAtOnce) {
  for (const char* name : {"k4s2p1", "scan_k4s2p1", "depthwise_k7s1p3"}) {
    const Problem problem = problem_of(named_problem(name));
    const Arrays<float> arrays = normal_arrays<float>(problem, 6);
    for (const Variant& variant : variants(problem)) {
      const Executor executor = executor_of(plan_of(problem, variant), arrays);
      std::atomic<int> wrong = 0;
      std::vector<std::thread> threads;
      for (std::uint64_t thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
          const std::vector<float> input = standard_normal<float>(convt3d::input_size(problem), 100 + thread);
          const std::vector<float> expected = run(problem, Arrays<float>{input, arrays.weight, arrays.bias}, variant, 1);
          for (int repeat = 0; repeat < 8; ++repeat) wrong += run(executor, input) != expected;
        });
      }
      for (std::thread& thread : threads) thread.join();
      EXPECT_EQ(wrong, 0) << name << ", " << to_string(variant);
    }
  }
}

/// The arrays, plan and executor of a small problem on the best instruction set.
struct Small {
  Problem problem = problem_of(named_problem("k4s2p1"));
  Arrays<float> arrays = normal_arrays<float>(problem, 8);
  Executor executor = executor_of(plan_of(problem, {convt3d::available_isas().back(), "direct"}), arrays);
  std::vector<float> output = std::vector<float>(static_cast<std::size_t>(convt3d::output_size(problem)), 0.0F);
};

TEST(Executor, TakesNoVolumes) {
  Small small;
  small.problem.n = 0;
  const Executor executor = executor_of(plan_of(small.problem, {convt3d::available_isas().back(), "direct"}), small.arrays);
  EXPECT_NO_THROW(executor.run(input_view(small.problem, nullptr), output_view(small.problem, nullptr)));
}

TEST(Executor, OutlivesThePackedWeightsAndMoves) {
  Small small;
  const std::vector<float> expected = run(small.executor, small.arrays.input);
  std::fill(small.arrays.weight.begin(), small.arrays.weight.end(), 0.0F);
  std::fill(small.arrays.bias.begin(), small.arrays.bias.end(), 0.0F);
  const Executor moved = std::move(small.executor);
  EXPECT_EQ(run(moved, small.arrays.input), expected);
}

TEST(Executor, RefusesOtherViewsThanThePlans) {
  Small small;
  const convt3d::ConstTensorView input = input_view(small.problem, small.arrays.input.data());
  const convt3d::TensorView output = output_view(small.problem, small.output.data());
  const auto refuses = [&](const convt3d::ConstTensorView& one, const convt3d::TensorView& other) {
    try {
      small.executor.run(one, other);
      return false;
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kShape;
    }
  };
  EXPECT_FALSE(refuses(input, output));
  auto changed = [](auto view, auto change) {
    change(view);
    return view;
  };
  EXPECT_TRUE(refuses(changed(input, [](auto& view) { view.n += 1; }), output));
  EXPECT_TRUE(refuses(changed(input, [](auto& view) { view.c += 1; }), output));
  EXPECT_TRUE(refuses(changed(input, [](auto& view) { view.extent.h += 1; }), output));
  EXPECT_TRUE(refuses(changed(input, [](auto& view) { view.dtype = DType::kFloat64; }), output));
  EXPECT_TRUE(refuses(input, changed(output, [](auto& view) { view.n -= 1; })));
  EXPECT_TRUE(refuses(input, changed(output, [](auto& view) { view.c -= 1; })));
  EXPECT_TRUE(refuses(input, changed(output, [](auto& view) { view.extent.w -= 1; })));
  EXPECT_TRUE(refuses(input, changed(output, [](auto& view) { view.dtype = DType::kFloat64; })));
}

class Watching : public convt3d::Observer {
 public:
  void progress(double fraction) override {
    if (!(fraction >= 0 && fraction <= 1)) outside_ = true;
    double most = most_;
    while (fraction > most && !most_.compare_exchange_weak(most, fraction)) {
    }
  }
  bool stop_requested() const override { return stop; }

  bool outside() const { return outside_; }
  double most() const { return most_; }

  bool stop = false;

 private:
  std::atomic<bool> outside_ = false;
  std::atomic<double> most_ = 0;
};

TEST(Executor, TellsItsObserverHowFarItIs) {
  Small small;
  Watching observer;
  small.executor.run(input_view(small.problem, small.arrays.input.data()), output_view(small.problem, small.output.data()),
                     &observer);
  EXPECT_FALSE(observer.outside());
  EXPECT_DOUBLE_EQ(observer.most(), 1);
}

TEST(Executor, StopsWhenItsObserverSaysSo) {
  Small small;
  Watching observer;
  observer.stop = true;
  try {
    small.executor.run(input_view(small.problem, small.arrays.input.data()), output_view(small.problem, small.output.data()),
                       &observer);
    FAIL() << "ran to the end";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kStopped);
  }
}

}  // namespace
}  // namespace testing_support
