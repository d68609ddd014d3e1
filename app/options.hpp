#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "convt3d/upsample/upsample.hpp"

namespace convt3d::app {

enum class Request { kUpsample, kHelp, kVersion, kListConfigs };

/// The command line, checked as far as it can be without looking at a file.
struct Options {
  Request request = Request::kUpsample;
  std::vector<std::filesystem::path> inputs;
  std::string config;            ///< a path or a shipped config's name
  std::filesystem::path output;  ///< empty in a dry run that names none
  std::string suffix = "_up";
  std::string extension;  ///< ".nii.gz"; empty: as the input
  std::filesystem::path manifest;
  bool dry_run = false;
  bool json = false;
  bool force = false;
  bool skip_existing = false;
  bool fail_fast = false;
  bool quiet = false;
  bool verbose = false;
  bool progress = true;
  bool names_outputs = false;  ///< --suffix or --ext was given
  UpsampleOptions upsample;
};

/// Throws UsageError saying which option is wrong, what was found and what is expected.
Options parse_options(int argc, const char* const* argv);

}  // namespace convt3d::app
