#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "console.hpp"

namespace convt3d::app {

/// The command line of `convt3d inspect`.
struct InspectOptions {
  std::string file;
  std::vector<std::int64_t> shape;  ///< of an input, 3 to 5 sizes; empty: none given
  bool json = false;
  bool values = false;  ///< -v: also the tensors' least, greatest and mean value
  bool quiet = false;
  bool help = false;
  bool make_config = false;
  std::string prefix;
  std::filesystem::path output;  ///< empty: standard output
  bool force = false;
};

/// Whether these are the words of `convt3d inspect ...`; a volume of that name is ./inspect.
bool asks_to_inspect(int argc, const char* const* argv);

/// Throws UsageError.
InspectOptions parse_inspect_options(int argc, const char* const* argv);

/// What stdout is to get; warnings and guesses go to the console. Throws convt3d::Error.
std::string inspect(const InspectOptions& options, Console& console);

}  // namespace convt3d::app
