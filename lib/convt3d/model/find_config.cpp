#include <algorithm>
#include <cstdlib>
#include <map>
#include <system_error>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/model/json.hpp"
#include "convt3d/model/model.hpp"
#include "convt3d/model/suggest.hpp"

namespace convt3d {
namespace {

namespace fs = std::filesystem;

/// Where shipped configs may be, first come first served: $CONVT3D_CONFIG_DIR, then share/convt3d/configs in the folder of
/// the running program or in one above it: PREFIX/bin/convt3d has PREFIX/share, and a program of a build tree the build
/// tree's.
std::vector<fs::path> config_folders() {
  std::vector<fs::path> folders;
  const char* const wanted = std::getenv("CONVT3D_CONFIG_DIR");
  if (wanted != nullptr && *wanted != '\0') folders.emplace_back(wanted);
  std::error_code error;
  fs::path above = fs::read_symlink("/proc/self/exe", error).parent_path();
  while (!error && above.has_relative_path()) {
    folders.push_back(above / "share" / "convt3d" / "configs");
    above = above.parent_path();
  }
  return folders;
}

/// Name to path of every config in the folders.
std::map<std::string, fs::path> named_configs() {
  std::map<std::string, fs::path> configs;
  for (const fs::path& folder : config_folders()) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      const fs::path& path = entry->path();
      if (path.extension() == ".json" && path.stem() != "schema" && fs::is_regular_file(path, error)) {
        configs.emplace(path.stem().string(), path);
      }
    }
  }
  return configs;
}

/// The config's own words, or why there are none: a broken file of the user's must not hide the others.
std::string description_of(const fs::path& path) {
  try {
    const nlohmann::json config = parse_strict_json(read_config_text(path), path.string());
    if (config.is_object() && config.contains("description") && config["description"].is_string()) {
      return config["description"].get<std::string>();
    }
    return "";
  } catch (const Error& error) {
    return std::string("(invalid) ") + error.what();
  }
}

}  // namespace

fs::path find_config(const std::string& path_or_name) {
  std::error_code error;
  if (fs::exists(path_or_name, error) && !fs::is_directory(path_or_name, error)) return path_or_name;
  const std::map<std::string, fs::path> configs = named_configs();
  if (const auto config = configs.find(path_or_name); config != configs.end()) return config->second;

  std::vector<std::string_view> names;
  for (const auto& [name, path] : configs) names.push_back(name);
  const std::string known = names.empty() ? "no shipped configs were found; $CONVT3D_CONFIG_DIR may name their folder"
                                          : "shipped configs: " + list_of(names);
  throw Error(ErrorKind::kConfig,
              path_or_name + ": there is no such config file" + did_you_mean(path_or_name, names) + "\n  " + known);
}

std::vector<ShippedConfig> shipped_configs() {
  std::vector<ShippedConfig> shipped;
  for (const auto& [name, path] : named_configs()) shipped.push_back({name, description_of(path), path});
  return shipped;
}

}  // namespace convt3d
