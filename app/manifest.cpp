#include "manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

#include "convt3d/model/suggest.hpp"
#include "exit_code.hpp"

namespace convt3d::app {
namespace {

using nlohmann::json;

/// An object of known keys, each there once.
json parse_line(const std::string& line) {
  static constexpr std::array<std::string_view, 3> kKeys = {"input", "output", "config"};
  std::set<std::string> seen;
  const auto refuse_unknown_and_duplicate = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event != json::parse_event_t::key || depth != 1) return true;
    const auto key = parsed.get<std::string>();
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      throw UsageError(fmt::format("unknown key \"{}\"{}; expected {}", key, did_you_mean(key, kKeys), list_of(kKeys)));
    }
    if (!seen.insert(key).second) throw UsageError(fmt::format("the key \"{}\" is there twice", key));
    return true;
  };
  try {
    json object = json::parse(line, refuse_unknown_and_duplicate);
    if (!object.is_object()) throw UsageError(fmt::format("expected an object, found {}", object.type_name()));
    return object;
  } catch (const json::parse_error& error) {
    throw UsageError(
        fmt::format("no valid JSON at byte {}; expected {{\"input\": …, \"output\": …}} on one line", error.byte));
  }
}

std::string text_of(const json& value, std::string_view key) {
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
    throw UsageError(fmt::format("\"{}\": expected a path as a text, found {}", key, value.dump()));
  }
  if (value.get_ref<const std::string&>() == "-") {
    throw UsageError(fmt::format("\"{}\": \"-\", standard input and output, is not supported; name a file", key));
  }
  return value.get<std::string>();
}

std::vector<std::filesystem::path> inputs_of(const json& value, ChannelMode channels) {
  if (!value.is_array()) return {text_of(value, "input")};
  if (channels != ChannelMode::kFiles || value.empty()) {
    throw UsageError("\"input\": several files are one volume only with --channels files; else give one line to each");
  }
  std::vector<std::filesystem::path> inputs;
  for (const json& one : value) inputs.emplace_back(text_of(one, "input"));
  return inputs;
}

Job job_of(const std::string& line, const Options& options) {
  const json object = parse_line(line);
  if (!object.contains("input")) throw UsageError("\"input\" is missing");
  if (!object.contains("output") && !options.dry_run) throw UsageError("\"output\" is missing");
  if (!object.contains("config") && options.config.empty()) {
    throw UsageError("\"config\" is missing, and no --config is given for all lines");
  }
  return {.inputs = inputs_of(object.at("input"), options.upsample.channels),
          .output = object.contains("output") ? text_of(object.at("output"), "output") : "",
          .config = object.contains("config") ? text_of(object.at("config"), "config") : options.config,
          .asked_by = ""};
}

}  // namespace

std::vector<Job> read_manifest(const Options& options) {
  std::ifstream file(options.manifest);
  if (!file || std::filesystem::is_directory(options.manifest)) {
    throw UsageError(fmt::format("--manifest {}: cannot be read", options.manifest.string()));
  }
  std::vector<Job> jobs;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string place = fmt::format("{}:{}", options.manifest.string(), number);
    try {
      jobs.push_back(job_of(line, options));
      jobs.back().asked_by = place;
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("{}: {}", place, error.what()));
    }
  }
  return jobs;
}

}  // namespace convt3d::app
