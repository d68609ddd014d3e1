// The inner product of the channel-lane algorithms: BLIS's micro-kernel, with A read in place.
//
//   for position: for j: for tap: for k:  c[position][j] += a[position][k] * b[k][j]      (j: vectors of output channels)
//
// mr positions times nr vectors stay in registers over the whole reduction (product_positions); each step loads nr vectors
// of b, broadcasts mr numbers of a, and does mr*nr fused multiply-adds. Registers: mr*nr accumulators + nr weights + 1
// broadcast.
//
// Rows of few positions are taken several at once: mr is then of all of them.
//
// Few positions of one vector are fewer sums than the multiply-add's latency takes to hide: on request even and odd k are
// summed apart, where registers suffice.
//
// A long reduction is summed in parts, each from zero and then added to c: the rounding error of a sum grows with the root
// of the number of its terms, so that n terms one after the other lose sqrt(n), in parts of p only about sqrt(p) +
// sqrt(n/p).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convt3d/conv/kernels/product.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <utility>

#include "convt3d/conv/kernels/kernels.hpp"
#include "convt3d/conv/kernels/registers-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace convt3d::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// How far ahead of their use weights are asked for, in elements: they come from behind the second cache, or from memory.
/// Not those of one vector, with which there is a load for each multiplication, and none to spare.
constexpr std::int64_t kPrefetch = 1024;

/// Terms [k_begin, k_end) of taps [tap_begin, tap_end).
struct Part {
  std::int64_t tap_begin, tap_end, k_begin, k_end;
  bool is_first;  ///< written over c, others are added to it
};

/// Where a block of positions begins, in elements from args.a and args.c on.
struct Corner {
  std::int64_t a, c;
};

/// A block of `rows` times `mr` positions, in as many sums as `sums`, to which terms go in turn.
template <typename T, int rows, int mr, int nr, int sums>
void micro_kernel(const ProductArgs<T>& args, Corner corner, const Part& part) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  constexpr int all = rows * mr;
  const std::int64_t lda = args.lda;

  const T* const init = part.is_first ? args.init : nullptr;
  V acc[sums][all][nr];
#pragma GCC unroll 16
  for (int i = 0; i < all; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < nr; ++j) {
      acc[0][i][j] = init != nullptr ? hn::LoadU(d, init + j * kLanes) : hn::Zero(d);
      if constexpr (sums == 2) acc[1][i][j] = hn::Zero(d);
    }
  }
  for (std::int64_t tap = part.tap_begin; tap < part.tap_end; ++tap) {
    // x86 reaches three positions from one pointer: [p], [p + lda*4], [p + lda*8].
    constexpr int pointers = (mr + 2) / 3;
    const T* a[rows * pointers];
#pragma GCC unroll 8
    for (int i = 0; i < rows * pointers; ++i) {
      a[i] = args.a + corner.a + args.taps[tap].a_offset + part.k_begin + i / pointers * args.row_a + i % pointers * 3 * lda;
    }
    const T* b = args.b + args.taps[tap].b_offset + part.k_begin * nr * kLanes;
    const auto add_term = [&](V(&sum)[all][nr]) HWY_ATTR {
      V row[nr];
#pragma GCC unroll 4
      for (int j = 0; j < nr; ++j) row[j] = hn::Load(d, b + j * kLanes);
      b += nr * kLanes;
      if constexpr (nr > 1) {
#pragma GCC unroll 4
        for (int j = 0; j < nr; ++j) hwy::Prefetch(b + kPrefetch + j * kLanes);
      } else {
        keep_loaded(row);
      }
#pragma GCC unroll 16
      for (int i = 0; i < all; ++i) {
        const V x = hn::Set(d, a[i / mr * pointers + i % mr / 3][i % mr % 3 * lda]);
#pragma GCC unroll 4
        for (int j = 0; j < nr; ++j) sum[i][j] = hn::MulAdd(x, row[j], sum[i][j]);
      }
#pragma GCC unroll 8
      for (int i = 0; i < rows * pointers; ++i) ++a[i];
    };
    std::int64_t k = part.k_begin;
    if constexpr (sums == 2) {
      for (; k + 1 < part.k_end; k += 2) {
        add_term(acc[0]);
        add_term(acc[1]);
      }
    }
    for (; k < part.k_end; ++k) add_term(acc[0]);
  }
  T* c[nr];
#pragma GCC unroll 4
  for (int j = 0; j < nr; ++j) c[j] = args.c[j] + corner.c;
  const auto place = [c, row_c = args.row_c, ldc = args.ldc](int i, int j) { return c[j] + i / mr * row_c + i % mr * ldc; };
#pragma GCC unroll 16
  for (int i = 0; i < all; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < nr; ++j) {
      if constexpr (sums == 2) acc[0][i][j] = hn::Add(acc[0][i][j], acc[1][i][j]);
      if (!part.is_first) acc[0][i][j] = hn::Add(acc[0][i][j], hn::Load(d, place(i, j)));
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < all; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < nr; ++j) hn::Store(acc[0][i][j], d, place(i, j));
  }
}

template <typename T>
using MicroKernelFn = void (*)(const ProductArgs<T>&, Corner, const Part&);

/// The parts one after the other. Which they are depends on the taps' places in b alone, not on those left out, so that
/// positions with other neighbours are summed alike. `place` is a tap's, in terms.
template <typename T, class Place>
void all_parts(const ProductArgs<T>& args, Corner corner, MicroKernelFn<T> kernel, const Place& place) {
  const std::int64_t k = args.k;
  const std::int64_t pieces = (k + args.part - 1) / args.part;              // of a tap
  const std::int64_t group = std::max<std::int64_t>(1, args.part / k) * k;  // terms of whole taps
  Part part{.tap_begin = 0, .tap_end = 0, .k_begin = 0, .k_end = k, .is_first = !args.adds};
  if (part.is_first && place(0) >= group) {  // the first part is missing: it would have been init alone
    kernel(args, corner, part);
    part.is_first = false;
  }
  for (; part.tap_begin < args.tap_count; part.tap_begin = part.tap_end) {
    part.tap_end = part.tap_begin + 1;
    while (part.tap_end < args.tap_count && place(part.tap_end) / group == place(part.tap_begin) / group) ++part.tap_end;
    for (std::int64_t piece = 0; piece < pieces; ++piece, part.is_first = false) {
      part.k_begin = k * piece / pieces;
      part.k_end = k * (piece + 1) / pieces;
      kernel(args, corner, part);
    }
  }
}

/// The micro-kernel for so many rows of `mr` positions, of those with 1 to sizeof...(i).
template <typename T, int rows, int nr, int sums, int... i>
HWY_INLINE MicroKernelFn<T> kernel_of(std::int64_t mr, std::integer_sequence<int, i...>) {
  static constexpr MicroKernelFn<T> kKernels[] = {micro_kernel<T, rows, i + 1, nr, sums>...};
  return kKernels[mr - 1];
}
template <typename T, int nr, int sums, int most>
HWY_INLINE MicroKernelFn<T> kernel_of(std::int64_t rows, std::int64_t mr) {
  switch (rows) {
    case 1: return kernel_of<T, 1, nr, sums>(mr, std::make_integer_sequence<int, most>());
    case 2: return kernel_of<T, 2, nr, sums>(mr, std::make_integer_sequence<int, most / 2>());
    case 3: return kernel_of<T, 3, nr, sums>(mr, std::make_integer_sequence<int, most / 3>());
    default: return kernel_of<T, kMostProductRows, nr, sums>(mr, std::make_integer_sequence<int, most / kMostProductRows>());
  }
}

/// Calls function(first, count) for `all` in blocks of at most `most` and nearly equal size, so that none is left with a
/// few.
template <class Function>
HWY_INLINE void in_blocks(std::int64_t all, std::int64_t most, Function&& function) {
  if (all <= most) {
    if (all > 0) function(std::int64_t{0}, all);
    return;
  }
  const std::int64_t blocks = (all + most - 1) / most, least = all / blocks, larger = all % blocks;
  for (std::int64_t block = 0, first = 0; block < blocks; ++block) {
    const std::int64_t count = least + (block < larger);
    function(first, count);
    first += count;
  }
}

/// In blocks of several rows where one is short enough, or of some of a row's positions.
template <typename T, int nr, int sums = 1>
void blocks(const ProductArgs<T>& args) {
  constexpr int most = product_positions(nr, kWide, sums == 2);
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
  const auto place = [&](std::int64_t tap) { return args.taps[tap].b_offset / (nr * kLanes); };
  const Part whole{.tap_begin = 0, .tap_end = args.tap_count, .k_begin = 0, .k_end = args.k, .is_first = !args.adds};
  const bool is_one = args.tap_count == 0 || place(args.tap_count - 1) + args.k <= args.part;
  const std::int64_t rows_at_once = args.rows == 1 ? 1 : product_rows(args.positions, most);
  in_blocks(args.rows, rows_at_once, [&](std::int64_t row, std::int64_t rows) {
    in_blocks(args.positions, most, [&](std::int64_t position, std::int64_t mr) {
      const MicroKernelFn<T> kernel = kernel_of<T, nr, sums, most>(rows, mr);
      const Corner corner{row * args.row_a + position * args.lda, row * args.row_c + position * args.ldc};
      if (is_one) {
        kernel(args, corner, whole);
      } else {
        all_parts(args, corner, kernel, place);
      }
    });
  });
}

template <typename T>
void product(const ProductArgs<T>& args) {
  switch (args.nr) {
    case 1: return args.apart ? blocks<T, 1, 2>(args) : blocks<T, 1>(args);
    case 2: return blocks<T, 2>(args);
    default: return blocks<T, 3>(args);
  }
}

}  // namespace

inline constexpr ProductFn<float> kProductF32 = product<float>;
inline constexpr ProductFn<double> kProductF64 = product<double>;
inline constexpr int kLanesF32 = static_cast<int>(hn::MaxLanes(hn::ScalableTag<float>()));
inline constexpr int kLanesF64 = static_cast<int>(hn::MaxLanes(hn::ScalableTag<double>()));
inline const char* target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace convt3d::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "convt3d/conv/kernels/per_isa.hpp"

namespace convt3d::kernels {

template <>
ProductFn<float> product<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kProductF32)
}
template <>
ProductFn<double> product<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kProductF64)
}
template <>
int lanes<float>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kLanesF32)
}
template <>
int lanes<double>(Isa isa) {
  CONVT3D_FOR_ISA(isa, kLanesF64)
}
const char* target_name(Isa isa) { CONVT3D_FOR_ISA(isa, target_name()) }

}  // namespace convt3d::kernels
#endif
