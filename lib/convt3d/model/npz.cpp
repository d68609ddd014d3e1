#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convt3d/model/npy.hpp"
#include "convt3d/model/tensor_file.hpp"
#include "convt3d/model/zip.hpp"

namespace convt3d {
namespace {

constexpr std::string_view kExtension = ".npy";

/// "up1.weight" of the entry "up1.weight.npy". Nothing is ever unpacked to a path, so a name cannot lead anywhere; one that
/// tries is no key of anybody's state dict.
std::string key_of(const std::string& name) {
  const auto fail = [&](const std::string& what) { throw Error(ErrorKind::kConfig, in_quotes(name) + ": " + what); };
  if (!name.ends_with(kExtension)) {
    fail("an .npz file holds nothing but .npy files, as numpy.savez writes them; a .pt file of torch.save is none");
  }
  const std::filesystem::path path(name);
  const bool leads_out = std::any_of(path.begin(), path.end(), [](const auto& part) { return part == ".."; });
  if (path.is_absolute() || leads_out) fail("a name that leads out of the archive");
  return name.substr(0, name.size() - kExtension.size());
}

class NpzFile final : public TensorFile {
 public:
  explicit NpzFile(const std::filesystem::path& path) : file_(path) {
    with_prefix(path.string() + ": ", [&] {
      for (ZipEntry& entry : read_zip_directory(file_)) {
        const std::string key = key_of(entry.name);
        if (!entries_.emplace(key, std::move(entry)).second) {
          throw Error(ErrorKind::kConfig, "the key " + in_quotes(key) + " stands there twice");
        }
      }
    });
    std::vector<std::string> keys;
    for (const auto& [key, entry] : entries_) keys.push_back(key);
    set_keys(std::move(keys));
  }

  TensorInfo info(const std::string& key) const override {
    return with_content<TensorInfo>(key, [](const ReadBytes& read, std::int64_t bytes) {
      NpyHeader header = read_npy_header(read, bytes);
      return TensorInfo{header.dtype, std::move(header.shape)};
    });
  }

  Tensor read(const std::string& key) const override {
    return with_content<Tensor>(
        key, [](const ReadBytes& read, std::int64_t bytes) { return read_npy_data(read, read_npy_header(read, bytes)); });
  }

  const std::map<std::string, std::string>& metadata() const override {
    static const std::map<std::string, std::string> none;
    return none;
  }

 private:
  /// `use` of the key's bytes and their number.
  template <typename Result>
  Result with_content(const std::string& key, Result (*use)(const ReadBytes& read, std::int64_t bytes)) const {
    return with_prefix(file_.path().string() + ": " + in_quotes(key) + ": ", [&]() -> Result {
      const ZipEntry& entry = entries_.at(key);
      ZipReader reader(file_, entry);
      return use([&](void* to, std::int64_t bytes) { return reader.read(to, bytes); }, entry.content_bytes);
    });
  }

  RegularFile file_;
  std::map<std::string, ZipEntry> entries_;
};

}  // namespace

std::unique_ptr<TensorFile> open_npz(const std::filesystem::path& path) { return std::make_unique<NpzFile>(path); }

}  // namespace convt3d
