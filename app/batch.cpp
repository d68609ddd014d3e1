#include "batch.hpp"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/fuse.hpp"
#include "flight.hpp"
#include "signals.hpp"

namespace convt3d::app {
namespace {

/// What the program and its libraries hold when a run begins: 10 MiB on Debian 12, and room for the threads' stacks and
/// heaps, 4 to 8 MiB.
constexpr std::int64_t kProgramBytes = 20 << 20;

/// What jobs that overlap may hold together where no bound is given. Larger ones gain little: their own stages overlap.
constexpr std::int64_t kInFlightBytes = std::int64_t{1} << 30;

/// The configs of a batch, each loaded once, whether it is valid or not.
class Models {
 public:
  explicit Models(Console& console) : console_(console) {}

  /// Throws what loading it threw, every time.
  std::shared_ptr<const Model> get(const std::string& config) {
    const auto [entry, is_new] = loaded_.try_emplace(config);
    if (is_new) load(config, entry->second);
    if (entry->second.failure) std::rethrow_exception(entry->second.failure);
    return entry->second.model;
  }

  /// Of all that are loaded.
  std::int64_t weight_bytes() const {
    std::int64_t bytes = 0;
    for (const auto& [config, entry] : loaded_) bytes += entry.model ? convt3d::weight_bytes(*entry.model) : 0;
    return bytes;
  }

 private:
  struct Entry {
    std::shared_ptr<const Model> model;
    std::exception_ptr failure;
  };

  void load(const std::string& config, Entry& entry) {
    try {
      Model model = load_model(find_config(config));
      model.layers = fuse(std::move(model.layers));
      entry.model = std::make_shared<const Model>(std::move(model));
      for (const std::string& text : entry.model->warnings) console_.warning(text);
    } catch (...) {
      entry.failure = std::current_exception();
    }
  }

  Console& console_;
  std::map<std::string, Entry> loaded_;
};

/// What models keep when jobs have ended: packed weights and scratch, which spare the next volume packing its own.
class Leftovers {
 public:
  /// The job has ended, whether well or not. Of jobs of different shapes each layer may have kept either's.
  void add(const JobResult& job) {
    const std::vector<std::int64_t> left = bytes_left_by(*job.plan);
    std::vector<std::int64_t>& most = most_[job.model];
    most.resize(left.size());
    std::transform(left.begin(), left.end(), most.begin(), most.begin(),
                   [](std::int64_t a, std::int64_t b) { return std::max(a, b); });
  }

  /// Gives all back, unless there is room for it.
  void keep_within(std::int64_t room_bytes) {
    for (const auto& [model, most] : most_) room_bytes -= std::accumulate(most.begin(), most.end(), std::int64_t{0});
    if (room_bytes >= 0) return;
    for (const auto& [model, most] : most_) model->layers.release();
    most_.clear();
    malloc_trim(0);  // what lies between blocks that are still in use goes back to the system too
  }

 private:
  std::map<std::shared_ptr<const Model>, std::vector<std::int64_t>> most_;  ///< bytes, by layer
};

class Batch {
 public:
  Batch(const Options& options, const std::vector<Job>& jobs, Console& console)
      : options_(options), console_(console), models_(console) {
    result_.machine = Machine::detect();
    result_.threads = options.upsample.threads > 0 ? options.upsample.threads : result_.machine.threads;
    for (const Job& job : jobs) result_.jobs.push_back({.job = job});
  }

  void skip_existing(const Finished& finished) {
    for (JobResult& job : result_.jobs) {
      const bool exists = !job.job.output.empty() && std::filesystem::exists(job.job.output);
      if (!exists || !options_.skip_existing) continue;
      job.status = JobStatus::kSkipped;
      finished(result_, job);
    }
  }

  void load_models() {
    std::set<std::string> configs;
    for (const JobResult& job : result_.jobs) configs.insert(job.job.config);
    if (configs.size() == 1) models_.get(*configs.begin());
    for_each_planned([&](JobResult& job) { job.model = models_.get(job.job.config); });
  }

  void plan() {
    process_bytes_ = kProgramBytes + models_.weight_bytes();
    for_each_planned([&](JobResult& job) {
      if (stop_signal() != 0) throw Error(ErrorKind::kStopped, "stopped while planning");
      UpsampleOptions options = options_for(job);
      options.process_bytes = process_bytes_;
      job.plan = plan_upsample(*job.model, job.job.inputs, job.job.output, options);
    });
  }

  /// A dry run ends here.
  void show(const Finished& finished) const {
    for (const JobResult& job : result_.jobs) {
      if (job.status == JobStatus::kPlanned) finished(result_, job);
    }
  }

  void run(const Finished& finished) {
    std::vector<JobResult*> planned;
    for (JobResult& job : result_.jobs) {
      if (job.status == JobStatus::kPlanned) planned.push_back(&job);
    }
    if (ended_ || planned.empty()) return;
    create_output_folder(options_);
    const auto begin = std::chrono::steady_clock::now();
    app::run({.jobs = planned.size(),
              .admits = [&](std::size_t front, std::size_t next) { return fit_together(planned, front, next); },
              .work = [&](std::size_t i, Observer& observer) { run_job(*planned[i], observer); },
              .name = [&](std::size_t i) { return planned[i]->job.inputs.front().filename().string(); },
              .ended =
                  [&](std::size_t i, std::exception_ptr thrown) {
                    leftovers_.add(*planned[i]);
                    if (i + 1 < planned.size()) make_room_for(planned[i + 1]->plan->memory.peak_bytes);
                    return end(*planned[i], thrown, finished);
                  }},
             console_);
    result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  BatchResult take() { return std::move(result_); }

 private:
  /// Calls step on every job that has neither failed nor been skipped; one that throws has failed. An interrupt, or with
  /// --fail-fast any failure, is the end of all.
  template <typename Step>
  void for_each_planned(const Step& step) {
    for (JobResult& job : result_.jobs) {
      if (ended_) return;
      if (job.status != JobStatus::kPlanned) continue;
      try {
        step(job);
      } catch (...) {
        fail(job);
      }
    }
  }

  /// In a handler of what the job threw.
  void fail(JobResult& job) {
    job.status = JobStatus::kFailed;
    job.failure = current_failure();
    console_.finish();
    console_.error(job.failure->message);
    ended_ = options_.fail_fast || stop_signal() != 0;
  }

  /// Whether jobs from `front` to `next` may be in flight at once: three, one in each stage, if there are threads for it and
  /// they fit into the memory bound together. Then what earlier jobs have left fits too.
  bool fit_together(const std::vector<JobResult*>& planned, std::size_t front, std::size_t next) {
    if (result_.threads == 1 || next - front >= 3) return false;
    std::int64_t bytes = process_bytes_;
    for (std::size_t i = front; i <= next; ++i) bytes += planned[i]->plan->memory.peak_bytes - process_bytes_;
    if (bytes > options_.upsample.limit_bytes.value_or(kInFlightBytes)) return false;
    make_room_for(bytes);
    return true;
  }

  /// Jobs that are planned to hold so much, the process included, keep to the bound with what those before them have left.
  void make_room_for(std::int64_t bytes) {
    if (options_.upsample.limit_bytes) leftovers_.keep_within(*options_.upsample.limit_bytes - bytes);
  }

  void run_job(JobResult& job, Observer& observer) const {
    refuse_new_output(job.job);
    job.run = run_upsample(*job.model, *job.plan, options_for(job), &observer);
  }

  /// Whether the batch goes on.
  bool end(JobResult& job, const std::exception_ptr& thrown, const Finished& finished) {
    try {
      if (thrown) std::rethrow_exception(thrown);
      job.status = JobStatus::kDone;
      console_.finish();
      warn_of_clipping(job);
      finished(result_, job);
    } catch (...) {
      fail(job);
    }
    return !ended_;
  }

  UpsampleOptions options_for(const JobResult& job) const {
    UpsampleOptions options = options_.upsample;
    options.threads = result_.threads;
    options.provenance =
        fmt::format("convt3d {} {} {:.12}", CONVT3D_VERSION, job.model->path.stem().string(), job.model->sha256);
    return options;
  }

  /// Somebody else may have made it since the batch was checked.
  void refuse_new_output(const Job& job) const {
    if (options_.force || !std::filesystem::exists(job.output)) return;
    throw Error(ErrorKind::kOutput,
                fmt::format("{}: appeared while the batch ran; --force replaces it", job.output.string()));
  }

  void warn_of_clipping(const JobResult& job) {
    if (job.run->written.clipped == 0) return;
    console_.warning(
        fmt::format("{}: {} of {} voxels were outside the range of {} and were clipped to it\n"
                    "  --output-type float32 keeps them",
                    job.job.output.string(), job.run->written.clipped, element_count(job.plan->output_shape),
                    name_of(job.plan->output_type)));
  }

  const Options& options_;
  Console& console_;
  Models models_;
  BatchResult result_;
  std::int64_t process_bytes_ = 0;  ///< held whatever runs
  Leftovers leftovers_;
  bool ended_ = false;
};

}  // namespace

BatchResult run_batch(const Options& options, const std::vector<Job>& jobs, Console& console, const Finished& finished) {
  require_free_outputs(jobs, options);
  Batch batch(options, jobs, console);
  batch.skip_existing(finished);
  batch.load_models();
  batch.plan();
  if (options.dry_run) {
    batch.show(finished);
  } else {
    batch.run(finished);
  }
  return batch.take();
}

int exit_code_of(const BatchResult& batch) {
  if (stop_signal() != 0) return kSignal + stop_signal();
  const auto failed = std::find_if(batch.jobs.begin(), batch.jobs.end(),
                                   [](const JobResult& job) { return job.status == JobStatus::kFailed; });
  if (failed == batch.jobs.end()) return kDone;
  return batch.jobs.size() == 1 ? failed->failure->exit_code : kBatch;
}

}  // namespace convt3d::app
