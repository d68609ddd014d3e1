#include "convt3d/upsample/input_planes.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "convt3d/imaging/byte_reader.hpp"
#include "convt3d/nn/slabs.hpp"
#include "convt3d/upsample/stopwatch.hpp"

namespace convt3d {
namespace {

/// Channel c of (1, C, d, H, W), planes [first, first + count) of it: (1, 1, count, H, W).
TensorView channel_of(const TensorView& planes, std::int64_t c, std::int64_t first, std::int64_t count) {
  const std::int64_t plane = planes.extent.h * planes.extent.w * static_cast<std::int64_t>(size_of(planes.dtype));
  auto* const data = static_cast<std::byte*>(planes.data) + (c * planes.extent.d + first) * plane;
  return {data, planes.dtype, 1, 1, {count, planes.extent.h, planes.extent.w}};
}

/// Planes of every channel from one memory to another, in which they begin with plane `from_first` and `to_first`.
void copy_channels(const TensorView& from, std::int64_t from_first, const TensorView& to, std::int64_t to_first,
                   std::int64_t count) {
  for (std::int64_t c = 0; c < to.c; ++c) {
    const TensorView target = channel_of(to, c, to_first, count);
    const std::int64_t bytes = byte_count({count, to.extent.h, to.extent.w}, to.dtype);
    std::memcpy(target.data, channel_of(from, c, from_first, count).data, static_cast<std::size_t>(bytes));
  }
}

bool channels_are_frames(const UpsamplePlan& plan) {
  const VolumeHeader& header = plan.inputs.front();
  return plan.inputs.size() == 1 && header.frames > 1 && plan.input_shape[0] == 1;
}

/// Channels that come one after the other cannot be read side by side from one compressed file.
bool is_held(const UpsamplePlan& plan) {
  const VolumeHeader& header = plan.inputs.front();
  const bool plain = header.format == VolumeFormat::kNifti && !starts_as_gzip(header.path);
  return channels_are_frames(plan) && !plain;
}

}  // namespace

InputPlanes::InputPlanes(const UpsamplePlan& plan, DType dtype, Observer* observer)
    : shape_(plan.input_shape),
      dtype_(dtype),
      source_(plan.inputs.size() > 1      ? Source::kFiles
              : is_held(plan)             ? Source::kHeld
              : channels_are_frames(plan) ? Source::kFrames
                                          : Source::kComponents) {
  for (const VolumeHeader& header : plan.inputs) files_.push_back(std::make_unique<VolumeReader>(header, observer));
}

void InputPlanes::read(std::int64_t n, const Planes& planes, const TensorView& window, const Planes& window_planes) {
  const std::int64_t first = planes.begin - window_planes.begin;
  last_n_ = n;
  last_end_ = planes.end;
  switch (source_) {
    case Source::kHeld:
      if (!held_) held_ = files_.front()->read_all(dtype_).reshaped(shape_);
      return copy_channels(held_->view(), planes.begin, window, first, planes.count());
    case Source::kFrames:
    case Source::kFiles:
      for (std::int64_t c = 0; c < window.c; ++c) {
        const bool is_file = source_ == Source::kFiles;
        VolumeReader& file = *files_[is_file ? static_cast<std::size_t>(c) : 0];
        file.read(is_file ? 0 : c, planes.begin, channel_of(window, c, first, planes.count()));
      }
      return;
    case Source::kComponents: {
      TensorView all = window;
      if (planes == window_planes || window.c == 1) {
        all.data = channel_of(window, 0, first, planes.count()).data;
        all.extent.d = planes.count();
        return files_.front()->read(n, planes.begin, all);
      }
      Tensor part = Tensor::empty({1, window.c, planes.count(), window.extent.h, window.extent.w}, dtype_);
      files_.front()->read(n, planes.begin, part.view());
      return copy_channels(part.view(), 0, window, first, planes.count());
    }
  }
}

void InputPlanes::read_to_end() {
  const bool in_order = std::any_of(files_.begin(), files_.end(), [](const auto& file) { return !file->seeks(); });
  if (!in_order || source_ == Source::kHeld || last_end_ == shape_[2]) return;
  Tensor plane = Tensor::empty({1, shape_[1], 1, shape_[3], shape_[4]}, dtype_);
  for (std::int64_t d = last_end_; d < shape_[2]; ++d) read(last_n_, {d, d + 1}, plane.view(), {d, d + 1});
}

std::vector<LedgerEntry> input_planes_ledger(const UpsamplePlan& plan, DType dtype, std::int64_t window_planes) {
  std::int64_t bytes = 0;
  for (const VolumeHeader& header : plan.inputs) bytes += region_reading_bytes(header, dtype);
  std::vector<LedgerEntry> ledger = {{plan.inputs.size() == 1 ? "reader" : "readers", bytes}};
  if (is_held(plan)) {
    ledger.push_back({"input " + to_string(plan.input_shape) + ", since its channels follow each other, compressed",
                      byte_count(plan.input_shape, dtype)});
  } else if (plan.inputs.size() == 1 && plan.inputs.front().components > 1 && window_planes < plan.input_shape[2]) {
    Shape one = plan.input_shape;
    one[0] = 1;
    ledger.push_back({"input planes with their components", plane_bytes(one, dtype, window_planes)});
  }
  return ledger;
}

InputWindows::InputWindows(InputPlanes& input, const UpsamplePlan& plan, DType dtype, std::int64_t most_planes, int threads)
    : input_(input), shape_(plan.input_shape), dtype_(dtype), threads_(threads) {
  shape_[0] = 1;
  const std::int64_t bytes = plane_bytes(shape_, dtype, most_planes);
  for (Held* held : {&now_, &next_}) held->buffer = Buffer(static_cast<std::size_t>(bytes));
}

TensorView InputWindows::view_of(Held& held) const {
  return {held.buffer.data(), dtype_, 1, shape_[1], {held.window.planes.count(), shape_[3], shape_[4]}};
}

void InputWindows::fill(Held& held, Held& before) {
  const Stopwatch watch;
  Planes missing = held.window.planes;
  const Planes& there = before.window.planes;
  if (held.window.n == before.window.n && there.begin <= missing.begin && missing.begin < there.end) {
    const Planes common = {missing.begin, std::min(missing.end, there.end)};
    copy_channels(view_of(before), common.begin - there.begin, view_of(held), 0, common.count());
    missing.begin = common.end;
  }
  if (!missing.empty()) input_.read(held.window.n, missing, view_of(held), held.window.planes);
  held.seconds = watch.seconds();
}

ConstTensorView InputWindows::get(const Window& window, const std::optional<Window>& next) {
  const bool is_ahead = reading_ && next_.window == window;
  if (is_ahead) reading_->finish();
  reading_.reset();
  if (!is_ahead) {
    next_.window = window;
    fill(next_, now_);
  }
  seconds_ += next_.seconds;
  std::swap(now_, next_);
  if (next) {
    next_.window = *next;
    reading_.emplace(threads_, [this] { fill(next_, now_); });
  }
  const TensorView view = view_of(now_);
  return {view.data, view.dtype, view.n, view.c, view.extent};
}

}  // namespace convt3d
