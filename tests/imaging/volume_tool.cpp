/// What the Python tests drive the library with:
///   volume_tool header IN                              the header as "key value..." lines
///   volume_tool copy IN OUT [key=value...]             type= level= nan= provenance= threads= compress= dtype= step=
///   offset=
/// step and offset (d,h,w) propagate the grid without resampling the voxels, whose number stays.
/// Exit code 1 and "kind: message" on stderr for an Error.
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/imaging/volume.hpp"

namespace {

using namespace convt3d;

template <typename Values>
void print(const char* key, const Values& values) {
  std::printf("%s", key);
  for (const double value : values) std::printf(" %.17g", value);
  std::printf("\n");
}

void print_header(const VolumeHeader& header) {
  const Extent3& extent = header.grid.extent;
  print("shape", std::vector<double>{double(header.frames), double(header.components), double(extent.d), double(extent.h),
                                     double(extent.w)});
  print("spacing", header.grid.spacing_mm);
  print("origin", header.grid.origin_mm);
  print("direction", header.grid.direction);
  print("frame_duration", std::vector{header.frame_duration_s});
  std::printf("pixel_type %s\n", std::string(name_of(header.pixel_type)).c_str());
}

std::array<double, 3> triple(const std::string& text) {
  std::array<double, 3> values{};
  std::istringstream words(text);
  char comma;
  words >> values[0] >> comma >> values[1] >> comma >> values[2];
  return values;
}

void copy(const std::string& in, const std::string& out, std::map<std::string, std::string> given) {
  const VolumeHeader header = read_header(in);
  WriteOptions options;
  options.pixel_type = given.contains("type") ? dtype_from_name(given["type"]).value() : header.pixel_type;
  if (given.contains("level")) options.compression_level = std::stoi(given["level"]);
  if (given.contains("nan")) options.nan_value = std::stod(given["nan"]);
  if (given.contains("threads")) options.threads = std::stoi(given["threads"]);
  options.compress_metaimage = given["compress"] == "1";
  options.provenance = given["provenance"];
  Sampling sampling;
  if (given.contains("step")) sampling.step = triple(given["step"]);
  if (given.contains("offset")) sampling.offset = triple(given["offset"]);
  const VoxelGrid grid = propagate(header.grid, sampling, header.grid.extent, OriginMode::kKernel);
  const Tensor voxels = read_voxels(header, given["dtype"] == "float64" ? DType::kFloat64 : DType::kFloat32);
  const WriteReport report = write_volume(out, voxels, grid, header, options);
  std::printf("clipped %lld\nbytes %lld\n", static_cast<long long>(report.clipped), static_cast<long long>(report.bytes));
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  try {
    if (words.size() == 2 && words[0] == "header") {
      print_header(read_header(words[1]));
      return 0;
    }
    if (words.size() >= 3 && words[0] == "copy") {
      std::map<std::string, std::string> given;
      for (std::size_t i = 3; i < words.size(); ++i) {
        const std::size_t equals = words[i].find('=');
        given[words[i].substr(0, equals)] = words[i].substr(equals + 1);
      }
      copy(words[1], words[2], given);
      return 0;
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.kind() == ErrorKind::kInput ? "input" : "output", error.what());
    return 1;
  }
  std::fprintf(stderr, "usage: volume_tool header IN | copy IN OUT [key=value...]\n");
  return 2;
}
