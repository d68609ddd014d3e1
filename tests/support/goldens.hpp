#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "convt3d/base/extent.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/options.hpp"
#include "support/arrays.hpp"

namespace testing_support {

/// One line of a golden's text file, "key=value key=value<tab>expected". Everything missing or malformed throws.
class GoldenLine {
 public:
  explicit GoldenLine(const std::string& line);

  bool has(const std::string& key) const { return fields_.count(key) > 0; }
  const std::string& text(const std::string& key) const { return fields_.at(key); }
  std::int64_t integer(const std::string& key) const { return std::stoll(text(key)); }
  /// "1,2,3"; empty text is an empty list.
  std::vector<std::int64_t> integers(const std::string& key) const;
  convt3d::Extent3 extent(const std::string& key) const;
  /// What stands behind the tab.
  const std::string& expected() const { return expected_; }

 private:
  std::unordered_map<std::string, std::string> fields_;
  std::string expected_;
};

/// The lines of tests/conv/goldens/<file>.
std::vector<GoldenLine> read_golden_lines(const std::string& file);

/// "offset,count" of `place`: that many T of tests/conv/goldens/<file>, from that byte on.
template <typename T>
std::vector<T> read_golden_values(const std::string& file, const std::vector<std::int64_t>& place);

/// The layer of a line with the keys stride, padding, output_padding, dilation and groups, and either w (the weight's shape)
/// or in_channels, out_channels and kernel_size; bias where it is named.
convt3d::ConvTranspose3dOptions layer_of(const GoldenLine& line);

/// Weight, bias and input of a line of conv_transpose3d.txt, drawn as make_goldens.py draws them.
template <typename T>
Arrays<T> golden_arrays(const GoldenLine& line) {
  Lcg lcg(static_cast<std::uint64_t>(line.integer("seed")));
  const auto draw = [&](const std::vector<std::int64_t>& shape) {
    std::vector<T> values(static_cast<std::size_t>(convt3d::element_count(shape)));
    for (T& value : values) value = static_cast<T>(lcg.symmetric());
    return values;
  };
  const convt3d::ConvTranspose3dOptions layer = layer_of(line);
  Arrays<T> arrays;
  arrays.weight = draw(line.integers("w"));
  if (layer.bias) arrays.bias = draw({layer.out_channels});
  arrays.input = draw(line.integers("x"));
  return arrays;
}

}  // namespace testing_support
