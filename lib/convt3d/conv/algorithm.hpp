#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "convt3d/base/buffer.hpp"
#include "convt3d/base/extent.hpp"
#include "convt3d/base/observer.hpp"
#include "convt3d/conv/parallel.hpp"
#include "convt3d/conv/plan.hpp"
#include "convt3d/conv/pointwise.hpp"

// How an algorithm presents itself to the plan. Internal: not installed.
namespace convt3d {

/// What a plan asks an algorithm about.
struct Query {
  const Problem& problem;
  const Machine& machine;
  int threads = 1;
  bool separable = false;  ///< the kernel has rank 1
};

/// Data of one run. The boxes say which part of the problem's volumes the pointers hold, whole planes of them: inputs
/// outside input_box but inside the volume are not needed for output_box (Plan::reach).
struct RunArgs {
  const void* input = nullptr;  ///< (n, ci, input_box)
  Box3 input_box;
  void* output = nullptr;  ///< (n, co, output_box)
  Box3 output_box;
  Planes wanted;        ///< of output_box: what is computed
  bool stream = false;  ///< the output exceeds the caches: store past them
  Observer* observer = nullptr;
  /// Of each volume and each plane of input_box: set where it has a NaN or infinity that would reach outputs that it has no
  /// tap to, through sums that cancel for finite numbers only. Output planes whose reach has such a plane are void.
  std::span<char> spread = {};

  void mark_spread(std::int64_t n, std::int64_t id) const {
    const std::int64_t plane = n * input_box.extent().d + id - input_box.begin.d;
    std::atomic_ref(spread[static_cast<std::size_t>(plane)]).store(1, std::memory_order_relaxed);
  }
};

/// An algorithm with its weights packed. run may be called from several threads at once.
class Prepared {
 public:
  virtual ~Prepared() = default;
  virtual void run(const RunArgs& args) const = 0;
  /// Whether run ever sets RunArgs::spread.
  virtual bool may_spread() const { return false; }
};

/// Whether the kernels have 32 vector registers, where others have 16.
inline bool is_wide(Isa isa) { return isa == Isa::kAvx512 || isa == Isa::kNeon; }

/// Clock that estimates in cycles are turned into seconds with, so that those of different algorithms compare.
inline constexpr double kClock = 3e9;

/// Threads that work on one group of a volume: tasks of a group follow one another, so that each thread may have its own.
inline int threads_of_group(const Query& query) {
  return query.problem.n * query.problem.groups % query.threads == 0 ? 1 : query.threads;
}

/// Cycles that a task loses on lines of the output that it shares with others: where volumes are cut along w, one of each
/// row, along h, one of each plane. Such a line goes to and fro between the threads.
inline double shared_line_cycles(int threads, const Extent3& blocks, std::int64_t planes, std::int64_t rows,
                                 std::int64_t channels) {
  if (threads == 1) return 0;
  return 100.0 * static_cast<double>(channels * (blocks.w > 1 ? planes * rows : blocks.h > 1 ? planes : 0));
}

/// Tasks one after the other of the busiest thread. Those at the volume's ends are cut: all together are so many times
/// `whole`, at most 1, of a full one.
inline double busiest_rounds(double tasks, double whole, int threads) {
  if (threads == 1) return tasks * whole;
  return std::min(std::ceil(tasks / threads), tasks * whole / threads + 0.5);
}

/// Cycles of all threads together for an output of elements T that exceeds the caches and is stored through them: its lines
/// are fetched first.
template <typename T>
double output_memory_cycles(const Query& query) {
  const std::int64_t bytes = output_size(query.problem) * static_cast<std::int64_t>(sizeof(T));
  return bytes > 16 * query.machine.l2_bytes ? 1.5 * static_cast<double>(bytes) / 4 : 0;
}

/// One row of the table.
struct Algorithm {
  const char* name;
  /// Why the problem cannot be run; "" if it can.
  std::string (*rejects)(const Query& query);
  /// Estimated time of one run.
  double (*seconds)(const Query& query);
  /// Buffers that `prepare` and `run` will allocate.
  std::vector<LedgerEntry> (*ledger)(const Query& query);
  /// What planes of the output are made from; every row of the input's planes in reach is looked at for NaN.
  PlaneReach (*reach)(const Query& query);
  /// The tiling, for people.
  std::string (*tiles)(const Query& query);
  std::unique_ptr<Prepared> (*prepare)(const Plan& plan, const void* weight, const void* bias, const Epilogue& epilogue);
};

/// Algorithm::prepare of an algorithm whose Prepared_<T> packs elements T.
template <template <typename> class Prepared_>
std::unique_ptr<Prepared> prepare_in_dtype(const Plan& plan, const void* weight, const void* bias,
                                           const Epilogue& epilogue) {
  const auto prepare = [&](auto zero) -> std::unique_ptr<Prepared> {
    using T = decltype(zero);
    return std::make_unique<Prepared_<T>>(plan, static_cast<const T*>(weight), static_cast<const T*>(bias), epilogue);
  };
  return plan.problem.dtype == DType::kFloat64 ? prepare(double{}) : prepare(float{});
}

/// Why an algorithm that computes runs of outputs from runs of inputs cannot take a strided convolution.
inline constexpr const char* kNoInputStride = "a strided convolution";

/// What an Executor allocates beside an algorithm that may spread: the weights, and direct made from them when first needed.
void append_fallback(std::vector<LedgerEntry>& ledger, const Query& query);

/// All algorithms, in the order in which ties are decided.
std::span<const Algorithm> algorithms();

extern const Algorithm kCol2Vol;
extern const Algorithm kCol2VolRows;
extern const Algorithm kDirect;
extern const Algorithm kDirectRows;
extern const Algorithm kFewChannel;
extern const Algorithm kGemm;
extern const Algorithm kGemmBfloat16;
extern const Algorithm kSeparable;
extern const Algorithm kWinograd;
extern const Algorithm kWinogradRows;

/// Scratch of the threads that run at once: as many buffers as ever were in use together, each used again, by the thread
/// that had it before if that one asks: what another core has written comes from its caches, slowly.
class ScratchPool {
 public:
  explicit ScratchPool(std::size_t bytes) : bytes_(bytes) {}

  /// A buffer for the duration of its life.
  class Lease {
   public:
    explicit Lease(ScratchPool& pool) : pool_(pool), buffer_(pool.take()) {}
    ~Lease() { pool_.give(std::move(buffer_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    void* data() { return buffer_.data(); }

   private:
    ScratchPool& pool_;
    Buffer buffer_;
  };

 private:
  struct Free {
    Buffer buffer;
    std::thread::id last_user;
  };

  Buffer take();
  void give(Buffer buffer);

  std::size_t bytes_;
  std::mutex mutex_;
  std::vector<Free> free_;
};

/// Takes a task's number apart, the count that runs fastest first.
class TaskDigits {
 public:
  explicit TaskDigits(std::int64_t task) : rest_(task) {}

  std::int64_t next(std::int64_t count) {
    const std::int64_t digit = rest_ % count;
    rest_ /= count;
    return digit;
  }
  std::int64_t rest() const { return rest_; }

 private:
  std::int64_t rest_;
};

/// Throws Error{kStopped} once the observer wants the run to end.
void check_stop(const Observer* observer);

/// Calls body(task, scratch) for every task, each thread with a buffer of the pool, and tells the observer how far it is.
template <typename Body>
void run_tasks(int threads, std::int64_t tasks, ScratchPool& pool, Observer* observer, const Body& body) {
  std::atomic<std::int64_t> done = 0;
  const auto range = [&](std::int64_t begin, std::int64_t end) {
    ScratchPool::Lease scratch(pool);
    for (std::int64_t task = begin; task < end; ++task) {
      check_stop(observer);
      body(task, scratch.data());
      if (observer != nullptr) observer->progress(static_cast<double>(++done) / static_cast<double>(tasks));
    }
  };
  parallel_for(threads, tasks, 1, std::cref(range));  // a reference: a copy would be allocated
}

}  // namespace convt3d
