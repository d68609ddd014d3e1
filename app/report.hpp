#pragma once

#include <string>

#include "batch.hpp"

namespace convt3d::app {

/// For people: "convt3d 0.1.0: 2 threads (affinity), avx512", a line of its own.
std::string heading(const BatchResult& batch);

/// For people, one job: two lines of what was done. A dry run and --verbose get every layer, the geometry and the memory;
/// --verbose also the algorithms that were considered, each buffer, and how fast each stage was.
std::string describe(const JobResult& result, const Options& options);

/// For people, the last line of a batch: "4 volumes: 2 done, 1 skipped, 1 failed; 3.1 s in all, bound by write".
std::string summary(const BatchResult& batch);

/// For programs: the report of docs' "The report", one JSON object and a newline. Keys are always there; what is not known
/// of a failed or skipped job is null.
std::string report_json(const BatchResult& batch);

/// The shipped configs, a line to each, or as a JSON object.
std::string list_configs(bool as_json);

}  // namespace convt3d::app
