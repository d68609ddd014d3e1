#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "convt3d/conv/options.hpp"

namespace convt3d::bench {

/// One shape to measure: a line of rows.txt.
struct Row {
  std::string name;
  std::int64_t n = 1;
  ConvTranspose3dOptions options;
  Extent3 input;
  double must = 1;  ///< least ratio (best peer's time / ours) at 2 threads that we accept
};

/// Throws std::runtime_error naming the file and the line that cannot be read.
std::vector<Row> read_rows(const std::filesystem::path& path);

/// The rows of those names, in that order; of a letter alone ("Q") all that begin with it; none given: all. Throws
/// std::runtime_error for a name that matches nothing.
std::vector<Row> select_rows(const std::vector<Row>& rows, const std::vector<std::string>& names);

}  // namespace convt3d::bench
