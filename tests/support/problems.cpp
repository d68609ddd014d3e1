#include "support/problems.hpp"

#include <algorithm>
#include <stdexcept>

#include "support/problem_sweeps.hpp"

namespace testing_support {
namespace {

using convt3d::Extent3;
using Problems = std::vector<NamedProblem>;

/// PyTorch's own samples (semantics.md, reference cases 1 to 5); each exercises something peers get wrong.
void append_pytorch_samples(Problems& list) {
  list.push_back({"torch1_k3s2p2op1",
                  {.in_channels = 3, .out_channels = 3, .kernel_size = 3, .stride = 2, .padding = 2, .output_padding = 1},
                  4});
  list.push_back({"torch2_groups_op_reaches_stride",
                  {.in_channels = 2,
                   .out_channels = 4,
                   .kernel_size = {4, 5, 6},
                   .stride = {3, 2, 1},
                   .padding = {1, 2, 3},
                   .output_padding = {2, 3, 1},
                   .groups = 2,
                   .dilation = 4},
                  4,
                  2});
  list.push_back({"torch3_dilated",
                  {.in_channels = 1,
                   .out_channels = 1,
                   .kernel_size = {4, 3, 1},
                   .stride = 2,
                   .padding = 1,
                   .output_padding = 1,
                   .bias = false,
                   .dilation = {2, 3, 2}},
                  {4, 5, 2}});
  list.push_back({"torch4_k345",
                  {.in_channels = 1,
                   .out_channels = 2,
                   .kernel_size = {3, 4, 5},
                   .stride = 2,
                   .padding = 1,
                   .output_padding = 1,
                   .bias = false},
                  {4, 3, 4}});
  list.push_back({"torch5_plain", {.in_channels = 4, .out_channels = 8, .kernel_size = 3, .bias = false}, 5});
}

/// Layers that networks use, at extents that are never cubic.
void append_usual_layers(Problems& list) {
  list.push_back({"k2s2", {.in_channels = 20, .out_channels = 12, .kernel_size = 2, .stride = 2}, {3, 4, 5}});
  list.push_back({"k3s1p1", {.in_channels = 18, .out_channels = 17, .kernel_size = 3, .padding = 1}, {5, 4, 7}});
  list.push_back({"k3s2p1op1",
                  {.in_channels = 16, .out_channels = 24, .kernel_size = 3, .stride = 2, .padding = 1, .output_padding = 1},
                  {4, 3, 6}});
  list.push_back({"k3s3", {.in_channels = 5, .out_channels = 6, .kernel_size = 3, .stride = 3}, {2, 5, 4}});
  list.push_back(
      {"k4s2p1", {.in_channels = 19, .out_channels = 16, .kernel_size = 4, .stride = 2, .padding = 1}, {4, 5, 7}, 2});
  list.push_back({"k4s2p0", {.in_channels = 16, .out_channels = 33, .kernel_size = 4, .stride = 2}, {3, 5, 4}});
  list.push_back(
      {"k4s2p2", {.in_channels = 16, .out_channels = 16, .kernel_size = 4, .stride = 2, .padding = 2}, {6, 4, 5}});
  list.push_back({"k4s2p3op1",
                  {.in_channels = 17, .out_channels = 16, .kernel_size = 4, .stride = 2, .padding = 3, .output_padding = 1},
                  {5, 6, 4}});
  list.push_back({"k4s4", {.in_channels = 7, .out_channels = 9, .kernel_size = 4, .stride = 4}, {3, 2, 4}});
  list.push_back({"k5s2p2op1",
                  {.in_channels = 8, .out_channels = 16, .kernel_size = 5, .stride = 2, .padding = 2, .output_padding = 1},
                  {2, 8, 11}});
  list.push_back({"k6s3p2op1",
                  {.in_channels = 2, .out_channels = 3, .kernel_size = 6, .stride = 3, .padding = 2, .output_padding = 1},
                  {3, 4, 6}});
  list.push_back({"k8s4p2", {.in_channels = 3, .out_channels = 2, .kernel_size = 8, .stride = 4, .padding = 2}, {3, 2, 5}});
  list.push_back({"k9s2p4op1",
                  {.in_channels = 6, .out_channels = 1, .kernel_size = 9, .stride = 2, .padding = 4, .output_padding = 1},
                  {4, 5, 6}});
  list.push_back({"k9s3p3", {.in_channels = 5, .out_channels = 1, .kernel_size = 9, .stride = 3, .padding = 3}, {4, 3, 5}});
  list.push_back(
      {"k122s122", {.in_channels = 16, .out_channels = 18, .kernel_size = {1, 2, 2}, .stride = {1, 2, 2}}, {4, 6, 5}});
  list.push_back({"k344s122p1",
                  {.in_channels = 17, .out_channels = 16, .kernel_size = {3, 4, 4}, .stride = {1, 2, 2}, .padding = 1},
                  {4, 6, 5}});
  list.push_back(
      {"k3s1p2d2", {.in_channels = 16, .out_channels = 16, .kernel_size = 3, .padding = 2, .dilation = 2}, {6, 5, 7}});
  list.push_back({"k1s1", {.in_channels = 13, .out_channels = 21, .kernel_size = 1}, {3, 4, 5}, 3});
  list.push_back({"k16s16p7op15",
                  {.in_channels = 1, .out_channels = 2, .kernel_size = 16, .stride = 16, .padding = 7, .output_padding = 15},
                  {2, 1, 3}});
  list.push_back(
      {"scan_k4s2p1", {.in_channels = 1, .out_channels = 1, .kernel_size = 4, .stride = 2, .padding = 1}, {13, 17, 39}});
  list.push_back(
      {"scan_k8s2p3", {.in_channels = 1, .out_channels = 1, .kernel_size = 8, .stride = 2, .padding = 3}, {7, 9, 35}});
  list.push_back({"scan_k6s3p2op1",
                  {.in_channels = 1, .out_channels = 1, .kernel_size = 6, .stride = 3, .padding = 2, .output_padding = 1},
                  {7, 6, 29}});
  list.push_back(
      {"scan_k10s5p2", {.in_channels = 1, .out_channels = 3, .kernel_size = 10, .stride = 5, .padding = 2}, {2, 3, 7}});
  list.push_back(
      {"scan_k7s7", {.in_channels = 2, .out_channels = 2, .kernel_size = {2, 3, 7}, .stride = {2, 3, 7}}, {3, 4, 6}});
  list.push_back({"depthwise_k4s2p1",
                  {.in_channels = 18, .out_channels = 18, .kernel_size = 4, .stride = 2, .padding = 1, .groups = 18},
                  {4, 5, 9},
                  2});
  list.push_back(
      {"depthwise_k7s1p3", {.in_channels = 5, .out_channels = 5, .kernel_size = 7, .padding = 3, .groups = 5}, {6, 5, 11}});
  list.push_back({"depthwise_k3s2_two_each",
                  {.in_channels = 9, .out_channels = 18, .kernel_size = 3, .stride = 2, .groups = 9},
                  {3, 5, 6}});
}

/// Where arithmetic on indices goes wrong.
void append_corner_cases(Problems& list) {
  list.push_back({"one_voxel", {.in_channels = 1, .out_channels = 1, .kernel_size = 1}, 1});
  list.push_back({"one_voxel_k5s3", {.in_channels = 2, .out_channels = 3, .kernel_size = 5, .stride = 3}, 1});
  list.push_back(
      {"one_output_voxel", {.in_channels = 3, .out_channels = 4, .kernel_size = 3, .padding = {2, 2, 3}}, {3, 3, 5}});
  list.push_back({"stride_beyond_kernel",
                  {.in_channels = 3, .out_channels = 5, .kernel_size = {1, 2, 3}, .stride = {3, 4, 5}},
                  {4, 3, 5}});
  list.push_back({"stride_beyond_kernel_op",
                  {.in_channels = 2, .out_channels = 17, .kernel_size = 1, .stride = 4, .output_padding = 3},
                  {2, 3, 4}});
  list.push_back({"dilation_multiple_of_stride",
                  {.in_channels = 3, .out_channels = 2, .kernel_size = 3, .stride = 2, .output_padding = 1, .dilation = 4},
                  {3, 2, 5}});
  list.push_back(
      {"dilation_shares_factor",
       {.in_channels = 2, .out_channels = 3, .kernel_size = {3, 2, 4}, .stride = {4, 6, 6}, .dilation = {6, 4, 9}},
       {3, 4, 2}});
  list.push_back({"padding_beyond_kernel",
                  {.in_channels = 2, .out_channels = 3, .kernel_size = 3, .stride = 2, .padding = {4, 5, 6}},
                  {6, 8, 9}});
  list.push_back({"padding_beyond_dilated_kernel",
                  {.in_channels = 1, .out_channels = 1, .kernel_size = 2, .padding = {5, 4, 7}, .dilation = 3},
                  {9, 10, 13}});
  list.push_back(
      {"op_only_last_axis",
       {.in_channels = 2, .out_channels = 2, .kernel_size = {2, 3, 4}, .stride = {2, 3, 4}, .output_padding = {0, 0, 3}},
       {3, 4, 2}});
  list.push_back(
      {"long_d", {.in_channels = 1, .out_channels = 2, .kernel_size = 3, .stride = 2, .padding = 1}, {301, 1, 2}});
  list.push_back(
      {"long_h", {.in_channels = 2, .out_channels = 1, .kernel_size = 4, .stride = 2, .padding = 1}, {1, 257, 2}});
  list.push_back(
      {"long_w", {.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 3, .padding = 1}, {2, 1, 517}});
  list.push_back(
      {"many_volumes", {.in_channels = 3, .out_channels = 4, .kernel_size = 3, .stride = 2, .padding = 1}, {2, 3, 1}, 11});
  list.push_back(
      {"many_to_one", {.in_channels = 70, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = 1}, {2, 3, 5}});
  list.push_back(
      {"one_to_many", {.in_channels = 1, .out_channels = 70, .kernel_size = 3, .stride = 2, .padding = 1}, {2, 3, 5}});
  list.push_back(
      {"no_bias", {.in_channels = 5, .out_channels = 16, .kernel_size = 3, .stride = 2, .bias = false}, {3, 2, 4}});
}

Problems make_list() {
  Problems list;
  append_pytorch_samples(list);
  append_usual_layers(list);
  append_corner_cases(list);
  append_sweeps(list);
  return list;
}

reference::Triple triple(const Extent3& extent) { return {extent.d, extent.h, extent.w}; }

}  // namespace

std::ostream& operator<<(std::ostream& out, const NamedProblem& problem) {
  return out << problem.name << ": ConvTranspose3d(" << convt3d::extra_repr(problem.layer) << ") of " << problem.n << " x "
             << convt3d::to_string(problem.input);
}

const std::vector<NamedProblem>& named_problems() {
  static const Problems list = make_list();
  return list;
}

const NamedProblem& named_problem(const std::string& name) {
  for (const NamedProblem& problem : named_problems()) {
    if (problem.name == name) return problem;
  }
  throw std::out_of_range("no problem is named " + name);
}

convt3d::Problem problem_of(const NamedProblem& named, convt3d::DType dtype) {
  convt3d::ConvTranspose3dOptions layer = named.layer;
  layer.dtype = dtype;
  return convt3d::make_problem(layer, named.n, named.input);
}

reference::Layer reference_layer(const NamedProblem& named) {
  return {.n = named.n,
          .ci = named.layer.in_channels,
          .co = named.layer.out_channels,
          .groups = named.layer.groups,
          .input = triple(named.input),
          .kernel = triple(named.layer.kernel_size),
          .stride = triple(named.layer.stride),
          .padding = triple(named.layer.padding),
          .output_padding = triple(named.layer.output_padding),
          .dilation = triple(named.layer.dilation)};
}

}  // namespace testing_support
