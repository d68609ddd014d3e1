#include "convt3d/conv/executor.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/kernels/kernels.hpp"

namespace convt3d {
namespace {

const Algorithm& find(const std::string& name) {
  for (const Algorithm& algorithm : algorithms()) {
    if (algorithm.name == name) return algorithm;
  }
  throw Error(ErrorKind::kShape, "there is no algorithm \"" + name + "\"");
}

/// Streaming pays once the output would push everything else out of the last cache.
bool exceeds_caches(const Plan& plan) {
  const Problem& p = plan.problem;
  return output_size(p) * static_cast<std::int64_t>(size_of(p.dtype)) > plan.machine.l2_bytes * 4;
}

void require(const char* which, DType dtype, std::int64_t n, std::int64_t c, const Extent3& extent, const Problem& p,
             std::int64_t want_c, const Extent3& want) {
  if (dtype == p.dtype && n == p.n && c == want_c && extent == want) return;
  throw Error(ErrorKind::kShape, "the " + std::string(which) + " is " + std::string(name_of(dtype)) + " (" +
                                     std::to_string(n) + ", " + std::to_string(c) + ") x " + to_string(extent) +
                                     "; the plan expects " + std::string(name_of(p.dtype)) + " (" + std::to_string(p.n) +
                                     ", " + std::to_string(want_c) + ") x " + to_string(want));
}

}  // namespace

LedgerEntry kept_weights(const Problem& problem) {
  const std::int64_t elements = weight_size(problem) + (problem.bias ? problem.co : 0);
  return {"weights as given, for volumes with NaN or Inf", elements * static_cast<std::int64_t>(size_of(problem.dtype))};
}

std::span<const Algorithm> algorithms() {
  static const std::array table = {kDirect, kWinograd, kFewChannel, kSeparable};
  return table;
}

Buffer ScratchPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      Buffer buffer = std::move(free_.back());
      free_.pop_back();
      return buffer;
    }
  }
  return Buffer(bytes_);
}

void ScratchPool::give(Buffer buffer) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(buffer));
}

void check_stop(const Observer* observer) {
  if (observer != nullptr && observer->stop_requested()) throw Error(ErrorKind::kStopped, "stopped");
}

struct Executor::State {
  Plan plan;
  std::unique_ptr<Prepared> prepared;

  // For volumes with a NaN or an infinity that `prepared` would spread: direct, one volume at a time, prepared when first
  // met from weights kept for it.
  std::vector<std::byte> weight, bias;
  Epilogue epilogue;
  std::once_flag once;
  std::unique_ptr<Prepared> fallback;

  const Prepared& get_fallback() {
    std::call_once(once, [&] {
      Plan one_volume = plan;
      one_volume.problem.n = 1;
      fallback = kDirect.prepare(one_volume, weight.data(), bias.empty() ? nullptr : bias.data(), epilogue);
    });
    return *fallback;
  }
};

Executor::Executor(Plan plan, const void* weight, const void* bias, Epilogue epilogue) : state_(std::make_unique<State>()) {
  state_->plan = std::move(plan);
  const Problem& p = state_->plan.problem;
  if (p.n == 0) return;  // nothing will be run
  state_->prepared = find(state_->plan.algorithm).prepare(state_->plan, weight, bias, epilogue);
  if (!state_->prepared->may_spread()) return;
  const auto bytes_of = [&](const void* from, std::int64_t count) {
    const auto* begin = static_cast<const std::byte*>(from);
    return std::vector<std::byte>(begin, begin + count * static_cast<std::int64_t>(size_of(p.dtype)));
  };
  state_->weight = bytes_of(weight, weight_size(p));
  if (bias != nullptr) state_->bias = bytes_of(bias, p.co);
  state_->epilogue = std::move(epilogue);
}

Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;

const Plan& Executor::plan() const { return state_->plan; }

void Executor::run(const ConstTensorView& input, const TensorView& output, Observer* observer) const {
  const Problem& p = state_->plan.problem;
  require("input", input.dtype, input.n, input.c, input.extent, p, p.ci, p.input);
  require("output", output.dtype, output.n, output.c, output.extent, p, p.co, p.output);
  check_stop(observer);
  if (p.n == 0) return;
  thread_local std::vector<char> spread;  // keeps its memory, so that a later run allocates nothing
  spread.assign(static_cast<std::size_t>(p.n), 0);
  RunArgs args{.input = input.data,
               .input_box = whole(p.input),
               .output = output.data,
               .output_box = whole(p.output),
               .stream = exceeds_caches(state_->plan),
               .observer = observer,
               .spread = spread};
  state_->prepared->run(args);
  for (std::int64_t n = 0; n < p.n; ++n) {
    if (spread[static_cast<std::size_t>(n)] == 0) continue;
    const auto element = static_cast<std::int64_t>(size_of(p.dtype));
    args.input = static_cast<const std::byte*>(input.data) + n * (input_size(p) / p.n) * element;
    args.output = static_cast<std::byte*>(output.data) + n * (output_size(p) / p.n) * element;
    state_->get_fallback().run(args);
  }
}

std::string Executor::isa() const { return kernels::target_name(state_->plan.machine.isa); }

}  // namespace convt3d
