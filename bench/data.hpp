#pragma once

#include <filesystem>
#include <span>

#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/problem.hpp"

namespace convt3d::bench {

/// What a problem is run on: input uniform with variance 1, weight (ci, co/groups, kd, kh, kw) and bias as PyTorch
/// initialises them. The same problem always gets the same values.
struct Data {
  explicit Data(const Problem& problem);

  Tensor input, weight, bias;
};

/// A folder for the data that peers share with us, in memory where the system has /dev/shm; removed at the end.
class SharedFolder {
 public:
  SharedFolder();
  ~SharedFolder();
  SharedFolder(const SharedFolder&) = delete;
  SharedFolder& operator=(const SharedFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  /// Writes input.f32, weight.f32 and bias.f32.
  void save(const Data& data) const;

  /// |ours - theirs| / |ours| (L2), theirs being output.f32, which is deleted; infinite when it has another size.
  double take_output_error(std::span<const float> ours) const;

 private:
  std::filesystem::path path_;
};

}  // namespace convt3d::bench
