// Volumes through models under memory bounds: whatever the bound, the same file; the least one that is named works.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/model/model.hpp"
#include "convt3d/nn/activations.hpp"
#include "convt3d/nn/bspline_prefilter.hpp"
#include "convt3d/nn/conv3d_layer.hpp"
#include "convt3d/nn/conv_transpose3d_layer.hpp"
#include "convt3d/nn/fuse.hpp"
#include "convt3d/nn/instance_norm.hpp"
#include "convt3d/nn/normalize.hpp"
#include "convt3d/nn/pad.hpp"
#include "convt3d/upsample/upsample.hpp"
#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
namespace fs = std::filesystem;
using testing_support::expect_refused;

class UpsampleInSlabs : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("slabs_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path path(const std::string& name) const { return folder_ / name; }

  /// A file of standard-normal voxels (N, C, D, H, W), scaled.
  fs::path volume(const std::string& name, const Shape& shape, float first = 0) const {
    std::vector<float> values = testing_support::standard_normal<float>(element_count(shape), 3);
    for (float& value : values) value = 100 + 20 * value;
    if (first != 0) values.front() = first;
    VolumeHeader source;
    source.grid.extent = {shape[2], shape[3], shape[4]};
    write_volume(path(name), Tensor::from(values, shape), source.grid, source, {});
    return path(name);
  }

  std::string bytes_of(const fs::path& file) const {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  /// The file that a plan gives.
  std::string file_of(const Model& model, const UpsamplePlan& plan, const UpsampleOptions& options) const {
    run_upsample(model, plan, options);
    std::string bytes = bytes_of(plan.output);
    fs::remove(plan.output);
    return bytes;
  }

  /// The least bound by the message that refuses 1 byte.
  std::int64_t least_bound(const Model& model, const std::vector<fs::path>& inputs, const std::string& output,
                           UpsampleOptions options) const {
    options.limit_bytes = 1;
    try {
      plan_upsample(model, inputs, path(output), options);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kMemory) << error.what();
      std::smatch found;
      const std::string message = error.what();
      if (std::regex_search(message, found, std::regex("the least that can is ([0-9]+) bytes"))) return std::stoll(found[1]);
      ADD_FAILURE() << message;
    }
    return 0;
  }

  /// Takes every way: whole, and slabs of several heights from wherever they may begin.
  void expect_one_file(const Model& model, const std::vector<fs::path>& inputs, const std::string& output,
                       const UpsampleOptions& options = {}) const {
    UpsamplePlan plan = plan_upsample(model, inputs, path(output), options);
    Shape one = plan.input_shape;
    one[0] = 1;
    const std::vector<LayerPlan> layers = model.layers.plan(one, {.threads = options.threads});
    plan.way = whole_way(model.layers);
    const std::string expected = file_of(model, plan, options);
    EXPECT_FALSE(expected.empty());
    const std::vector<std::size_t> begins = slab_begins(model.layers, layers);
    EXPECT_FALSE(begins.empty());
    for (const std::size_t begin : begins) {
      for (const std::int64_t height : {1, 6}) {
        plan.way = slab_way(model.layers, layers, model.dtype, begin, height);
        EXPECT_GT(plan.way.passes.back().slabs.size(), 1U);
        EXPECT_TRUE(file_of(model, plan, options) == expected) << "slabs of " << height << " from layer " << begin << " on";
      }
    }
  }

  fs::path folder_;
};

Model shipped(const std::string& name) {
  Model model = load_model(fs::path(CONVT3D_CONFIGS) / (name + ".json"));
  model.layers = fuse(std::move(model.layers));
  return model;
}

std::unique_ptr<Layer> up(const ConvTranspose3dOptions& options) {
  return std::make_unique<ConvTranspose3dLayer>(ConvTranspose3d(options, 7));
}

std::unique_ptr<Layer> conv(const Conv3dOptions& options) { return std::make_unique<Conv3dLayer>(Conv3d(options, 9)); }

Model model_of(Sequential stack, std::int64_t in_channels) {
  Model model;
  model.layers = fuse(std::move(stack));
  model.in_channels = in_channels;
  return model;
}

/// Two levels with norms, a join across the first and a crop at the end.
Model decoder(std::int64_t channels, bool norms) {
  Sequential stack;
  stack.append(conv(
      {.in_channels = channels, .out_channels = 4, .kernel_size = 3, .padding = 1, .padding_mode = PadMode::kReplicate}));
  if (norms) stack.append(make_layer(InstanceNorm3d{.num_features = 4}));
  stack.append(make_layer(LeakyReLU{}));
  const auto first = static_cast<std::int64_t>(stack.size()) - 1;
  stack.append(conv({.in_channels = 4, .out_channels = 4, .kernel_size = 3, .padding = 1}));
  stack.append(make_layer(Add{}), "", first);
  stack.append(up({.in_channels = 4, .out_channels = 2, .kernel_size = 4, .stride = 2, .padding = 1}));
  if (norms) stack.append(make_layer(InstanceNorm3d{.num_features = 2}));
  stack.append(make_layer(ReLU{}));
  stack.append(up({.in_channels = 2, .out_channels = 2, .kernel_size = 2, .stride = 2}));
  stack.append(make_layer(Crop{{.begin = {1, 0, 0}, .end = {5, 0, 0}}}));
  return model_of(std::move(stack), channels);
}

TEST_F(UpsampleInSlabs, ShippedConfigsGiveOneFileHoweverTheyAreCut) {
  std::int64_t configs = 0;
  for (const fs::directory_entry& config : fs::directory_iterator(CONVT3D_CONFIGS)) {
    const std::string name = config.path().stem().string();
    if (name == "schema") continue;
    SCOPED_TRACE(name);
    const Model model = shipped(name);
    const std::int64_t channels = model.in_channels.value_or(1);
    const std::int64_t extent = channels > 16 ? 4 : 16;  // networks halve it four times; decoders start from little
    expect_one_file(model, {volume("in.nii.gz", {1, channels, extent, extent, extent})}, "up.nii");
    ++configs;
  }
  EXPECT_GE(configs, 15);
}

TEST_F(UpsampleInSlabs, FormatsAndTypesGiveOneFileHoweverTheyAreCut) {
  const Model model = shipped("trilinear_x2");
  for (const char* format : {"in.nii", "in.mha"}) {
    const fs::path input = volume(format, {1, 1, 20, 12, 14});
    for (const char* output : {"up.nii", "up.mha"}) {
      for (const DType type : {DType::kUInt8, DType::kFloat64}) {
        UpsampleOptions options;
        options.output_type = type;
        options.threads = type == DType::kUInt8 ? 1 : 2;
        expect_one_file(model, {input}, output, options);
      }
    }
  }
}

TEST_F(UpsampleInSlabs, StacksWithJoinsGiveOneFileHoweverTheyAreCut) {
  for (const char* name : {"in.nii", "in.nii.gz"}) {
    const fs::path input = volume(name, {1, 1, 16, 10, 12});
    expect_one_file(decoder(1, false), {input}, "up.nii.gz");
  }
}

/// Statistics of the whole are gathered in passes of their own where the layers before do not fit.
TEST_F(UpsampleInSlabs, StacksWithNormsGiveOneFileHoweverTheyAreCut) {
  const fs::path input = volume("in.nii.gz", {1, 1, 16, 10, 12});
  expect_one_file(decoder(1, true), {input}, "up.nii");
}

/// Percentiles take more than one pass; what is taken back needs the statistics at the end once more.
TEST_F(UpsampleInSlabs, NormalisedScansGiveOneFileHoweverTheyAreCut) {
  for (const Normalize::Mode mode : {Normalize::Mode::kZScore, Normalize::Mode::kPercentiles}) {
    Sequential stack;
    stack.append(make_layer(Normalize{.mode = mode}));
    stack.append(up({.in_channels = 1, .out_channels = 4, .kernel_size = 4, .stride = 2, .padding = 1}));
    stack.append(make_layer(InstanceNorm3d{.num_features = 4}));
    stack.append(conv({.in_channels = 4, .out_channels = 1, .kernel_size = 3, .padding = 1}));
    stack.append(make_layer(Denormalize{}), "", 0);
    const Model model = model_of(std::move(stack), 1);
    expect_one_file(model, {volume("in.nii.gz", {1, 1, 16, 10, 12})}, "up.nii");
    expect_one_file(model, {volume("series.nii.gz", {2, 1, 16, 10, 12})}, "up.nii");
  }
}

TEST_F(UpsampleInSlabs, StacksThatRecurseAlongTheDepthGiveOneFileHoweverTheyAreCut) {
  Sequential stack;
  stack.append(conv({.in_channels = 1, .out_channels = 2, .kernel_size = 3, .padding = 1}));
  stack.append(make_layer(BSplinePrefilter{}));
  stack.append(make_layer(InstanceNorm3d{.num_features = 2}));
  stack.append(up({.in_channels = 2, .out_channels = 2, .kernel_size = 4, .stride = 2, .padding = 1}));
  stack.append(conv({.in_channels = 2, .out_channels = 2, .kernel_size = 1}));
  stack.append(make_layer(Concat{}), "", 3);
  const Model model = model_of(std::move(stack), 1);
  expect_one_file(model, {volume("in.nii", {1, 1, 16, 10, 12})}, "up.nii.gz");
  expect_one_file(model, {volume("series.nii", {2, 1, 16, 10, 12})}, "up.nii.gz");
}

TEST_F(UpsampleInSlabs, EveryKindOfChannelsGivesOneFileHoweverTheyAreCut) {
  const Model any = shipped("trilinear_x2");
  for (const char* name : {"in.nii", "in.nii.gz", "in.mha"}) {
    SCOPED_TRACE(name);
    // A series of scans; components; frames or components as channels; both.
    expect_one_file(any, {volume(name, {3, 1, 10, 9, 8})}, "up.nii.gz");
    expect_one_file(decoder(3, true), {volume(name, {1, 3, 10, 9, 8})}, "up.mha");
    expect_one_file(any, {volume(name, {2, 3, 10, 9, 8})}, "up.nii");
    UpsampleOptions time;
    time.channels = ChannelMode::kTime;
    expect_one_file(decoder(3, false), {volume(name, {3, 1, 10, 9, 8})}, "up.nii", time);
  }
  UpsampleOptions files;
  files.channels = ChannelMode::kFiles;
  const std::vector<fs::path> inputs = {volume("a.nii.gz", {1, 1, 10, 9, 8}), volume("b.nii", {1, 1, 10, 9, 8})};
  expect_one_file(decoder(2, true), inputs, "up.nii.gz", files);
}

/// Larger outputs are computed in slabs without being asked: pages that are written once cost more than the convolution.
TEST_F(UpsampleInSlabs, LargeOutputsAreComputedInSlabsOfTheirOwnAccord) {
  const Model model = shipped("trilinear_x2");
  const UpsamplePlan plan = plan_upsample(model, {volume("in.nii", {1, 1, 40, 200, 200})}, path("up.nii"), {});
  EXPECT_GT(plan.memory.tiles, 1);
  EXPECT_LT(plan.memory.peak_bytes, byte_count(plan.output_shape, DType::kFloat32));
}

TEST_F(UpsampleInSlabs, BoundsAreKeptDownToTheLeast) {
  const fs::path input = volume("in.nii", {1, 1, 16, 56, 56});
  for (const bool norms : {false, true}) {
    const Model model = decoder(1, norms);
    UpsampleOptions options;
    const UpsamplePlan unbounded = plan_upsample(model, {input}, path("up.nii"), options);
    const std::string expected = file_of(model, unbounded, options);
    const std::int64_t least = least_bound(model, {input}, "up.nii", options);
    const std::int64_t peak = unbounded.memory.peak_bytes;
    EXPECT_LT(least, peak);
    std::int64_t tiles = 0;
    for (const std::int64_t bound : {peak, least + (peak - least) / 3, least}) {
      options.limit_bytes = bound;
      const UpsamplePlan plan = plan_upsample(model, {input}, path("up.nii"), options);
      EXPECT_LE(plan.memory.peak_bytes, bound);
      EXPECT_GE(plan.memory.tiles, tiles);
      tiles = plan.memory.tiles;
      EXPECT_TRUE(file_of(model, plan, options) == expected) << "under " << bound << " bytes, " << tiles << " slabs";
      EXPECT_EQ(plan.way.passes.size() > 1, norms && bound == least);
    }
    options.limit_bytes = least - 1;
    expect_refused([&] { plan_upsample(model, {input}, path("up.nii"), options); }, {std::to_string(least) + " bytes"},
                   ErrorKind::kMemory);
  }
}

/// As in one piece: neither NaN in a file that cannot hold it, nor what follows the voxels in a damaged one, is passed over,
/// and nothing is left behind.
TEST_F(UpsampleInSlabs, FailuresLeaveNothing) {
  const Model model = shipped("trilinear_x2");
  const auto expect_failure = [&](const fs::path& input, const Model& of, ErrorKind kind, const std::string& word) {
    UpsampleOptions options;
    options.output_type = DType::kUInt8;
    UpsamplePlan plan = plan_upsample(of, {input}, path("up.nii.gz"), options);
    plan.way = slab_way(of.layers, plan.layers, of.dtype, 0, 3);
    expect_refused([&] { run_upsample(of, plan, options); }, {word}, kind);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
    fs::remove(input);
  };
  expect_failure(volume("in.nii", {1, 1, 20, 12, 14}, std::numeric_limits<float>::quiet_NaN()), model, ErrorKind::kOutput,
                 "are NaN, which uint8 cannot hold");
  const auto flip = [&](const fs::path& input, std::int64_t from_end) {
    std::string bytes = bytes_of(input);
    bytes[bytes.size() - static_cast<std::size_t>(from_end)] ^= 1;
    std::ofstream(input, std::ios::binary) << bytes;
    return input;
  };
  expect_failure(flip(volume("crc.nii.gz", {1, 1, 20, 12, 14}), 6), model, ErrorKind::kInput, "crc.nii.gz");
  Sequential cropped;  // needs no plane of the last ones
  cropped.append(make_layer(Crop{{.begin = {0, 0, 0}, .end = {9, 0, 0}}}));
  expect_failure(flip(volume("end.nii.gz", {1, 1, 20, 12, 14}), 6), model_of(std::move(cropped), 1), ErrorKind::kInput,
                 "end.nii.gz");
}

}  // namespace
