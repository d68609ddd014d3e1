#include "support/problem_sweeps.hpp"

#include <algorithm>
#include <array>

namespace testing_support {
namespace {

using Problems = std::vector<NamedProblem>;

/// Kernel 1-5 x stride 1-4 x dilation 1-3 along w, with other values along d and h, output padding up to its bound, and
/// channels that change from problem to problem.
void append_parameter_sweep(Problems& list) {
  constexpr std::array<std::array<std::int64_t, 2>, 5> kChannels = {{{1, 1}, {2, 3}, {3, 16}, {17, 2}, {5, 9}}};
  std::size_t count = 0;
  for (std::int64_t k = 1; k <= 5; ++k) {
    for (std::int64_t s = 1; s <= 4; ++s) {
      for (std::int64_t d = 1; d <= 3; ++d, ++count) {
        convt3d::ConvTranspose3dOptions layer = {.in_channels = kChannels[count % 5][0],
                                                 .out_channels = kChannels[count % 5][1]};
        layer.kernel_size = {1 + (k + s) % 5, 1 + (k + d) % 5, k};
        layer.stride = {1 + s % 4, 1 + (s + d) % 4, s};
        layer.dilation = {1 + d % 3, 1 + (d + k) % 3, d};
        for (int axis = 0; axis < 3; ++axis) {
          layer.padding[axis] = (layer.kernel_size[axis] - 1) * layer.dilation[axis] * (axis + 1) / 4;
          layer.output_padding[axis] = (k + s + axis) % std::max(layer.stride[axis], layer.dilation[axis]);
        }
        layer.bias = count % 3 != 0;
        const std::string name = "sweep_k" + std::to_string(k) + "s" + std::to_string(s) + "d" + std::to_string(d);
        list.push_back({name, layer, {2 + s % 3, 3 + k % 2, 4 + d}});
      }
    }
  }
}

/// Channels at, below and above the widths of vectors and of blocks of vectors.
void append_channel_sweep(Problems& list) {
  constexpr std::array<std::int64_t, 17> kWidths = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40, 64, 96};
  for (std::size_t i = 0; i < kWidths.size(); ++i) {
    const std::int64_t c = kWidths[i];
    const std::int64_t other = kWidths[(i * 7 + 3) % kWidths.size()];
    const auto name = [&](std::int64_t ci, std::int64_t co) {
      return "channels_" + std::to_string(ci) + "_to_" + std::to_string(co);
    };
    list.push_back(
        {name(c, 5), {.in_channels = c, .out_channels = 5, .kernel_size = {2, 3, 2}, .stride = {1, 2, 2}}, {2, 3, 4}});
    list.push_back(
        {name(6, c),
         {.in_channels = 6, .out_channels = c, .kernel_size = {3, 2, 3}, .stride = {2, 2, 1}, .padding = {1, 0, 1}},
         {3, 2, 5}});
    list.push_back({name(c, other) + "_k4s2",
                    {.in_channels = c, .out_channels = other, .kernel_size = 4, .stride = 2, .padding = 1},
                    {2, 3, 4}});
    list.push_back(
        {name(c, other) + "_k2s2", {.in_channels = c, .out_channels = other, .kernel_size = 2, .stride = 2}, {2, 1, 5}});
  }
}

/// Rows at, below and above the widths of vectors, where lanes lie along w.
void append_row_sweep(Problems& list) {
  for (const std::int64_t w : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 64, 65}) {
    const std::string suffix = "_w" + std::to_string(w);
    list.push_back({"row_k4s2p1" + suffix,
                    {.in_channels = 1, .out_channels = 1, .kernel_size = 4, .stride = 2, .padding = 1},
                    {2, 3, w}});
    list.push_back(
        {"row_k3s1p1" + suffix, {.in_channels = 2, .out_channels = 1, .kernel_size = 3, .padding = 1}, {3, 2, w}});
    list.push_back({"row_k5s3" + suffix,
                    {.in_channels = 1, .out_channels = 3, .kernel_size = 5, .stride = 3, .output_padding = 2},
                    {2, 2, w}});
    list.push_back({"row_depthwise_k4s2p1" + suffix,
                    {.in_channels = 3, .out_channels = 3, .kernel_size = 4, .stride = 2, .padding = 1, .groups = 3},
                    {3, 2, w}});
  }
}

/// Groups of 2 to 8 channels, and uneven ones.
void append_group_sweep(Problems& list) {
  for (std::int64_t per_group = 2; per_group <= 8; ++per_group) {
    const std::string name = "groups_of_" + std::to_string(per_group);
    list.push_back({name + "_k3s2",
                    {.in_channels = 3 * per_group,
                     .out_channels = 3 * per_group,
                     .kernel_size = 3,
                     .stride = 2,
                     .padding = 1,
                     .groups = 3},
                    {3, 2, 4}});
    list.push_back({name + "_to_1_k4s2",
                    {.in_channels = 2 * per_group, .out_channels = 2, .kernel_size = 4, .stride = 2, .groups = 2},
                    {2, 3, 5}});
    list.push_back({name + "_from_1_k2s2",
                    {.in_channels = 4, .out_channels = 4 * per_group, .kernel_size = 2, .stride = 2, .groups = 4},
                    {2, 3, 4},
                    2});
  }
  list.push_back({"groups_of_17_to_16",
                  {.in_channels = 34, .out_channels = 32, .kernel_size = {3, 2, 4}, .stride = {1, 2, 2}, .groups = 2},
                  {3, 4, 2}});
}

/// Kernels that reach far over the ends of short rows: direct takes each tap along w on its own. Of more terms than a part
/// has, with phases, groups, and with taps that reach no input at all.
void append_kernels_beyond_rows(Problems& list) {
  list.push_back(
      {"beyond_rows_k5", {.in_channels = 24, .out_channels = 40, .kernel_size = 5, .padding = {1, 0, 2}}, {2, 4, 5}});
  list.push_back(
      {"beyond_rows_k7s2",
       {.in_channels = 48, .out_channels = 36, .kernel_size = {2, 4, 7}, .stride = {1, 2, 2}, .padding = {0, 1, 0}},
       {3, 4, 8},
       2});
  list.push_back(
      {"beyond_rows_groups",
       {.in_channels = 32, .out_channels = 66, .kernel_size = 4, .padding = {2, 0, 1}, .groups = 2, .dilation = 2},
       {2, 3, 9}});
  list.push_back({"beyond_rows_one_vector",
                  {.in_channels = 66, .out_channels = 6, .kernel_size = {2, 3, 5}, .padding = {0, 1, 0}, .groups = 2},
                  {3, 4, 4},
                  2});
  list.push_back(
      {"beyond_rows_and_padding",
       {.in_channels = 20, .out_channels = 33, .kernel_size = {3, 3, 5}, .padding = {1, 0, 6}, .dilation = {1, 2, 3}},
       {4, 3, 4}});
}

/// Outputs without a tap between those of 1x1x1 kernels, before and behind them; cells without an output.
void append_gaps(Problems& list) {
  list.push_back({"gaps_s2", {.in_channels = 20, .out_channels = 11, .kernel_size = 1, .stride = 2}, {3, 5, 17}, 2});
  list.push_back({"gaps_uneven",
                  {.in_channels = 6,
                   .out_channels = 10,
                   .kernel_size = 1,
                   .stride = {3, 1, 4},
                   .padding = {2, 1, 0},
                   .output_padding = {1, 0, 3},
                   .groups = 2},
                  {4, 5, 6}});
  list.push_back({"gaps_padding", {.in_channels = 4, .out_channels = 3, .kernel_size = 1, .padding = {1, 0, 2}}, {4, 3, 7}});
}

/// Phases of many taps, which winograd transforms by Fourier on h and w and sums up on d: volumes so short that a transform
/// goes around, and ones just too long for it; strides, dilations, more than nine taps on d, and residues there whose taps
/// do not line up, or that have none.
void append_many_taps(Problems& list) {
  list.push_back({"taps_around", {.in_channels = 6, .out_channels = 5, .kernel_size = 7, .padding = 3}, {5, 8, 9}});
  list.push_back({"taps_around_whole", {.in_channels = 4, .out_channels = 9, .kernel_size = {2, 6, 9}}, {3, 7, 4}, 2});
  list.push_back({"taps_not_around",
                  {.in_channels = 5, .out_channels = 4, .kernel_size = {1, 7, 6}, .padding = {0, 3, 2}},
                  {2, 14, 14}});
  list.push_back({"taps_many_on_d",
                  {.in_channels = 17, .out_channels = 20, .kernel_size = {11, 8, 6}, .padding = {5, 1, 4}},
                  {4, 6, 15}});
  list.push_back({"taps_strided",
                  {.in_channels = 4,
                   .out_channels = 6,
                   .kernel_size = {3, 12, 14},
                   .stride = {1, 2, 2},
                   .padding = {1, 5, 3},
                   .output_padding = {0, 1, 0}},
                  {3, 5, 13}});
  list.push_back(
      {"taps_dilated",
       {.in_channels = 8, .out_channels = 8, .kernel_size = {2, 6, 7}, .padding = {1, 4, 6}, .groups = 2, .dilation = 2},
       {4, 9, 16}});
  list.push_back({"taps_uneven_on_d",
                  {.in_channels = 5,
                   .out_channels = 7,
                   .kernel_size = 3,
                   .stride = {2, 1, 1},
                   .padding = {1, 1, 0},
                   .dilation = {3, 1, 1}},
                  {4, 6, 5}});
  list.push_back(
      {"taps_none_on_d",
       {.in_channels = 4, .out_channels = 18, .kernel_size = {2, 3, 4}, .stride = {3, 1, 2}, .padding = {1, 0, 1}},
       {3, 5, 6}});
}

/// One tap along w and no stride along h, which direct_rows reads in place: long rows that are whole vectors and that are
/// not, taps outside at both ends, more terms than are summed in one part, planes without a tap.
void append_one_tap_on_w(Problems& list) {
  list.push_back(
      {"rows_on_d", {.in_channels = 5, .out_channels = 11, .kernel_size = {3, 1, 1}, .padding = {1, 0, 0}}, {5, 4, 9}, 2});
  list.push_back({"rows_on_h",
                  {.in_channels = 6, .out_channels = 20, .kernel_size = {1, 4, 1}, .padding = {0, 1, 0}, .groups = 2},
                  {3, 7, 19}});
  list.push_back({"rows_strided_on_d",
                  {.in_channels = 4,
                   .out_channels = 9,
                   .kernel_size = {3, 3, 1},
                   .stride = {2, 1, 1},
                   .padding = {1, 1, 0},
                   .output_padding = {1, 0, 0},
                   .dilation = {1, 2, 1}},
                  {4, 6, 17}});
  list.push_back({"rows_outside", {.in_channels = 3, .out_channels = 10, .kernel_size = {3, 5, 1}}, {2, 3, 16}, 2});
  list.push_back({"rows_of_many_channels", {.in_channels = 530, .out_channels = 3, .kernel_size = {2, 1, 1}}, {2, 5, 7}});
  list.push_back({"rows_of_many_terms", {.in_channels = 60, .out_channels = 4, .kernel_size = {3, 4, 1}}, {3, 5, 16}});
  list.push_back({"rows_between_gaps",
                  {.in_channels = 2, .out_channels = 5, .kernel_size = {2, 1, 1}, .stride = {3, 1, 1}, .padding = {1, 0, 0}},
                  {4, 6, 8}});
}

}  // namespace

void append_sweeps(std::vector<NamedProblem>& list) {
  append_parameter_sweep(list);
  append_channel_sweep(list);
  append_row_sweep(list);
  append_group_sweep(list);
  append_kernels_beyond_rows(list);
  append_gaps(list);
  append_many_taps(list);
  append_one_tap_on_w(list);
}

}  // namespace testing_support
