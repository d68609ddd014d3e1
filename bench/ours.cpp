#include "ours.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

namespace convt3d::bench {

Ours::Ours(Plan plan, const Data& data) : data_(data), executor_(std::move(plan), data.weight.raw(), data.bias.raw()) {
  const Problem& problem = executor_.plan().problem;
  output_ = Tensor::empty({problem.n, problem.co, problem.output.d, problem.output.h, problem.output.w});
  std::ranges::fill(output_.values<float>(), std::numeric_limits<float>::quiet_NaN());  // what is not overwritten shows
}

double Ours::run_ms(int warmups, int repetitions) {
  const TensorView output = output_.view();
  const auto run = [&](int times) {
    for (int i = 0; i < times; ++i) executor_.run(data_.input.view(), output);
  };
  run(warmups);
  const auto start = std::chrono::steady_clock::now();
  run(repetitions);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / repetitions;
}

}  // namespace convt3d::bench
