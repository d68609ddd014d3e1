#include "convt3d/conv/interpolate.hpp"

#include <algorithm>
#include <string>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/conv/algorithm.hpp"
#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/parallel.hpp"

namespace convt3d {
namespace {

constexpr std::int64_t kLine = 64;  // bytes: a line of cache, and the widest vector

// Of two planes of expanded rows, in bytes: half of a core's L2 of 1 MiB.
constexpr std::int64_t kPanelBytes = std::int64_t{1} << 19;

// Output planes of a task. The next one expands one or two input planes again that this one has had.
constexpr std::int64_t kPlanes = 64;

std::size_t index(std::int64_t at) { return static_cast<std::size_t>(at); }

/// Neighbouring output rows of a plane, [begin, end), and how many input rows they need.
struct RowRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t rows = 0;
};

std::int64_t pitch_of(const AxisBlends& axes, std::int64_t element_bytes) {
  return round_up(static_cast<std::int64_t>(axes[2].first.size()), kLine / element_bytes);
}

/// Cut so that the input rows of a range, of two planes and as wide as the output, stay in cache: at least one row each.
std::vector<RowRange> row_ranges(const AxisBlends& axes, std::int64_t element_bytes) {
  const AxisBlend& h = axes[1];
  const std::int64_t most = std::max<std::int64_t>(kPanelBytes / 2 / (pitch_of(axes, element_bytes) * element_bytes), 1);
  std::vector<RowRange> ranges;
  for (std::int64_t oh = 0; oh < static_cast<std::int64_t>(h.first.size()); ++oh) {
    const std::int64_t rows = ranges.empty() ? 0 : h.second[index(oh)] - h.first[index(ranges.back().begin)] + 1;
    if (ranges.empty() || rows > most) ranges.push_back({.begin = oh});
    RowRange& range = ranges.back();
    range.end = oh + 1;
    range.rows = h.second[index(oh)] - h.first[index(range.begin)] + 1;
  }
  return ranges;
}

std::int64_t panel_rows(const std::vector<RowRange>& ranges) {
  std::int64_t rows = 0;
  for (const RowRange& range : ranges) rows = std::max(rows, range.rows);
  return rows;
}

/// Two planes of panels and one output row.
std::int64_t scratch_bytes(const AxisBlends& axes, const std::vector<RowRange>& ranges, std::int64_t element_bytes) {
  return (2 * panel_rows(ranges) + 1) * pitch_of(axes, element_bytes) * element_bytes;
}

template <typename T>
class Interpolation {
 public:
  Interpolation(const ConstTensorView& input, const TensorView& output, const AxisBlends& axes, Isa isa)
      : input_(input),
        output_(output),
        axes_(axes),
        expand_row_(kernels::expand_row<T>(isa)),
        blend_rows_(kernels::blend_rows<T>(isa)),
        copy_row_(kernels::copy_row<T>(isa)),
        stream_row_(kernels::stream_row<T>(isa)),
        ranges_(row_ranges(axes, sizeof(T))),
        pitch_(pitch_of(axes, sizeof(T))),
        plane_(panel_rows(ranges_) * pitch_),
        columns_(static_cast<std::size_t>(pitch_) * (2 * sizeof(Index) + sizeof(T))) {
    const AxisBlend& w = axes[2];
    first_ = fill(static_cast<Index*>(columns_.data()), w.first);
    second_ = fill(static_cast<Index*>(columns_.data()) + pitch_, w.second);
    weight_ = fill(static_cast<T*>(columns_.data()) + 2 * pitch_, w.weight);
  }

  void run(int threads, bool stream) {
    const auto ranges = static_cast<std::int64_t>(ranges_.size());
    const std::int64_t parts = ceil_div(output_.extent.d, kPlanes);
    ScratchPool pool(static_cast<std::size_t>(scratch_bytes(axes_, ranges_, sizeof(T))));
    run_tasks(threads, output_.n * output_.c * parts * ranges, pool, nullptr, [&](std::int64_t task, void* scratch) {
      TaskDigits digits(task);
      const RowRange& range = ranges_[index(digits.next(ranges))];
      const std::int64_t od = digits.next(parts) * kPlanes;
      Panel panel{.rows = {static_cast<T*>(scratch), static_cast<T*>(scratch) + plane_}};
      kernels::RowStream<T> waiting;
      run_rows(digits.rest(), {od, std::min(od + kPlanes, output_.extent.d)}, range, panel,
               static_cast<T*>(scratch) + 2 * plane_, stream ? &waiting : nullptr);
      if (stream) kernels::flush(waiting);
    });
  }

 private:
  using Index = kernels::RowIndex<T>;

  /// A row of `pitch_` entries: the values, then zeros.
  template <typename Entry, typename Value>
  const Entry* fill(Entry* row, const std::vector<Value>& values) const {
    std::fill_n(row, pitch_, Entry(0));
    std::transform(values.begin(), values.end(), row, [](Value value) { return static_cast<Entry>(value); });
    return row;
  }

  /// The expanded rows of two input planes.
  struct Panel {
    std::array<T*, 2> rows;
    std::array<std::int64_t, 2> plane = {-1, -1};
  };

  void run_rows(std::int64_t volume, std::array<std::int64_t, 2> planes, const RowRange& range, Panel& panel, T* row,
                kernels::RowStream<T>* waiting) const {
    const AxisBlend& d = axes_[0];
    const AxisBlend& h = axes_[1];
    for (std::int64_t od = planes[0]; od < planes[1]; ++od) {
      const std::array<std::int64_t, 2> id = {d.first[index(od)], d.second[index(od)]};
      const double d_weight = d.weight[index(od)];
      const T* const near = expanded(volume, id[0], id[1], range, panel);
      const T* const far = d_weight == 0 ? near : expanded(volume, id[1], id[0], range, panel);
      T* const target =
          static_cast<T*>(output_.data) + (volume * output_.extent.d + od) * output_.extent.h * output_.extent.w;
      for (std::int64_t oh = range.begin; oh < range.end; ++oh) {
        kernels::BlendRowsArgs<T> args{.row_count = 0, .count = output_.extent.w, .target = row};
        const auto take = [&](const T* plane, std::int64_t ih, double weight) {
          if (weight == 0) return;
          args.rows[args.row_count] = plane + (ih - h.first[index(range.begin)]) * pitch_;
          args.weights[args.row_count++] = static_cast<T>(weight);
        };
        const double h_weight = h.weight[index(oh)];
        take(near, h.first[index(oh)], (1 - d_weight) * (1 - h_weight));
        take(near, h.second[index(oh)], (1 - d_weight) * h_weight);
        take(far, h.first[index(oh)], d_weight * (1 - h_weight));
        take(far, h.second[index(oh)], d_weight * h_weight);
        blend_rows_(args);
        T* const to = target + oh * output_.extent.w;
        waiting != nullptr ? stream_row_(row, to, output_.extent.w, *waiting) : copy_row_(row, to, output_.extent.w);
      }
    }
  }

  /// The range's rows of an input plane, expanded unless they are there; what is there of plane `keep` stays.
  const T* expanded(std::int64_t volume, std::int64_t plane, std::int64_t keep, const RowRange& range, Panel& panel) const {
    for (std::size_t i = 0; i < 2; ++i) {
      if (panel.plane[i] == plane) return panel.rows[i];
    }
    const std::size_t slot = panel.plane[0] == keep ? 1 : 0;
    panel.plane[slot] = plane;
    const std::int64_t first = axes_[1].first[index(range.begin)];
    const std::int64_t width = input_.extent.w;
    const T* source =
        static_cast<const T*>(input_.data) + ((volume * input_.extent.d + plane) * input_.extent.h + first) * width;
    T* target = panel.rows[slot];
    for (std::int64_t row = 0; row < range.rows; ++row, source += width, target += pitch_) {
      expand_row_({.source = source,
                   .first = first_,
                   .second = second_,
                   .weight = weight_,
                   .count = output_.extent.w,
                   .target = target});
    }
    return panel.rows[slot];
  }

  ConstTensorView input_;
  TensorView output_;
  const AxisBlends& axes_;
  kernels::ExpandRowFn<T> expand_row_;
  kernels::BlendRowsFn<T> blend_rows_;
  kernels::CopyRowFn<T> copy_row_;
  kernels::StreamRowFn<T> stream_row_;
  std::vector<RowRange> ranges_;
  std::int64_t pitch_;  ///< of rows, in elements
  std::int64_t plane_;  ///< of a panel, likewise
  Buffer columns_;      ///< first_, second_ and weight_
  const Index* first_;
  const Index* second_;
  const T* weight_;
};

template <typename T>
void interpolate_in(const ConstTensorView& input, const TensorView& output, const AxisBlends& axes, int threads, Isa isa,
                    std::int64_t caches) {
  const std::int64_t elements = output.n * output.c * output.extent.d * output.extent.h * output.extent.w;
  if (elements == 0) return;
  Interpolation<T>(input, output, axes, isa).run(threads, elements * static_cast<std::int64_t>(sizeof(T)) > caches);
}

}  // namespace

void interpolate(const ConstTensorView& input, const TensorView& output, const AxisBlends& axes, int threads,
                 std::optional<Isa> isa) {
  static const Machine machine = Machine::detect();
  const Isa with = isa ? *isa : machine.isa;
  const std::int64_t caches = 4 * machine.l2_bytes;  // an output larger than that is written past them
  if (output.dtype == DType::kFloat64) return interpolate_in<double>(input, output, axes, threads, with, caches);
  if (output.dtype == DType::kFloat32) return interpolate_in<float>(input, output, axes, threads, with, caches);
  throw Error(ErrorKind::kShape,
              "interpolation is of float32 and float64; the input is " + std::string(name_of(output.dtype)));
}

std::int64_t interpolation_bytes(const AxisBlends& axes, DType dtype, int threads) {
  const auto element = static_cast<std::int64_t>(size_of(dtype));
  return threads * scratch_bytes(axes, row_ranges(axes, element), element) + 3 * pitch_of(axes, element) * element;
}

}  // namespace convt3d
