#pragma once

#include <filesystem>

namespace convt3d {

/// A new hidden folder beside a file that is to be written: what grows in it has its final name already, and one rename each
/// brings it to its place. The destructor removes the folder with all that is in it, so that an exception, and thus a run
/// stopped by a signal, leaves nothing.
class TemporaryFolder {
 public:
  /// In the folder of `target`. Throws Error{kOutput} if that does not exist or cannot be written to.
  explicit TemporaryFolder(const std::filesystem::path& target);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  /// Where the file that becomes `target` grows.
  std::filesystem::path file() const { return folder_ / target_.filename(); }

  /// Moves every file of the folder beside it, over what is there, the target last. Throws Error{kOutput} and takes back
  /// what was moved to a new name.
  void publish();

 private:
  std::filesystem::path target_;
  std::filesystem::path folder_;
};

}  // namespace convt3d
