#include "convt3d/conv/pointwise.hpp"

#include <algorithm>
#include <string>

#include "convt3d/base/error.hpp"
#include "convt3d/conv/packed_epilogue.hpp"
#include "convt3d/conv/parallel.hpp"

namespace convt3d {
namespace {

// 2^16 elements are 256 or 512 KiB: they stay in a core's L2, and starting a task is nothing against computing them.
constexpr std::int64_t kGrain = std::int64_t{1} << 16;

// Of rows that several functions go over: 16 or 32 KiB stay in a core's L1 from one to the next.
constexpr std::int64_t kRow = std::int64_t{1} << 12;

const Machine& this_machine() {
  static const Machine machine = Machine::detect();
  return machine;
}

void require_fit(const Pointwise& pointwise, std::int64_t channels) {
  if (fits_channels(pointwise, channels)) return;
  throw Error(ErrorKind::kShape, "a pointwise function has " + std::to_string(pointwise.p.size()) + " and " +
                                     std::to_string(pointwise.q.size()) + " parameters; expected 1 or one for each of " +
                                     std::to_string(channels) + " channels");
}

/// Parameters of all channels, each group's padded to `pitch` with its last.
template <typename T>
std::vector<T> spread(const std::vector<double>& values, std::int64_t groups, std::int64_t per_group, std::int64_t pitch) {
  std::vector<T> padded;
  for (std::int64_t group = 0; group < groups; ++group) {
    for (std::int64_t c = 0; c < pitch; ++c) {
      const std::int64_t channel = group * per_group + std::min(c, per_group - 1);
      padded.push_back(static_cast<T>(values[values.size() == 1 ? 0 : static_cast<std::size_t>(channel)]));
    }
  }
  return padded;
}

bool is_uniform(const Pointwise& pointwise) { return pointwise.p.size() == 1 && pointwise.q.size() == 1; }

template <typename T>
void apply_to(const Epilogue& functions, const TensorView& volumes, int threads, Isa isa) {
  const PackedEpilogue<T> packed(functions, volumes.c, 1, isa);
  auto* const elements = static_cast<T*>(volumes.data);
  const std::int64_t volume = volumes.extent.d * volumes.extent.h * volumes.extent.w;
  const std::int64_t run =
      std::all_of(functions.begin(), functions.end(), is_uniform) ? volumes.n * volumes.c * volume : volume;
  const std::int64_t longest = functions.size() > 1 ? kRow : run;
  const auto range = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end;) {  // one channel's part of [begin, end) after the other
      const std::int64_t last = std::min({end, (at / run + 1) * run, at + longest});
      packed.on_row(at / volume % volumes.c, elements + at, last - at);
      at = last;
    }
  };
  parallel_for(threads, volumes.n * volumes.c * volume, kGrain, range);
}

}  // namespace

template <typename T>
PackedEpilogue<T>::PackedEpilogue(const Epilogue& epilogue, std::int64_t channels, std::int64_t groups, Isa isa)
    : lanes_(kernels::lanes<T>(isa)), per_group_(channels / groups), pitch_(round_up(per_group_, lanes_)) {
  for (const Pointwise& pointwise : epilogue) {
    require_fit(pointwise, channels);
    steps_.push_back({kernels::pointwise<T>(isa, pointwise.function), spread<T>(pointwise.p, groups, per_group_, pitch_),
                      spread<T>(pointwise.q, groups, per_group_, pitch_)});
  }
}

template <typename T>
std::int64_t PackedEpilogue<T>::bytes(int functions, std::int64_t channels, std::int64_t groups, Isa isa) {
  return functions * 2 * groups * round_up(channels / groups, kernels::lanes<T>(isa)) * static_cast<std::int64_t>(sizeof(T));
}

template class PackedEpilogue<float>;
template class PackedEpilogue<double>;

bool fits_channels(const Pointwise& pointwise, std::int64_t channels) {
  const auto fits = [&](const std::vector<double>& values) {
    return values.size() == 1 || static_cast<std::int64_t>(values.size()) == channels;
  };
  return fits(pointwise.p) && fits(pointwise.q);
}

void apply_all(const Epilogue& functions, const TensorView& volumes, int threads, std::optional<Isa> isa) {
  for (const Pointwise& function : functions) require_fit(function, volumes.c);
  if (functions.empty()) return;
  if (volumes.n * volumes.c * volumes.extent.d * volumes.extent.h * volumes.extent.w == 0) return;
  const Isa with = isa ? *isa : this_machine().isa;
  if (volumes.dtype == DType::kFloat64) return apply_to<double>(functions, volumes, threads, with);
  if (volumes.dtype == DType::kFloat32) return apply_to<float>(functions, volumes, threads, with);
  throw Error(ErrorKind::kShape,
              "pointwise functions are of float32 and float64; the input is " + std::string(name_of(volumes.dtype)));
}

void apply(const Pointwise& pointwise, const TensorView& volumes, int threads, std::optional<Isa> isa) {
  apply_all({pointwise}, volumes, threads, isa);
}

}  // namespace convt3d
