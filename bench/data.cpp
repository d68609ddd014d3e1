#include "data.hpp"

#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace convt3d::bench {
namespace {

/// Uniform in ±bound, from a counter through a 32-bit mixer (murmur3's): at memory speed, where a random engine would take
/// longer than the convolution.
void fill(Tensor& tensor, std::uint32_t seed, double bound) {
  const auto scale = static_cast<float>(bound * 0x1p-31);
  std::uint32_t counter = seed * 0x9e3779b9u;
  for (float& value : tensor.values<float>()) {
    std::uint32_t bits = ++counter;
    bits = (bits ^ (bits >> 16)) * 0x85ebca6bu;
    bits = (bits ^ (bits >> 13)) * 0xc2b2ae35u;
    bits ^= bits >> 16;
    value = static_cast<float>(static_cast<std::int32_t>(bits)) * scale;
  }
}

void write_file(const std::filesystem::path& path, const Tensor& tensor) {
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char*>(tensor.raw()), tensor.size_bytes());
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace

Data::Data(const Problem& problem)
    : input(Tensor::empty({problem.n, problem.ci, problem.input.d, problem.input.h, problem.input.w})),
      weight(Tensor::empty({problem.ci, problem.co / problem.groups, problem.kernel.d, problem.kernel.h, problem.kernel.w})),
      bias(Tensor::empty({problem.co})) {
  const double fan_in = static_cast<double>(weight.size()) / static_cast<double>(problem.ci);
  fill(input, 1, std::sqrt(3.0));
  fill(weight, 2, 1 / std::sqrt(fan_in));
  fill(bias, 3, 1 / std::sqrt(fan_in));
}

SharedFolder::SharedFolder() {
  const std::filesystem::path memory = "/dev/shm";
  const auto base = std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
  path_ = base / ("convt3d_bench_" + std::to_string(getpid()));
  std::filesystem::create_directory(path_);
}

SharedFolder::~SharedFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void SharedFolder::save(const Data& data) const {
  write_file(path_ / "input.f32", data.input);
  write_file(path_ / "weight.f32", data.weight);
  write_file(path_ / "bias.f32", data.bias);
}

double SharedFolder::take_output_error(std::span<const float> ours) const {
  const std::filesystem::path path = path_ / "output.f32";
  if (std::filesystem::file_size(path) != ours.size_bytes()) return std::numeric_limits<double>::infinity();
  std::ifstream file(path, std::ios::binary);
  std::vector<float> theirs(std::size_t{1} << 18);
  double difference = 0;
  double norm = 0;
  for (std::size_t begin = 0; begin < ours.size(); begin += theirs.size()) {
    const std::size_t count = std::min(theirs.size(), ours.size() - begin);
    file.read(reinterpret_cast<char*>(theirs.data()), static_cast<std::streamsize>(count * sizeof(float)));
    if (!file) throw std::runtime_error("cannot read " + path.string());
    for (std::size_t i = 0; i < count; ++i) {
      const double our = ours[begin + i];
      const double off = our - theirs[i];
      difference += off * off;
      norm += our * our;
    }
  }
  std::filesystem::remove(path);
  return std::sqrt(difference / norm);
}

}  // namespace convt3d::bench
