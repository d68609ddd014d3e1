#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "options.hpp"

namespace convt3d::app {

/// One output to make.
struct Job {
  std::vector<std::filesystem::path> inputs;  ///< several are the channels of one volume
  std::filesystem::path output;               ///< empty in a dry run that names none
  std::string config;
  std::string asked_by;  ///< "jobs.jsonl:3", for messages; empty: the command line
};

/// The jobs of the command line or its manifest, in order. Throws UsageError when two would write one file, when one would
/// write an input, or when several inputs have one file to go to.
std::vector<Job> make_jobs(const Options& options);

/// Throws Error{kOutput} naming the outputs that exist, unless they are to be replaced or skipped, and those that have no
/// folder to go to or that are one themselves. Before anything is read.
void require_free_outputs(const std::vector<Job>& jobs, const Options& options);

/// Creates the folder that -o names for several outputs. Throws Error{kOutput}.
void create_output_folder(const Options& options);

}  // namespace convt3d::app
