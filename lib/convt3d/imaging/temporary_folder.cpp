#include "convt3d/imaging/temporary_folder.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& target) { return target.has_parent_path() ? target.parent_path() : fs::path("."); }

}  // namespace

TemporaryFolder::TemporaryFolder(const fs::path& target) : target_(target) {
  const fs::path parent = folder_of(target);
  std::error_code error;
  if (!fs::is_directory(parent, error)) {
    throw Error(ErrorKind::kOutput, fmt::format("there is no folder {}", parent.string()));
  }
  if (fs::is_directory(target, error)) throw Error(ErrorKind::kOutput, "is a folder");
  std::string name = (parent / ".convt3d-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    throw Error(ErrorKind::kOutput, fmt::format("no file can be made in {}: {}", parent.string(), std::strerror(errno)));
  }
  folder_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void TemporaryFolder::publish() {
  std::error_code gone;
  std::vector<fs::path> names;
  for (fs::directory_iterator entry(folder_, gone); !gone && entry != fs::directory_iterator(); entry.increment(gone)) {
    if (entry->path().filename() != target_.filename()) names.push_back(entry->path().filename());
  }
  if (gone) {
    throw Error(ErrorKind::kOutput,
                fmt::format("{} vanished while the file grew in it: {}", folder_.string(), gone.message()));
  }
  names.push_back(target_.filename());

  std::vector<fs::path> created;
  for (const auto& name : names) {
    const fs::path to = folder_of(target_) / name;
    std::error_code error;
    const bool existed = fs::exists(to, error);
    fs::rename(folder_ / name, to, error);
    if (error) {
      std::error_code ignored;
      for (const auto& path : created) fs::remove(path, ignored);
      throw Error(ErrorKind::kOutput, fmt::format("{} cannot be renamed into place: {}", name.string(), error.message()));
    }
    if (!existed) created.push_back(to);
  }
}

}  // namespace convt3d
