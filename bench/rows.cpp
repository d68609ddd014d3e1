#include "rows.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace convt3d::bench {
namespace {

std::istream& operator>>(std::istream& words, Extent3& extent) { return words >> extent.d >> extent.h >> extent.w; }

bool parse(const std::string& line, Row& row) {
  std::istringstream words(line);
  ConvTranspose3dOptions& layer = row.options;
  words >> row.name >> row.n >> layer.in_channels >> layer.out_channels >> layer.groups >> row.input >> layer.kernel_size >>
      layer.stride >> layer.padding >> layer.output_padding >> layer.dilation;
  if (!words) return false;
  std::string must, excess;
  if (!(words >> must)) return true;
  row.must = std::strtod(must.c_str(), nullptr);
  return row.must > 0 && !(words >> excess);
}

bool matches(const Row& row, const std::string& name) {
  return row.name == name || (name.size() == 1 && row.name.front() == name.front());
}

}  // namespace

std::vector<Row> read_rows(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot open " + path.string());
  std::vector<Row> rows;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty() || line.front() == '#') continue;
    if (!parse(line, rows.emplace_back())) {
      throw std::runtime_error(path.string() + ":" + std::to_string(number) + ": expected name N Cin Cout G, six triples " +
                               "(input, kernel, stride, padding, output_padding, dilation), and the least ratio or nothing");
    }
  }
  return rows;
}

std::vector<Row> select_rows(const std::vector<Row>& rows, const std::vector<std::string>& names) {
  if (names.empty()) return rows;
  std::vector<Row> selected;
  for (const std::string& name : names) {
    const std::size_t before = selected.size();
    for (const Row& row : rows) {
      if (matches(row, name)) selected.push_back(row);
    }
    if (selected.size() == before) throw std::runtime_error("no row is called '" + name + "'");
  }
  return selected;
}

}  // namespace convt3d::bench
