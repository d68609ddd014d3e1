#include "convt3d/upsample/slab_run.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "convt3d/imaging/volume_writer.hpp"
#include "convt3d/upsample/about_input.hpp"
#include "convt3d/upsample/input_planes.hpp"
#include "convt3d/upsample/memory.hpp"
#include "convt3d/upsample/nan.hpp"
#include "convt3d/upsample/stage.hpp"
#include "convt3d/upsample/stopwatch.hpp"

namespace convt3d {
namespace {

/// Whether to stop, and no progress: what reads and writes beside the steps is no step.
class StopObserver final : public Observer {
 public:
  explicit StopObserver(Observer* whole) : whole_(whole) {}
  bool stop_requested() const override { return whole_ != nullptr && whole_->stop_requested(); }

 private:
  Observer* whole_;
};

/// The progress of a step as its share of all steps.
class StepObserver final : public Observer {
 public:
  StepObserver(Observer* whole, std::int64_t steps) : whole_(whole), steps_(static_cast<double>(steps)) {}

  void next_step() { done_ += 1; }
  void progress(double fraction) override {
    if (whole_ != nullptr) whole_->progress(std::min(1.0, (done_ + fraction) / steps_));
  }
  void note(std::string_view text) override {
    if (whole_ != nullptr) whole_->note(text);
  }
  bool stop_requested() const override { return whole_ != nullptr && whole_->stop_requested(); }

 private:
  Observer* whole_;
  double steps_;
  double done_ = 0;
};

std::int64_t steps_of(const UpsamplePlan& plan) {
  std::int64_t slabs = plan.way.whole_layers > 0 ? 1 : 0;
  for (const SlabPlan& pass : plan.way.passes) slabs += static_cast<std::int64_t>(pass.slabs.size());
  return plan.input_shape[0] * slabs;
}

class SlabRun {
 public:
  SlabRun(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options, Observer* observer)
      : model_(model),
        plan_(plan),
        way_(plan.way),
        options_(options),
        observer_(observer),
        stop_(observer),
        step_(observer, steps_of(plan)),
        run_options_{.threads = options.threads, .observer = &step_},
        input_(plan, model.dtype, &stop_) {
    if (way_.whole_layers > 0) return;
    windows_.emplace(input_, plan, model.dtype, most_planes(model.layers, way_, 0), options.threads);
  }

  /// Stages overlap; each is entered when the first of its work is done.
  UpsampleReport run() {
    enter(observer_, "reading");
    for (std::int64_t n = 0; n < plan_.input_shape[0]; ++n) {
      if (way_.whole_layers > 0) run_whole_layers(n);
      statistics_.clear();
      for (std::size_t pass = 0; pass + 1 < way_.passes.size(); ++pass) gather(n, way_.passes[pass]);
      write(n);
    }
    if (way_.whole_layers == 0) input_.read_to_end();
    const Stopwatch watch;
    report_.written = writer_->finish();
    report_.write_seconds += watch.seconds();
    if (windows_) report_.read_seconds += windows_->seconds();
    return report_;
  }

 private:
  void enter_computing() {
    if (!std::exchange(computing_, true)) enter(observer_, "computing");
  }

  /// What the first layers give, held for the slabs.
  void run_whole_layers(std::int64_t n) {
    runner_.reset();
    whole_ = {};
    const Stopwatch reading;
    Shape shape = plan_.input_shape;
    shape[0] = 1;
    Tensor voxels = Tensor::empty(shape, model_.dtype);
    const Planes all = {0, shape[2]};
    input_.read(n, all, voxels.view(), all);
    report_.read_seconds += reading.seconds();
    enter_computing();
    const Stopwatch computing;
    whole_ =
        about_input(plan_, [&] { return model_.layers.forward_first(way_.whole_layers, std::move(voxels), run_options_); });
    report_.compute_seconds += computing.seconds();
    step_.next_step();
  }

  /// Statistics of the input of layer pass.end.
  void gather(std::int64_t n, const SlabPlan& pass) {
    const LayerPlan& layer = way_.layers[pass.end];
    const std::shared_ptr<Statistics> statistics = model_.layers[pass.end].statistics(layer.input);
    do {
      for (std::size_t slab = 0; slab < pass.slabs.size(); ++slab) {
        const ConstTensorView planes = compute(n, pass, slab);
        statistics->add(planes, 0, pass.slabs[slab].begin, options_.threads);
      }
    } while (statistics->finish_pass());
    statistics_[pass.end] = statistics;
  }

  void write(std::int64_t n) {
    const SlabPlan& pass = way_.passes.back();
    for (std::size_t slab = 0; slab < pass.slabs.size(); ++slab) {
      const ConstTensorView planes = compute(n, pass, slab);
      if (!writer_) enter(observer_, "writing");
      const Stopwatch watch;
      refuse_nan(plan_, planes, pass.slabs[slab], options_.threads);
      if (!writer_) {
        writer_.emplace(plan_.output, plan_.output_shape, plan_.output_grid, plan_.inputs.front(),
                        write_options(plan_, options_), &stop_);
      }
      writer_->write(planes, n, pass.slabs[slab].begin);
      report_.write_seconds += watch.seconds();
    }
  }

  ConstTensorView compute(std::int64_t n, const SlabPlan& pass, std::size_t slab) {
    const SlabRunner::Sources sources = sources_of(n, pass, slab);
    SlabRunner::StatisticsOf known;
    for (const auto& [layer, statistics] : statistics_) known[layer] = statistics.get();
    enter_computing();
    const Stopwatch watch;
    if (running_ != &pass) runner_.reset();  // first give back, then take
    if (!runner_) runner_.emplace(model_.layers, way_.layers, pass);
    running_ = &pass;
    const ConstTensorView planes =
        about_input(plan_, [&] { return runner_->run(pass.slabs[slab], sources, known, run_options_); });
    report_.compute_seconds += watch.seconds();
    step_.next_step();
    return planes;
  }

  SlabRunner::Sources sources_of(std::int64_t n, const SlabPlan& pass, std::size_t slab) {
    if (way_.whole_layers == 0) {
      const InputWindows::Window window = window_of(n, pass, slab);
      return {{0, {windows_->get(window, window_after(n, pass, slab)), window.planes}}};
    }
    const auto held = [](const Tensor& volume) { return SlabRunner::Source{volume.view(), {0, volume.shape()[2]}}; };
    SlabRunner::Sources sources = {{way_.whole_layers, held(whole_.last)}};
    for (const auto& [layer, volume] : whole_.kept) sources[static_cast<std::size_t>(layer + 1)] = held(volume);
    return sources;
  }

  InputWindows::Window window_of(std::int64_t n, const SlabPlan& pass, std::size_t slab) const {
    return {n, needed_planes(model_.layers, way_.layers, pass.begin, pass.end, pass.slabs[slab]).front()};
  }

  /// nullopt where that depends on the statistics, or nothing comes.
  std::optional<InputWindows::Window> window_after(std::int64_t n, const SlabPlan& pass, std::size_t slab) const {
    if (slab + 1 < pass.slabs.size()) return window_of(n, pass, slab + 1);
    if (way_.passes.size() > 1 || n + 1 == plan_.input_shape[0]) return std::nullopt;
    return window_of(n + 1, pass, 0);
  }

  const Model& model_;
  const UpsamplePlan& plan_;
  const Way& way_;
  const UpsampleOptions& options_;
  Observer* observer_;
  StopObserver stop_;
  StepObserver step_;
  RunOptions run_options_;
  InputPlanes input_;
  std::optional<InputWindows> windows_;
  Sequential::Volumes whole_;
  std::map<std::size_t, std::shared_ptr<const Statistics>> statistics_;
  std::optional<SlabRunner> runner_;
  const SlabPlan* running_ = nullptr;  ///< what runner_ is for
  std::optional<VolumeWriter> writer_;
  bool computing_ = false;
  UpsampleReport report_;
};

}  // namespace

UpsampleReport run_in_slabs(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options,
                            Observer* observer) {
  return SlabRun(model, plan, options, observer).run();
}

}  // namespace convt3d
