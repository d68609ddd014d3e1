#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "convt3d/base/machine.hpp"
#include "convt3d/conv/pointwise.hpp"

// The kernels: all SIMD of the project. Each is compiled for every instruction set and reached through a function pointer,
// so that nothing but that pointer depends on the machine. T is float or double.
namespace convt3d::kernels {

/// Elements of a vector of T.
template <typename T>
int lanes(Isa isa);

/// The instruction set that the kernels for `isa` were compiled for, as the compiler knew it.
const char* target_name(Isa isa);

/// One run of a reduction: k values per position at a + position*lda + a_offset, against rows of packed weights at
/// b + b_offset. In elements.
struct ProductTap {
  std::int64_t a_offset = 0;
  std::int64_t b_offset = 0;
};

inline constexpr int kMaxNr = 3;

/// Products of rows of positions with packed weights, nr vectors of columns at once:
///   c[j][row*row_c + position*ldc + lane] = init[j*lanes + lane]
///     + Σ_tap Σ_k a[row*row_a + position*lda + a_offset + k] · b[b_offset + (k*nr + j)*lanes + lane]
/// for j < nr; summed over taps, then over k, in this order for every position whatever the blocking, in parts of at most
/// `part` terms. Taps stand in the order of their weights, of equal distances in b (k*nr vectors or more); some may be
/// missing. With `adds`, c takes the place of init: the parts are added to what it holds. With `apart`, for few positions,
/// nr = 1 sums each tap's even and odd k apart and adds them at a part's end.
template <typename T>
struct ProductArgs {
  const T* a = nullptr;
  std::int64_t lda = 0;
  std::int64_t positions = 0;  ///< of a row
  std::int64_t rows = 1;
  std::int64_t row_a = 0;
  const ProductTap* taps = nullptr;
  std::int64_t tap_count = 0;
  std::int64_t k = 0;
  std::int64_t part = 512;  ///< terms that round by at most about 5e-7 of their sum's root mean square, in float32
  const T* b = nullptr;     ///< aligned to a vector
  int nr = 1;               ///< 1 to kMaxNr
  const T* init = nullptr;  ///< null for zero
  bool adds = false;
  bool apart = false;
  T* c[kMaxNr] = {};  ///< aligned to a vector
  std::int64_t ldc = 0;
  std::int64_t row_c = 0;
};
/// Positions of nr vectors whose sums registers hold at once, `wide` where there are 32 of them: mr*nr accumulators (twice
/// as many `apart`), nr weights and a number of a.
constexpr int product_positions(int nr, bool wide, bool apart = false) {
  constexpr int kWide[kMaxNr + 1] = {0, 16, 14, 9}, kNarrow[kMaxNr + 1] = {0, 12, 6, 4};
  if (apart && nr == 1) return wide ? 14 : 6;
  return (wide ? kWide : kNarrow)[nr];
}

/// Rows of so many positions that are taken at once, where so many fit.
inline constexpr int kMostProductRows = 4;
constexpr std::int64_t product_rows(std::int64_t positions, int most_positions) {
  return std::clamp<std::int64_t>(most_positions / std::max<std::int64_t>(1, positions), 1, kMostProductRows);
}

template <typename T>
using ProductFn = void (*)(const ProductArgs<T>&);
template <typename T>
ProductFn<T> product(Isa isa);

/// The same of words of two bfloat16, low and high: each step adds two products to a float32. `part`, `adds` and `apart` are
/// ignored. For machines with Machine::bfloat16; null where the compiler's target has none.
ProductFn<float> product_bfloat16();

/// Neighbouring floats into words of two bfloat16, rounded to nearest even, subnormals to zero: source[x*source_ld + 2k] and
/// the one after it to target[x*target_ld + k], k < pairs, x < columns.
struct NarrowArgs {
  const float* source = nullptr;
  std::int64_t source_ld = 0;
  std::int64_t columns = 0;
  std::int64_t pairs = 0;
  float* target = nullptr;
  std::int64_t target_ld = 0;
};
using NarrowFn = void (*)(const NarrowArgs&);
NarrowFn narrow_to_bfloat16();

/// Channels into lanes: source[c*channel_stride + row*count + x] to target[row*row_stride + x*ld + c] for c < channels, row
/// < rows, x < count; zero for channels <= c < padded_channels.
template <typename T>
struct PackArgs {
  const T* source = nullptr;
  std::int64_t channel_stride = 0;
  std::int64_t channels = 0;
  std::int64_t padded_channels = 0;
  std::int64_t count = 0;
  T* target = nullptr;
  std::int64_t ld = 0;
  std::int64_t rows = 1;
  std::int64_t row_stride = 0;
};
template <typename T>
using PackFn = void (*)(const PackArgs<T>&);
template <typename T>
PackFn<T> pack_row(Isa isa);

/// Whether all of `count` values are of magnitude `limit` at most; a NaN is not.
template <typename T>
using AllWithinFn = bool (*)(const T* values, std::int64_t count, T limit);
template <typename T>
AllWithinFn<T> all_within(Isa isa);

/// Where a row comes from and goes to, in elements.
struct RowPlaces {
  std::int64_t source = 0;
  std::int64_t target = 0;
};

/// Rows of `count` elements copied. Returns whether all are of magnitude `limit` at most; a NaN is not.
template <typename T>
struct CopyRowsArgs {
  const T* source = nullptr;
  T* target = nullptr;
  const RowPlaces* places = nullptr;
  std::int64_t rows = 0;
  std::int64_t count = 0;
  T limit = 0;
  std::int64_t ahead = 0;  ///< elements from a row to one that will be wanted soon; 0 for none
};
template <typename T>
using CopyRowsFn = bool (*)(const CopyRowsArgs<T>&);
template <typename T>
CopyRowsFn<T> copy_rows(Isa isa);

/// A row that columns of a product are added to, and how many.
struct ColumnSum {
  std::int64_t target = 0;
  std::int64_t count = 1;
};

/// Columns of a product added to the rows that they are parts of:
///   rows[sum.target + starts[x] + i] += Σ_source columns[source + x*ld + i]   for i < run
/// for all sums, each with the next `count` of the sources, at every position x. Columns and rows have room for vectors that
/// go on behind a run.
template <typename T>
struct FoldColumnsArgs {
  const T* columns = nullptr;
  std::int64_t ld = 0;
  std::int64_t positions = 0;
  const ColumnSum* sums = nullptr;
  std::int64_t sum_count = 0;
  const std::int64_t* sources = nullptr;
  const std::int64_t* starts = nullptr;
  std::int64_t run = 1;
  T* rows = nullptr;
};
template <typename T>
using FoldColumnsFn = void (*)(const FoldColumnsArgs<T>&);
template <typename T>
FoldColumnsFn<T> fold_columns(Isa isa);

/// Rows written past the caches, which only whole lines go. Rows of odd lengths share lines with the next ones: what a row
/// leaves of its last line waits for the row that goes on at `end`. An ordinary store there would have to fetch the line
/// from memory first, and hold up all stores behind it.
template <typename T>
struct RowStream {
  T* end = nullptr;
  std::int64_t waiting = 0;  ///< elements before `end` that are still to be written
  alignas(64) T values[64 / sizeof(T)] = {};
};

/// Writes what waits.
template <typename T>
void flush(RowStream<T>& stream) {
  std::copy(stream.values, stream.values + stream.waiting, stream.end - stream.waiting);
  stream.waiting = 0;
}

/// Lanes back into channels: staging[x*ld + c] to target[c*channel_stride + x] for c < channels <= lanes, x < count.
template <typename T>
struct UnpackArgs {
  const T* staging = nullptr;  ///< with room for a vector from the last x on
  std::int64_t ld = 0;
  std::int64_t channels = 0;
  std::int64_t count = 0;
  T* target = nullptr;
  std::int64_t channel_stride = 0;
  RowStream<T>* streams = nullptr;  ///< past the caches, one for each channel; null: through them
};
template <typename T>
using UnpackFn = void (*)(const UnpackArgs<T>&);
template <typename T>
UnpackFn<T> unpack_row(Isa isa);

/// A row of cells, lanes along w: cell x yields `columns` outputs (some channels' phases),
///   acc[p][x] = init[p] + Σ_row Σ_c Σ_e input[rows[row] + c*channel_stride + e + x] · weights[((row*channels + c)*shifts +
///   e)*columns + p]
/// summed in this order. Column p goes to target[p][x*step].
template <typename T>
struct CellRowArgs {
  const T* input = nullptr;
  const std::int64_t* rows = nullptr;  ///< offsets of the input rows
  std::int64_t row_count = 0;
  std::int64_t channels = 0;
  std::int64_t channel_stride = 0;
  std::int64_t shifts = 1;
  const T* weights = nullptr;
  const T* init = nullptr;
  int columns = 1;              ///< one of kCellColumns
  std::int64_t cells = 0;       ///< input and targets have room for this many, rounded up to whole vectors
  int interleave = 1;           ///< columns that lie next to each other in a target row; divides `columns`
  std::int64_t step = 1;        ///< outputs from one cell to the next
  T* const* targets = nullptr;  ///< one row per `interleave` columns
};

/// The numbers of columns there are kernels for, and the vectors of cells each holds in registers at most.
inline constexpr int kCellColumns[] = {1, 2, 3, 4, 6, 8, 9};
inline constexpr int kMostCellColumns = 9;

template <typename T>
using CellRowFn = void (*)(const CellRowArgs<T>&);
template <typename T>
CellRowFn<T> cell_row(Isa isa);

template <typename T>
using CopyRowFn = void (*)(const T* source, T* target, std::int64_t count);
template <typename T>
CopyRowFn<T> copy_row(Isa isa);

/// Σ (x - shift) and Σ (x - shift)² over a row, in double.
struct RowSums {
  double sum = 0;
  double squares = 0;
};
template <typename T>
using RowSumsFn = RowSums (*)(const T* values, std::int64_t count, double shift);
template <typename T>
RowSumsFn<T> row_sums(Isa isa);

template <typename T>
using StreamRowFn = void (*)(const T* source, T* target, std::int64_t count, RowStream<T>& stream);
template <typename T>
StreamRowFn<T> stream_row(Isa isa);

/// Rows of `count` elements that follow one another in a target: of rows [first, first + rows), row i from source + i %
/// sides
/// * side_stride + i / sides * stride. The source has room for a vector behind each row.
template <typename T>
struct StoreRowsArgs {
  const T* source = nullptr;
  std::int64_t sides = 1, side_stride = 0;
  std::int64_t stride = 0;
  std::int64_t first = 0, rows = 0;
  std::int64_t count = 0;
  T* target = nullptr;
  RowStream<T>* stream = nullptr;  ///< past the caches; null: through them
};
template <typename T>
using StoreRowsFn = void (*)(const StoreRowsArgs<T>&);
template <typename T>
StoreRowsFn<T> store_rows(Isa isa);

/// A row spread out over outputs that do not all have a source. A vector of them that begins at residue r < stride takes
/// taken[r] sources, which stand in their order in the lanes that have one; those of lanes[r*vector + lane] < 0 hold `fill`.
/// The source has room for a vector behind the last one that is taken.
struct SpreadRowArgs {
  const float* source = nullptr;
  const std::int32_t* lanes = nullptr;  ///< [residue][lane]: which of the sources taken, or -1
  const std::int32_t* taken = nullptr;
  std::int64_t stride = 1;
  std::int64_t first = 0;  ///< residue of the first output
  float fill = 0;
  std::int64_t count = 0;
  float* target = nullptr;
};
using SpreadRowFn = void (*)(const SpreadRowArgs&);
SpreadRowFn spread_row(Isa isa);

/// The type of a place in a row of T that a kernel gathers from: as wide as T.
template <typename T>
using RowIndex = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

/// target[x] = (1 - weight[x])·source[first[x]] + weight[x]·source[second[x]], without a second where its weight is 0. All
/// but the source have room for `count` rounded up to whole vectors, indices there being valid, and are aligned to a vector.
template <typename T>
struct ExpandRowArgs {
  const T* source = nullptr;
  const RowIndex<T>* first = nullptr;
  const RowIndex<T>* second = nullptr;
  const T* weight = nullptr;
  std::int64_t count = 0;
  T* target = nullptr;
};
template <typename T>
using ExpandRowFn = void (*)(const ExpandRowArgs<T>&);
template <typename T>
ExpandRowFn<T> expand_row(Isa isa);

/// target[x] = Σ_i weights[i]·rows[i][x] over row_count rows, 1 to 4, in this order. Rows and target as above.
template <typename T>
struct BlendRowsArgs {
  const T* rows[4] = {};
  T weights[4] = {};
  int row_count = 1;
  std::int64_t count = 0;
  T* target = nullptr;
};
template <typename T>
using BlendRowsFn = void (*)(const BlendRowsArgs<T>&);
template <typename T>
BlendRowsFn<T> blend_rows(Isa isa);

/// A pointwise function of a row, in place. Its parameters are *p and *q, or with `per_lane` a vector of each, for rows of
/// whole vectors with channels in lanes.
template <typename T>
struct PointwiseArgs {
  T* values = nullptr;
  std::int64_t count = 0;
  const T* p = nullptr;
  const T* q = nullptr;
  bool per_lane = false;
};
template <typename T>
using PointwiseFn = void (*)(const PointwiseArgs<T>&);
template <typename T>
PointwiseFn<T> pointwise(Isa isa, Pointwise::Function function);

/// A one-axis transform of many lines of vectors: line (i, j) reads its elements at source + i*source_outer +
/// j*source_inner, `source_step` apart, and writes likewise. All strides in floats; an element is a vector of floats.
struct LinesArgs {
  const float* source = nullptr;
  std::int64_t source_step = 0, source_outer = 0, source_inner = 0;
  std::int64_t source_fold = 0;  ///< Bᵀ only: how much further, for each scheme.outputs elements before it, an element lies
  float* target = nullptr;
  std::int64_t target_step = 0, target_outer = 0, target_inner = 0;
  std::int64_t outer = 1, inner = 1;
  const float* init = nullptr;  ///< a vector added to every element of the result; null for none
};
using LinesFn = void (*)(const LinesArgs&);

/// Winograd's F(outputs, taps): from `outputs + taps - 1` inputs, as many products. {1, 1} is the identity. Or a real
/// Fourier transform of so many elements as `fourier` says (kernels/fourier.cpp), whose points beyond the first two are
/// pairs of a real and an imaginary part, which take complex products; with `triples` three points each, whose products are
/// real. More than fourier - taps + 1 outputs are right only where both what they read past the last input and as many of
/// the first inputs are zero.
struct WinogradScheme {
  int outputs = 1;
  int taps = 1;
  int fourier = 0;
  bool triples = false;

  int inputs() const { return fourier != 0 ? fourier : outputs + taps - 1; }
  int points() const { return triples ? 3 * (fourier / 2 - 1) + 2 : inputs(); }
  friend bool operator==(const WinogradScheme&, const WinogradScheme&) = default;
};

/// Elements of Fourier transforms.
inline constexpr int kFourierSizes[] = {8, 12, 16};
inline constexpr int kMostFourierInputs = 16;
/// The fewest outputs that there are kernels for.
constexpr int fewest_fourier_outputs(int size) { return size / 4; }

/// Those there are kernels for.
inline constexpr WinogradScheme kWinogradSchemes[] = {{1, 1}, {2, 2}, {3, 2}, {4, 2}, {2, 3},
                                                      {3, 3}, {4, 3}, {2, 4}, {3, 4}, {2, 5}};

/// How much the transforms can enlarge: the greatest sum of magnitudes in a row of Bᵀ, of G and of Aᵀ.
struct WinogradNorms {
  double input = 1, weights = 1, output = 1;
};
WinogradNorms winograd_norms(WinogradScheme scheme);

/// inputs() inputs to points() points (Bᵀ); points() products to `outputs` outputs (Aᵀ); `outputs` elements copied.
LinesFn winograd_input(Isa isa, WinogradScheme scheme);
LinesFn winograd_output(Isa isa, WinogradScheme scheme);
LinesFn copy_lines(Isa isa, int elements);

/// Four rows of points of complex frequencies on two axes, named by which part they are on the one and on the other: real
/// real, real imaginary, imaginary real, imaginary imaginary. Split, in place, they are the real and imaginary parts at (k,
/// l), then at (k, -l); joined, twice what they were.
struct QuadArgs {
  float* rows[4] = {};
  std::int64_t count = 0;  ///< rounded up to whole vectors
};
using QuadFn = void (*)(const QuadArgs&);
QuadFn split_frequencies(Isa isa);
QuadFn join_frequencies(Isa isa);

/// Those of Fourier schemes, which the functions above return as well.
LinesFn fourier_input(Isa isa, WinogradScheme scheme);
LinesFn fourier_output(Isa isa, WinogradScheme scheme);
void fourier_weights(WinogradScheme scheme, const double* taps, std::int64_t tap_stride, double* points,
                     std::int64_t point_stride);

/// `taps` weights to points() points (G), in double.
void winograd_weights(WinogradScheme scheme, const double* taps, std::int64_t tap_stride, double* points,
                      std::int64_t point_stride);

}  // namespace convt3d::kernels
