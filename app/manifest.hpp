#pragma once

#include <vector>

#include "jobs.hpp"

namespace convt3d::app {

/// The jobs of options.manifest, JSON Lines: {"input": PATH, "output": PATH, "config": FILE|NAME} on each line that is not
/// blank. "config" may be left out where --config is given, "output" in a dry run; with --channels files "input" may be an
/// array. Paths are relative to the present folder, as on the command line. Throws UsageError with the file and the line.
std::vector<Job> read_manifest(const Options& options);

}  // namespace convt3d::app
