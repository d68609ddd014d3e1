#include "convt3d/conv/requirements.hpp"

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

void require_multiple(const char* module, const char* name, std::int64_t channels, std::int64_t groups) {
  const std::string found = std::string(name) + " is " + std::to_string(channels);
  if (channels < 1) refuse(module, found + "; expected at least 1");
  if (channels % groups != 0) {
    refuse(module, found + ", not divisible by groups = " + std::to_string(groups) +
                       "; expected a multiple of it, such as " + std::to_string((channels / groups + 1) * groups));
  }
}

}  // namespace

void refuse(const char* module, const std::string& what) {
  throw Error(ErrorKind::kShape, std::string(module) + ": " + what);
}

void require_at_least(const char* module, const char* name, const Extent3& value, std::int64_t least) {
  for (int axis = 0; axis < 3; ++axis) {
    if (value[axis] >= least) continue;
    refuse(module, std::string(name) + " " + to_string(value) + " is " + std::to_string(value[axis]) + " on the " +
                       kAxisNames[axis] + " axis; expected at least " + std::to_string(least));
  }
}

void require_channels(const char* module, std::int64_t in_channels, std::int64_t out_channels, std::int64_t groups) {
  if (groups < 1) refuse(module, "groups is " + std::to_string(groups) + "; expected at least 1");
  require_multiple(module, "in_channels", in_channels, groups);
  require_multiple(module, "out_channels", out_channels, groups);
}

void require_computed(const char* module, DType dtype, const std::string& device) {
  if (dtype != DType::kFloat32 && dtype != DType::kFloat64) {
    refuse(module, "dtype is " + std::string(name_of(dtype)) + "; computed in are float32 and float64");
  }
  if (!device.empty() && device != "cpu") {
    refuse(module, "device is \"" + device + "\"; this library computes on the \"cpu\" only");
  }
}

void require_voxels(const char* module, const Extent3& input) {
  for (int axis = 0; axis < 3; ++axis) {
    if (input[axis] >= 1) continue;
    refuse(module,
           "the input " + to_string(input) + " is empty on the " + kAxisNames[axis] + " axis; expected at least 1 voxel");
  }
}

Shape output_shape(const char* module, std::int64_t in_channels, std::int64_t out_channels, const Shape& input,
                   const std::function<Extent3(const Extent3&)>& extent) {
  if (input.size() != 4 && input.size() != 5) {
    refuse(module, "the input " + to_string(input) + " has rank " + std::to_string(input.size()) +
                       "; expected 5 (N, C, D, H, W), or 4 (C, D, H, W)");
  }
  const std::size_t c = input.size() - 4;
  if (input[c] != in_channels) {
    refuse(module, "the input " + to_string(input) + " has " + std::to_string(input[c]) +
                       " channels; expected in_channels = " + std::to_string(in_channels));
  }
  const Extent3 output = extent({input[c + 1], input[c + 2], input[c + 3]});
  Shape shape = input;
  shape[c] = out_channels;
  for (int axis = 0; axis < 3; ++axis) shape[c + 1 + static_cast<std::size_t>(axis)] = output[axis];
  return shape;
}

}  // namespace convt3d
