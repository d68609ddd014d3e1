#include "convt3d/conv/executor.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/kernels/kernels.hpp"

namespace convt3d {
namespace {

std::string to_string(const Planes& planes) { return std::to_string(planes.begin) + " to " + std::to_string(planes.end); }

const Algorithm& find(const std::string& name) {
  for (const Algorithm& algorithm : algorithms()) {
    if (algorithm.name == name) return algorithm;
  }
  throw Error(ErrorKind::kShape, "there is no algorithm \"" + name + "\"");
}

/// Streaming pays once the output does not stay in the last cache, of which a core's L2 is a sixteenth or so.
bool exceeds_caches(const Plan& plan, const Planes& wanted) {
  const Problem& p = plan.problem;
  const std::int64_t elements = p.n * p.co * wanted.count() * p.output.h * p.output.w;
  return elements * static_cast<std::int64_t>(size_of(p.dtype)) > plan.machine.l2_bytes * 16;
}

/// Those planes of an extent.
Box3 box_of(const Planes& planes, const Extent3& extent) { return {{planes.begin, 0, 0}, {planes.end, extent.h, extent.w}}; }

void require(const char* which, DType dtype, std::int64_t n, std::int64_t c, const Extent3& extent, const Problem& p,
             std::int64_t want_c, const Extent3& want) {
  if (dtype == p.dtype && n == p.n && c == want_c && extent == want) return;
  throw Error(ErrorKind::kShape, "the " + std::string(which) + " is " + std::string(name_of(dtype)) + " (" +
                                     std::to_string(n) + ", " + std::to_string(c) + ") x " + to_string(extent) +
                                     "; the plan expects " + std::string(name_of(p.dtype)) + " (" + std::to_string(p.n) +
                                     ", " + std::to_string(want_c) + ") x " + to_string(want));
}

}  // namespace

void append_fallback(std::vector<LedgerEntry>& ledger, const Query& query) {
  const Problem& p = query.problem;
  const std::int64_t elements = weight_size(p) + (p.bias ? p.co : 0);
  ledger.push_back({"weights as given, for planes with NaN or Inf", elements * static_cast<std::int64_t>(size_of(p.dtype))});
  Problem one_volume = p;
  one_volume.n = 1;
  for (LedgerEntry& entry : kDirect.ledger({one_volume, query.machine, query.threads})) {
    ledger.push_back({entry.what + " of direct, for planes with NaN or Inf", entry.bytes});
  }
}

std::span<const Algorithm> algorithms() {
  static const std::array table = {kDirect,  kDirectRows,  kWinograd, kWinogradRows, kFewChannel,
                                   kCol2Vol, kCol2VolRows, kGemm,     kSeparable,    kGemmBfloat16};
  return table;
}

Buffer ScratchPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      const auto own = [](const Free& free) { return free.last_user == std::this_thread::get_id(); };
      auto found = std::find_if(free_.begin(), free_.end(), own);
      if (found == free_.end()) --found;
      Buffer buffer = std::move(found->buffer);
      free_.erase(found);
      return buffer;
    }
  }
  return Buffer(bytes_);
}

void ScratchPool::give(Buffer buffer) {
  const std::lock_guard lock(mutex_);
  free_.push_back({std::move(buffer), std::this_thread::get_id()});
}

void check_stop(const Observer* observer) {
  if (observer != nullptr && observer->stop_requested()) throw Error(ErrorKind::kStopped, "stopped");
}

struct Executor::State {
  Plan plan;
  Problem joined;  ///< what the algorithms run: with_joined_rows
  std::unique_ptr<Prepared> prepared;

  // For planes with a NaN or an infinity that `prepared` would spread: direct, one volume at a time, prepared when first
  // met from weights kept for it.
  std::vector<std::byte> weight, bias;
  Epilogue epilogue;
  std::once_flag once;
  std::unique_ptr<Prepared> fallback;

  const Prepared& get_fallback() {
    std::call_once(once, [&] {
      Plan one_volume = plan;
      one_volume.problem = joined;
      one_volume.problem.n = 1;
      one_volume.threads = one_volume.used_threads;
      fallback = kDirect.prepare(one_volume, weight.data(), bias.empty() ? nullptr : bias.data(), epilogue);
    });
    return *fallback;
  }

  /// Planes `wanted` of volume n anew.
  void run_fallback(const RunArgs& args, std::int64_t n, const Planes& wanted) {
    const Problem& p = plan.problem;
    const auto element = static_cast<std::int64_t>(size_of(p.dtype));
    const std::int64_t in_planes = args.input_box.extent().d;
    const std::int64_t out_plane = p.output.h * p.output.w;
    RunArgs volume = args;
    volume.input = static_cast<const std::byte*>(args.input) + n * p.ci * in_planes * p.input.h * p.input.w * element;
    volume.output = static_cast<std::byte*>(args.output) + n * p.co * args.output_box.extent().d * out_plane * element;
    volume.wanted = wanted;
    get_fallback().run(volume);
  }
};

Executor::Executor(Plan plan, const void* weight, const void* bias, Epilogue epilogue) : state_(std::make_unique<State>()) {
  state_->plan = std::move(plan);
  const Problem& p = state_->plan.problem;
  if (p.n == 0) return;  // nothing will be run
  state_->joined = with_joined_rows(p);
  Plan joined = state_->plan;
  joined.problem = state_->joined;
  joined.threads = joined.used_threads;
  state_->prepared = find(joined.algorithm).prepare(joined, weight, bias, epilogue);
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
  run_planes(input, {0, p.input.d}, output, {0, p.output.d}, observer);
}

void Executor::run_planes(const ConstTensorView& input, const Planes& held, const TensorView& output, const Planes& wanted,
                          Observer* observer) const {
  const Problem& p = state_->plan.problem;
  const PlaneReach& reach = state_->plan.reach;
  if (wanted.empty() || !held.contains(reach.of(wanted))) {
    throw Error(ErrorKind::kShape, "planes " + to_string(held) + " of the input do not give planes " + to_string(wanted) +
                                       " of the output; expected " + to_string(reach.of(wanted)));
  }
  require("input", input.dtype, input.n, input.c, input.extent, p, p.ci, {held.count(), p.input.h, p.input.w});
  require("output", output.dtype, output.n, output.c, output.extent, p, p.co, {wanted.count(), p.output.h, p.output.w});
  check_stop(observer);
  if (p.n == 0) return;
  thread_local std::vector<char> spread;  // keeps its memory, so that a later run allocates nothing
  spread.assign(static_cast<std::size_t>(p.n * held.count()), 0);
  const RunArgs args{.input = input.data,
                     .input_box = box_of(held, state_->joined.input),
                     .output = output.data,
                     .output_box = box_of(wanted, state_->joined.output),
                     .wanted = wanted,
                     .stream = exceeds_caches(state_->plan, wanted),
                     .observer = observer,
                     .spread = spread};
  state_->prepared->run(args);
  if (!state_->prepared->may_spread()) return;
  for (std::int64_t n = 0; n < p.n; ++n) {
    const auto flags = std::span(spread).subspan(static_cast<std::size_t>(n * held.count()));
    const auto is_void = [&](std::int64_t od) {
      const Planes read = reach.of({od, od + 1});
      const auto begin = flags.begin() + (read.begin - held.begin);
      return std::find(begin, begin + read.count(), 1) != begin + read.count();
    };
    for (std::int64_t od = wanted.begin; od < wanted.end;) {
      std::int64_t end = od;
      while (end < wanted.end && is_void(end)) ++end;
      if (end > od) state_->run_fallback(args, n, {od, end});
      od = end + 1;
    }
  }
}

std::string Executor::isa() const { return kernels::target_name(state_->plan.machine.isa); }

}  // namespace convt3d
