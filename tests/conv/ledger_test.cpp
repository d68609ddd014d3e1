// What a plan's ledger lists is what preparing and running it allocates, whatever the algorithm and the number of threads.

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "support/allocations.hpp"
#include "support/run.hpp"
#include "support/sweep.hpp"

namespace testing_support {
namespace {

using convt3d::DType;
using convt3d::Executor;
using convt3d::Plan;
using convt3d::Problem;

/// Holds every thread back, after so many of the run's tasks, until all threads have come: then each has its scratch.
class Gathering : public convt3d::Observer {
 public:
  Gathering(std::size_t threads, std::int64_t after) : threads_(threads), after_(after) {}

  void progress(double) override {
    std::unique_lock lock(mutex_);
    if (tasks_++ < after_) return;
    gathered_.insert(std::this_thread::get_id());
    all_here_.notify_all();
    all_here_.wait_for(lock, std::chrono::seconds(10), [&] { return gathered_.size() >= threads_; });
  }

  std::int64_t tasks() const { return tasks_; }

 private:
  std::size_t threads_;
  std::int64_t after_;
  std::int64_t tasks_ = 0;
  std::mutex mutex_;
  std::condition_variable all_here_;
  std::set<std::thread::id> gathered_;
};

/// Bytes taken by packing the plan, running it with finite values, and with a NaN in every plane.
template <typename T>
std::int64_t allocated_by(const Plan& plan, Arrays<T> arrays, const convt3d::Epilogue& epilogue) {
  const Problem& problem = plan.problem;
  const auto threads = static_cast<std::size_t>(plan.threads);
  std::vector<T> output(static_cast<std::size_t>(convt3d::output_size(problem)));
  const auto run_once = [&](const Executor& executor, convt3d::Observer& observer) {
    executor.run(input_view(problem, arrays.input.data()), output_view(problem, output.data()), &observer);
  };
  const auto pack = [&] {
    return Executor(plan, arrays.weight.data(), arrays.bias.empty() ? nullptr : arrays.bias.data(), epilogue);
  };
  Gathering rehearsal(threads, 0);
  run_once(pack(), rehearsal);  // what threads and their pool keep is taken once for all plans
  const std::int64_t before = allocations().bytes;
  const Executor executor = pack();
  Gathering whole(threads, 0);
  run_once(executor, whole);
  const std::int64_t plane = problem.input.h * problem.input.w;
  for (std::size_t i = 0; i < arrays.input.size(); i += static_cast<std::size_t>(plane)) arrays.input[i] = std::nan("");
  Gathering again(threads, whole.tasks());
  run_once(executor, again);
  return allocations().bytes - before;
}

template <typename T>
void expect_ledger(const NamedProblem& named, bool separable) {
  Problem problem = problem_of(named, convt3d::dtype_of<T>());
  problem.bfloat16 = sizeof(T) == 4 && named.name == "k2s2";
  Arrays<T> arrays = normal_arrays<T>(problem, 1);
  if (separable) std::fill(arrays.weight.begin(), arrays.weight.end(), T{1});
  const convt3d::Epilogue epilogue = {{.function = convt3d::Pointwise::Function::kRelu}};
  convt3d::Machine machine;
  machine.isa = convt3d::available_isas().back();
  machine.bfloat16 = convt3d::Machine::detect().bfloat16;
  for (const std::string& algorithm : convt3d::algorithm_names()) {
    for (const int threads : {1, 2, 3}) {
      Plan plan;
      try {
        plan = convt3d::make_plan(problem, machine,
                                  {.threads = threads, .force_algorithm = algorithm, .epilogue = 1, .separable = separable});
      } catch (const convt3d::Error&) {
        continue;
      }
      const auto listed = static_cast<double>(convt3d::ledger_bytes(plan));
      const auto allocated = static_cast<double>(allocated_by(plan, arrays, epilogue));
      // Lists that are not worth an entry: of sets while the tiling is chosen, of taps, of phases.
      EXPECT_NEAR(allocated, listed, 0.01 * listed + 40960) << algorithm << ", " << threads << " threads";
    }
  }
}

class Ledger : public ProblemSweep {};

TEST_P(Ledger, IsWhatIsAllocated) { expect_ledger<float>(GetParam(), false); }
TEST_P(Ledger, IsWhatIsAllocatedInFloat64) { expect_ledger<double>(GetParam(), false); }

INSTANTIATE_TEST_SUITE_P(
    Problems, Ledger,
    testing::Values(
        NamedProblem{
            "k4s2", {.in_channels = 40, .out_channels = 24, .kernel_size = 4, .stride = 2, .padding = 1}, {9, 10, 11}},
        NamedProblem{"k3s1", {.in_channels = 32, .out_channels = 48, .kernel_size = 3, .padding = 1}, {8, 9, 10}, 2},
        NamedProblem{
            "k3s2",
            {.in_channels = 24, .out_channels = 16, .kernel_size = 3, .stride = 2, .padding = 1, .output_padding = 1},
            {7, 8, 9}},
        NamedProblem{"k2s2", {.in_channels = 64, .out_channels = 32, .kernel_size = 2, .stride = 2}, {8, 8, 8}},
        NamedProblem{"grouped", {.in_channels = 48, .out_channels = 24, .kernel_size = 3, .groups = 4}, {7, 8, 9}},
        NamedProblem{"to_one", {.in_channels = 20, .out_channels = 1, .kernel_size = 5, .stride = 2}, {8, 9, 20}},
        NamedProblem{"beyond_rows", {.in_channels = 32, .out_channels = 32, .kernel_size = 4}, {4, 12, 11}},
        NamedProblem{"scan", {.in_channels = 1, .out_channels = 1, .kernel_size = 5, .stride = 2}, {21, 23, 150}},
        NamedProblem{
            "depthwise", {.in_channels = 64, .out_channels = 64, .kernel_size = 4, .stride = 2, .groups = 64}, {6, 7, 8}}),
    name_of_problem);

TEST(Ledger, IsWhatIsAllocatedForSeparableKernels) {
  const NamedProblem named{
      "separable", {.in_channels = 64, .out_channels = 64, .kernel_size = 5, .stride = 2, .groups = 64}, {6, 7, 30}};
  expect_ledger<float>(named, true);
  expect_ledger<double>(named, true);
}

}  // namespace
}  // namespace testing_support
