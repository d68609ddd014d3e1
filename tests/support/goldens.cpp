#include "support/goldens.hpp"

#include <bit>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace testing_support {
namespace {

static_assert(std::endian::native == std::endian::little, "goldens are little-endian");

std::ifstream open(const std::string& file) {
  std::ifstream stream(std::string(CONVT3D_GOLDENS) + "/" + file, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read " CONVT3D_GOLDENS "/" + file);
  return stream;
}

}  // namespace

GoldenLine::GoldenLine(const std::string& line) {
  const std::size_t tab = line.find('\t');
  if (tab != std::string::npos) expected_ = line.substr(tab + 1);
  std::istringstream words(line.substr(0, tab));
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) throw std::runtime_error("a golden's field is no key=value: " + word);
    fields_[word.substr(0, equals)] = word.substr(equals + 1);
  }
}

std::vector<std::int64_t> GoldenLine::integers(const std::string& key) const {
  std::vector<std::int64_t> numbers;
  std::istringstream list(text(key));
  for (std::string number; std::getline(list, number, ',');) numbers.push_back(std::stoll(number));
  return numbers;
}

convt3d::Extent3 GoldenLine::extent(const std::string& key) const {
  const std::vector<std::int64_t> numbers = integers(key);
  if (numbers.size() != 3) throw std::runtime_error("a golden's field has not three numbers: " + key);
  return {numbers[0], numbers[1], numbers[2]};
}

std::vector<GoldenLine> read_golden_lines(const std::string& file) {
  std::ifstream stream = open(file);
  std::vector<GoldenLine> lines;
  for (std::string line; std::getline(stream, line);) lines.emplace_back(line);
  return lines;
}

template <typename T>
std::vector<T> read_golden_values(const std::string& file, const std::vector<std::int64_t>& place) {
  std::ifstream stream = open(file);
  std::vector<T> values(static_cast<std::size_t>(place.at(1)));
  stream.seekg(place.at(0));
  stream.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  if (!stream) throw std::runtime_error(file + " is too short");
  return values;
}

template std::vector<float> read_golden_values(const std::string&, const std::vector<std::int64_t>&);
template std::vector<double> read_golden_values(const std::string&, const std::vector<std::int64_t>&);

convt3d::ConvTranspose3dOptions layer_of(const GoldenLine& line) {
  convt3d::ConvTranspose3dOptions layer = {.stride = line.extent("stride"),
                                           .padding = line.extent("padding"),
                                           .output_padding = line.extent("output_padding"),
                                           .groups = line.integer("groups"),
                                           .bias = line.has("bias") && line.integer("bias") != 0,
                                           .dilation = line.extent("dilation")};
  if (line.has("w")) {
    const std::vector<std::int64_t> weight = line.integers("w");
    layer.in_channels = weight.at(0);
    layer.out_channels = weight.at(1) * layer.groups;
    layer.kernel_size = {weight.at(2), weight.at(3), weight.at(4)};
  } else {
    layer.in_channels = line.integer("in_channels");
    layer.out_channels = line.integer("out_channels");
    layer.kernel_size = line.extent("kernel_size");
  }
  return layer;
}

}  // namespace testing_support
