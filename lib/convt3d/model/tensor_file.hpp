#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "convt3d/base/dtype.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/base/tensor.hpp"

namespace convt3d {

/// A tensor as its file's header tells of it.
struct TensorInfo {
  DType dtype = DType::kFloat32;  ///< as stored; truth values as uint8, 0 and 1
  Shape shape;
};

/// A file of tensors, each under a key: PyTorch's state dict. Opening it checks all that its headers say against the file's
/// length; a tensor is read when it is asked for. Everything that is wrong throws Error{kConfig} that starts with the path
/// and names the key.
class TensorFile {
 public:
  virtual ~TensorFile() = default;

  /// In natural order: "up.2" before "up.10". No two are equal.
  const std::vector<std::string>& keys() const { return keys_; }
  bool has(const std::string& key) const;

  /// Of a key that it has.
  virtual TensorInfo info(const std::string& key) const = 0;
  virtual Tensor read(const std::string& key) const = 0;
  /// What a .safetensors file says of itself under "__metadata__".
  virtual const std::map<std::string, std::string>& metadata() const = 0;

 protected:
  /// Sorts them.
  void set_keys(std::vector<std::string> keys);

 private:
  std::vector<std::string> keys_;
};

/// Whether the name ends in .safetensors or .npz.
bool is_tensor_file(const std::filesystem::path& path);

/// Opens a file of one of those names.
std::unique_ptr<TensorFile> open_tensor_file(const std::filesystem::path& path);

/// A .safetensors file: https://huggingface.co/docs/safetensors.
std::unique_ptr<TensorFile> open_safetensors(const std::filesystem::path& path);

/// An .npz file, as numpy.savez and numpy.savez_compressed write it: a zip archive of .npy files.
std::unique_ptr<TensorFile> open_npz(const std::filesystem::path& path);

/// Why a key would spoil messages and reports: "" or what is wrong with it (control characters, no UTF-8).
std::string fault_of_key(const std::string& key);

/// A key between quotes, for messages; a long one is cut.
std::string in_quotes(const std::string& key);

/// Runs `work`; its errors, of whatever kind, become Error{kConfig} with `prefix` in front.
template <typename Work>
auto with_prefix(const std::string& prefix, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    throw Error(ErrorKind::kConfig, prefix + error.what());
  }
}

}  // namespace convt3d
