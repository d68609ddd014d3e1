#include "jobs.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <system_error>

#include "convt3d/base/error.hpp"
#include "exit_code.hpp"
#include "manifest.hpp"

namespace convt3d::app {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kWritten = {".nii.gz", ".nii", ".mha", ".mhd"};

/// One text for one file, however its path is written.
std::string identity(const fs::path& path) {
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(path, error);
  return (error ? fs::absolute(path).lexically_normal() : canonical).string();
}

/// The files that an output consists of: an .mhd has its voxels in a file beside it.
std::vector<fs::path> files_of(const fs::path& output) {
  std::vector<fs::path> files = {output};
  if (volume_extension(output) != ".mhd") return files;
  for (const char* extension : {".raw", ".zraw"}) files.push_back(fs::path(output).replace_extension(extension));
  return files;
}

/// Whether -o is the folder of the outputs, rather than the one output.
bool into_folder(const Options& options) {
  if (!options.manifest.empty() || options.output.empty()) return false;
  const bool one_output = options.inputs.size() == 1 || options.upsample.channels == ChannelMode::kFiles;
  return !one_output || !options.output.has_filename() || fs::is_directory(options.output);
}

/// The extension an output gets in a folder: --ext, else the input's where that can be written, else .nii.gz.
std::string_view extension_for(std::string_view of_input, const Options& options) {
  if (!options.extension.empty()) return options.extension;
  const auto* const same = std::find(kWritten.begin(), kWritten.end(), of_input);
  return same == kWritten.end() ? kWritten.front() : *same;
}

/// <folder>/<stem><suffix><ext>
fs::path output_in_folder(const fs::path& input, const Options& options) {
  const std::string name = input.filename().string();
  const std::string of_input = volume_extension(input);
  const std::string stem = of_input.empty() ? input.stem().string() : name.substr(0, name.size() - of_input.size());
  return options.output / fmt::format("{}{}{}", stem, options.suffix, extension_for(of_input, options));
}

/// Refuses a file where a folder is wanted, and names for outputs that have one already.
void require_place(const Options& options) {
  if (into_folder(options)) {
    if (options.output.has_filename() && !fs::is_directory(options.output) &&
        (fs::exists(options.output) || !volume_extension(options.output).empty())) {
      throw UsageError(
          fmt::format("--output {}: a file, but {} inputs need a folder\n"
                      "  name a folder; or, if they are the channels of one volume, add --channels files",
                      options.output.string(), options.inputs.size()));
    }
  } else if (options.names_outputs && !options.output.empty()) {
    throw UsageError(
        fmt::format("--suffix and --ext name outputs in a folder, but --output {} is a file", options.output.string()));
  }
}

std::vector<Job> jobs_of_command_line(const Options& options) {
  require_place(options);
  const auto job = [&](std::vector<fs::path> inputs) {
    const fs::path output = into_folder(options) ? output_in_folder(inputs.front(), options) : options.output;
    return Job{.inputs = std::move(inputs), .output = output, .config = options.config, .asked_by = ""};
  };
  if (options.upsample.channels == ChannelMode::kFiles) return {job(options.inputs)};
  std::vector<Job> jobs;
  for (const fs::path& input : options.inputs) jobs.push_back(job({input}));
  return jobs;
}

std::string place_of(const Job& job) { return job.asked_by.empty() ? "" : job.asked_by + ": "; }

/// Refuses two jobs with one output, and an output that is some job's input.
void require_distinct(const std::vector<Job>& jobs) {
  std::map<std::string, const Job*> readers;
  for (const Job& job : jobs) {
    for (const fs::path& input : job.inputs) readers.emplace(identity(input), &job);
  }
  std::map<std::string, const Job*> writers;
  for (const Job& job : jobs) {
    if (job.output.empty()) continue;
    for (const fs::path& file : files_of(job.output)) {
      if (readers.contains(identity(file))) {
        throw UsageError(fmt::format("{}{}: is an input and an output; the input would be lost\n  name another output",
                                     place_of(job), file.string()));
      }
    }
    const auto [other, free] = writers.emplace(identity(job.output), &job);
    if (!free) {
      throw UsageError(fmt::format(
          "{}{}: would be written twice, from {} and from {}\n"
          "  give them different names or folders",
          place_of(job), job.output.string(), other->second->inputs.front().string(), job.inputs.front().string()));
    }
  }
}

/// Throws Error{kOutput} unless a file can be made in the output's folder, or the folder is one that will be created.
void require_folder(const fs::path& output, bool created) {
  fs::path folder = output.parent_path().empty() ? fs::path(".") : output.parent_path();
  while (created && !fs::exists(folder) && folder.has_relative_path()) {
    folder = folder.parent_path().empty() ? fs::path(".") : folder.parent_path();
  }
  const auto refuse = [&](std::string_view why) {
    throw Error(ErrorKind::kOutput, fmt::format("{}: cannot be written: {} {}", output.string(), folder.string(), why));
  };
  if (!fs::exists(folder)) refuse("does not exist; create that folder first");
  if (!fs::is_directory(folder)) refuse("is no folder");
  if (access(folder.c_str(), W_OK | X_OK) != 0) refuse("is a folder that you may not write to");
}

void refuse_existing(const std::vector<fs::path>& existing) {
  if (existing.empty()) return;
  constexpr std::size_t kShown = 5;
  std::string list;
  for (std::size_t i = 1; i < std::min(existing.size(), kShown); ++i)
    list += "\n  " + existing[i].string() + ": exists as well";
  if (existing.size() > kShown) list += fmt::format("\n  and {} more", existing.size() - kShown);
  throw Error(ErrorKind::kOutput, fmt::format("{}: exists already{}\n  --force replaces, --skip-existing leaves what exists",
                                              existing.front().string(), list));
}

}  // namespace

std::vector<Job> make_jobs(const Options& options) {
  std::vector<Job> jobs = options.manifest.empty() ? jobs_of_command_line(options) : read_manifest(options);
  require_distinct(jobs);
  return jobs;
}

void require_free_outputs(const std::vector<Job>& jobs, const Options& options) {
  std::vector<fs::path> existing;
  for (const Job& job : jobs) {
    if (job.output.empty()) continue;
    format_of(job.output);
    require_folder(job.output, into_folder(options));
    if (fs::is_directory(job.output)) {
      throw Error(ErrorKind::kOutput, fmt::format("{}: is a folder; name a file", job.output.string()));
    }
    if (options.force || options.skip_existing) continue;
    for (const fs::path& file : files_of(job.output)) {
      if (fs::exists(file)) existing.push_back(file);
    }
  }
  refuse_existing(existing);
}

void create_output_folder(const Options& options) {
  if (!into_folder(options)) return;
  std::error_code error;
  fs::create_directories(options.output, error);
  if (error) {
    throw Error(ErrorKind::kOutput,
                fmt::format("{}: the folder cannot be created: {}", options.output.string(), error.message()));
  }
}

}  // namespace convt3d::app
