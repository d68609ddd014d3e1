// Rows between the two layouts: NCDHW outside (w fastest), channels in lanes inside.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/rows.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/partial-inl.hpp"
#include "convt3d/conv/kernels/stream_row-inl.hpp"
#include "convt3d/conv/kernels/transpose-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

using Tag = hn::ScalableTag<float>;
using V = hn::Vec<Tag>;
constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(Tag()));

/// How far ahead of their use a channel's voxels are asked for, in elements: from a vector's channels on, they come in more
/// streams than the processor follows by itself. Beyond a row's end lies the next one's, which is packed next.
constexpr std::int64_t kPrefetch = 64;

/// The target's columns, from channel c on, of one row.
class OneRow {
 public:
  OneRow(const PackArgs<float>& args, std::int64_t c) : next_(args.target + c), ld_(args.ld) {}
  /// The next `kLanes` or fewer, to be asked for in turn.
  HWY_INLINE float* column(int i) const { return next_ + i * ld_; }
  HWY_INLINE void advance() { next_ += kLanes * ld_; }

 private:
  float* next_;
  std::int64_t ld_;
};

/// The same of several rows.
class SeveralRows {
 public:
  SeveralRows(const PackArgs<float>& args, std::int64_t c)
      : next_(args.target + c),
        ld_(args.ld),
        skip_(args.row_stride - args.count * args.ld),
        count_(args.count),
        left_(count_) {}

  HWY_INLINE float* column(int /*i*/) {
    float* const result = next_;
    next_ += ld_;
    if (--left_ == 0) {
      next_ += skip_;
      left_ = count_;
    }
    return result;
  }
  HWY_INLINE void advance() {}

 private:
  float* next_;
  std::int64_t ld_, skip_;
  std::int64_t count_, left_;
};

/// Channels from `c` on, one element at a time.
template <typename T>
void pack_plain(const PackArgs<T>& args, std::int64_t c) {
  for (; c < args.padded_channels; ++c) {
    const T* source = args.source + c * args.channel_stride;
    for (std::int64_t row = 0; row < args.rows; ++row, source += args.count) {
      T* const target = args.target + row * args.row_stride + c;
      for (std::int64_t x = 0; x < args.count; ++x) target[x * args.ld] = c < args.channels ? source[x] : T{0};
    }
  }
}

void pack_f64(const PackArgs<double>& args) { pack_plain(args, 0); }

/// One to four channels that fill the columns of one row.
template <int channels>
void pack_dense(const PackArgs<float>& args) {
  std::int64_t x = 0;
#if HWY_TARGET != HWY_SCALAR
  const Tag d;
  for (; x + kLanes <= args.count; x += kLanes) {
    V r[channels];
#pragma GCC unroll 4
    for (int c = 0; c < channels; ++c) r[c] = hn::LoadU(d, args.source + c * args.channel_stride + x);
    float* const to = args.target + x * channels;
    if constexpr (channels == 1) hn::StoreU(r[0], d, to);
    if constexpr (channels == 2) hn::StoreInterleaved2(r[0], r[1], d, to);
    if constexpr (channels == 3) hn::StoreInterleaved3(r[0], r[1], r[2], d, to);
    if constexpr (channels == 4) hn::StoreInterleaved4(r[0], r[1], r[2], r[3], d, to);
  }
#endif
  for (; x < args.count; ++x) {
    for (int c = 0; c < channels; ++c) args.target[x * channels + c] = args.source[c * args.channel_stride + x];
  }
}

/// At most a vector of channels, a square of channels x voxels at a time: with zeros up to a vector, or no more than they
/// are.
template <bool padded, class Rows>
void pack_square(const PackArgs<float>& args) {
  const Tag d;
  Rows rows(args, 0);
  const std::int64_t count = args.rows * args.count;
  for (std::int64_t x = 0; x < count; x += kLanes) {
    const std::int64_t columns = std::min(kLanes, count - x);
    V r[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      r[i] = hn::Zero(d);
      if (i >= args.channels) continue;
      const float* const source = args.source + i * args.channel_stride + x;
      r[i] = columns == kLanes ? hn::LoadU(d, source) : load_first(d, source, columns);
    }
    transpose(d, r);
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if (i >= columns) continue;
      float* const to = rows.column(i);
      if constexpr (padded) {
        hn::StoreU(r[i], d, to);
      } else {
        store_first(r[i], d, to, args.channels);
      }
    }
    rows.advance();
  }
}

/// A square of channels x voxels at a time. Of channels that are left over, a few go one by one, more of them with some that
/// have gone before.
template <class Rows>
void pack_vectors(const PackArgs<float>& args) {
  const Tag d;
  const std::int64_t left = args.channels % kLanes;
  const bool again = args.channels > kLanes && left >= 4;
  const std::int64_t packed = args.channels - (again ? 0 : left);
  const std::int64_t count = args.rows * args.count;
  for (std::int64_t next = 0; next < packed; next += kLanes) {
    const std::int64_t c = std::min(next, packed - kLanes);
    Rows rows(args, c);
    for (std::int64_t x = 0; x < count; x += kLanes) {
      const float* source = args.source + c * args.channel_stride + x;
      const std::int64_t columns = std::min(kLanes, count - x);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) hwy::Prefetch(source + i * args.channel_stride + kPrefetch);
      V r[kLanes];
      if (columns == kLanes) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) r[i] = hn::LoadU(d, source + i * args.channel_stride);
        transpose(d, r);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) hn::StoreU(r[i], d, rows.column(i));
      } else {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) r[i] = load_first(d, source + i * args.channel_stride, columns);
        transpose(d, r);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) {
          if (i < columns) hn::StoreU(r[i], d, rows.column(i));
        }
      }
      rows.advance();
    }
  }
  pack_plain(args, packed);
}

template <class Rows>
void pack(const PackArgs<float>& args) {
  if (args.channels < kLanes && args.padded_channels == kLanes) return pack_square</*padded=*/true, Rows>(args);
  if (CONVT3D_MASKED_MEMORY && args.channels < kLanes && args.channels > kLanes / 4 && args.padded_channels == args.channels)
    return pack_square</*padded=*/false, Rows>(args);
  pack_vectors<Rows>(args);
}

void pack_rows_dense(PackArgs<float> args) {
  for (; args.rows > 0; --args.rows, args.source += args.count, args.target += args.row_stride) {
    switch (args.channels) {
      case 1: pack_dense<1>(args); break;
      case 2: pack_dense<2>(args); break;
      case 3: pack_dense<3>(args); break;
      default: pack_dense<4>(args);
    }
  }
}

void pack_f32(const PackArgs<float>& args) {
  if (args.rows > 1 && args.row_stride == args.count * args.ld) {
    PackArgs<float> row = args;
    row.count *= row.rows;
    row.rows = 1;
    return pack_f32(row);
  }
  if (args.ld == args.channels && args.padded_channels == args.channels && args.channels <= 4) return pack_rows_dense(args);
  if (args.rows == 1) return pack<OneRow>(args);
  pack<SeveralRows>(args);
}

template <typename T>
bool all_within(const T* values, std::int64_t count, T limit) {
  const hn::ScalableTag<T> d;
  constexpr auto kStep = static_cast<std::int64_t>(hn::MaxLanes(d));
  const auto most = hn::Set(d, limit);
  const auto within = [&](auto x) { return hn::Le(hn::Abs(x), most); };
  std::int64_t i = 0;
  auto all = within(load_first(d, values + count / kStep * kStep, count % kStep));
  for (; i + kStep <= count; i += kStep) all = hn::And(all, within(hn::LoadU(d, values + i)));
  return hn::AllTrue(d, all);
}

void unpack_f64(const UnpackArgs<double>& args) {
  for (std::int64_t c = 0; c < args.channels; ++c) {
    double* target = args.target + c * args.channel_stride;
    for (std::int64_t x = 0; x < args.count; ++x) target[x] = args.staging[x * args.ld + c];
  }
}

/// Whether every channel's row is whole vectors.
bool rows_aligned(const UnpackArgs<float>& args) {
  const auto bits =
      reinterpret_cast<std::uintptr_t>(args.target) | static_cast<std::uintptr_t>((args.channel_stride | args.count) * 4);
  return bits % (kLanes * 4) == 0;
}

/// One to four channels that fill the staging row: without transposing lanes that hold none of them.
template <int channels>
void unpack_dense(const UnpackArgs<float>& args) {
  std::int64_t x = 0;
#if HWY_TARGET != HWY_SCALAR
  const Tag d;
  for (; x + kLanes <= args.count; x += kLanes) {
    const float* const from = args.staging + x * channels;
    V r[4];
    if constexpr (channels == 1) r[0] = hn::LoadU(d, from);
    if constexpr (channels == 2) hn::LoadInterleaved2(d, from, r[0], r[1]);
    if constexpr (channels == 3) hn::LoadInterleaved3(d, from, r[0], r[1], r[2]);
    if constexpr (channels == 4) hn::LoadInterleaved4(d, from, r[0], r[1], r[2], r[3]);
#pragma GCC unroll 4
    for (int c = 0; c < channels; ++c) hn::StoreU(r[c], d, args.target + c * args.channel_stride + x);
  }
#endif
  for (; x < args.count; ++x) {
    for (int c = 0; c < channels; ++c) args.target[c * args.channel_stride + x] = args.staging[x * channels + c];
  }
}

/// Past the caches by way of some columns of each channel.
void unpack_streams(const UnpackArgs<float>& args) {
  constexpr std::int64_t kColumns = 256;
  const Tag d;
  HWY_ALIGN float rows[kLanes][kColumns];
  for (std::int64_t x = 0; x < args.count; x += kColumns) {
    const std::int64_t columns = std::min(kColumns, args.count - x);
    for (std::int64_t i = 0; i < columns; i += kLanes) {
      V r[kLanes];
#pragma GCC unroll 16
      for (int j = 0; j < kLanes; ++j) r[j] = hn::LoadU(d, args.staging + std::min(x + i + j, args.count - 1) * args.ld);
      transpose(d, r);
#pragma GCC unroll 16
      for (int c = 0; c < kLanes; ++c) hn::Store(r[c], d, rows[c] + i);
    }
    for (std::int64_t c = 0; c < args.channels; ++c)
      stream_row(rows[c], args.target + c * args.channel_stride + x, columns, args.streams[c]);
  }
}

void unpack_f32(const UnpackArgs<float>& args) {
  if (args.ld == args.channels && args.ld <= 4 && args.ld < kLanes) {
    switch (args.channels) {
      case 1: return unpack_dense<1>(args);
      case 2: return unpack_dense<2>(args);
      case 3: return unpack_dense<3>(args);
      default: return unpack_dense<4>(args);
    }
  }
  const Tag d;
  const bool stream = args.streams != nullptr;
  if (stream && !(args.channels == kLanes && rows_aligned(args))) return unpack_streams(args);
  std::int64_t x = 0;
  for (; x + kLanes <= args.count; x += kLanes) {
    V r[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) r[i] = hn::LoadU(d, args.staging + (x + i) * args.ld);
    transpose(d, r);
    float* target = args.target + x;
    if (stream) {
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) hn::Stream(r[i], d, target + i * args.channel_stride);
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        if (i < args.channels) hn::StoreU(r[i], d, target + i * args.channel_stride);
      }
    }
  }
  if (x == args.count) return;
  V r[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) r[i] = hn::LoadU(d, args.staging + std::min(x + i, args.count - 1) * args.ld);
  transpose(d, r);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i < args.channels) store_first(r[i], d, args.target + x + i * args.channel_stride, args.count - x);
  }
}

}  // namespace

inline constexpr PackFn<float> kPackF32 = pack_f32;
inline constexpr PackFn<double> kPackF64 = pack_f64;
inline constexpr AllWithinFn<float> kAllWithinF32 = all_within<float>;
inline constexpr AllWithinFn<double> kAllWithinF64 = all_within<double>;
inline constexpr UnpackFn<float> kUnpackF32 = unpack_f32;
inline constexpr UnpackFn<double> kUnpackF64 = unpack_f64;

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

template <>
PackFn<float> pack_row<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kPackF32)
}
template <>
PackFn<double> pack_row<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kPackF64)
}
template <>
AllWithinFn<float> all_within<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kAllWithinF32)
}
template <>
AllWithinFn<double> all_within<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kAllWithinF64)
}
template <>
UnpackFn<float> unpack_row<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kUnpackF32)
}
template <>
UnpackFn<double> unpack_row<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kUnpackF64)
}

}  // namespace convt3d::kernels
#endif
