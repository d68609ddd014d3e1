#include "convt3d/upsample/channels.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

VolumeHeader header(std::int64_t components, std::int64_t frames) {
  VolumeHeader result;
  result.path = "scan.nii";
  result.grid.extent = {4, 5, 6};
  result.components = components;
  result.frames = frames;
  return result;
}

struct Resolved {
  const char* name;
  std::int64_t components;
  std::int64_t frames;
  std::optional<std::int64_t> in_channels;
  ChannelMode mode;
  const char* layout;  ///< null: refused
  std::int64_t volumes;
  std::int64_t channels;
};

constexpr auto kAuto = ChannelMode::kAuto;
constexpr auto kComponents = ChannelMode::kComponents;
constexpr auto kTime = ChannelMode::kTime;

const Resolved kTable[] = {
    {"ScanForOneChannel", 1, 1, 1, kAuto, "auto:time", 1, 1},
    {"ScanForAnyChannels", 1, 1, std::nullopt, kAuto, "auto:time", 1, 1},
    {"ScanForFourChannels", 1, 1, 4, kAuto, nullptr, 0, 0},
    {"SeriesForAsManyChannels", 1, 6, 6, kAuto, "auto:time", 1, 6},
    {"SeriesForOneChannelIsVolumes", 1, 6, 1, kAuto, "auto:volumes", 6, 1},
    {"SeriesForAnyChannelsIsVolumes", 1, 6, std::nullopt, kAuto, "auto:volumes", 6, 1},
    {"SeriesForOtherChannels", 1, 6, 4, kAuto, nullptr, 0, 0},
    {"VectorForAsManyChannels", 3, 1, 3, kAuto, "auto:components", 1, 3},
    {"VectorForAnyChannels", 3, 1, std::nullopt, kAuto, "auto:components", 1, 3},
    {"VectorForOneChannel", 3, 1, 1, kAuto, nullptr, 0, 0},
    {"VectorSeriesKeepsItsVolumes", 3, 6, 3, kAuto, "auto:components", 6, 3},
    {"ComponentsBeforeTheFourthAxis", 3, 6, 6, kAuto, nullptr, 0, 0},
    {"ComponentsAskedFor", 3, 2, 3, kComponents, "components", 2, 3},
    {"ComponentsOfAScan", 1, 1, 1, kComponents, "components", 1, 1},
    {"ComponentsOfASeriesAreItsVolumes", 1, 6, 1, kComponents, "components", 6, 1},
    {"ComponentsTooFew", 3, 1, 4, kComponents, nullptr, 0, 0},
    {"TimeAskedFor", 1, 6, 6, kTime, "time", 1, 6},
    {"TimeForAnyChannels", 1, 6, std::nullopt, kTime, "time", 1, 6},
    {"TimeOfOtherLength", 1, 6, 1, kTime, nullptr, 0, 0},
    {"TimeOfAVectorSeries", 3, 6, 6, kTime, nullptr, 0, 0},
};

class ResolveChannels : public testing::TestWithParam<Resolved> {};

TEST_P(ResolveChannels, GivesTheLayoutOrRefuses) {
  const Resolved& expected = GetParam();
  const std::vector<VolumeHeader> inputs = {header(expected.components, expected.frames)};
  if (expected.layout == nullptr) {
    try {
      resolve_channels(inputs, expected.in_channels, expected.mode);
      FAIL() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kShape);
      EXPECT_EQ(std::string(error.what()).find("scan.nii: "), 0u) << error.what();
    }
    return;
  }
  const ChannelLayout layout = resolve_channels(inputs, expected.in_channels, expected.mode);
  EXPECT_EQ(layout.name, expected.layout);
  EXPECT_EQ(layout.volumes, expected.volumes);
  EXPECT_EQ(layout.channels, expected.channels);
}

INSTANTIATE_TEST_SUITE_P(Table, ResolveChannels, testing::ValuesIn(kTable),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Joinable, AcceptsOneGridAndRefusesOthers) {
  std::vector<VolumeHeader> inputs = {header(1, 1), header(1, 1)};
  EXPECT_EQ(resolve_channels(inputs, 2, ChannelMode::kFiles).channels, 2);
  EXPECT_EQ(resolve_channels(inputs, std::nullopt, ChannelMode::kFiles).channels, 2);
  EXPECT_THROW(resolve_channels(inputs, 3, ChannelMode::kFiles), Error);

  inputs[1].grid.origin_mm[2] = 1e-4;  // rounding of a header
  EXPECT_NO_THROW(require_joinable(inputs));
  inputs[1].grid.origin_mm[2] = 0.5;
  EXPECT_THROW(require_joinable(inputs), Error);
  inputs[1] = header(1, 1);
  inputs[1].grid.direction = {-1, 0, 0, 0, 1, 0, 0, 0, 1};
  EXPECT_THROW(require_joinable(inputs), Error);
  inputs[1] = header(1, 1);
  inputs[1].grid.spacing_mm[0] = 1.1;
  EXPECT_THROW(require_joinable(inputs), Error);
  inputs[1] = header(1, 1);
  inputs[1].grid.extent.w = 7;
  EXPECT_THROW(require_joinable(inputs), Error);
}

}  // namespace
}  // namespace convt3d
