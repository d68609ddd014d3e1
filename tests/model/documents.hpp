#pragma once

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "files.hpp"

namespace testing_support {

/// An entry of documents.json, which schema_test.py describes.
struct Document {
  std::string name;
  nlohmann::json config;
  std::vector<std::string> error;  ///< the JSON pointer, then words of the message; empty: the config is valid
};

inline std::vector<Document> read_documents() {
  std::ifstream file(CONVT3D_MODEL_TESTS "/documents.json");
  std::vector<Document> documents;
  for (const nlohmann::json& entry : nlohmann::json::parse(file)) {
    Document document{
        .name = entry.at("name"), .config = nullptr, .error = entry.value("error", std::vector<std::string>{})};
    nlohmann::json layer = {{"type", "conv_transpose3d"}, {"kernel_size", 2}, {"stride", 2}, {"bias", false}};
    if (entry.contains("weight")) layer["weights"]["weight"] = entry["weight"];
    if (entry.contains("layer")) layer = entry["layer"];
    document.config = {{"version", 1}, {"layers", nlohmann::json::array({layer})}};
    if (entry.contains("document")) document.config = entry["document"];
    documents.push_back(document);
  }
  return documents;
}

/// The bytes of a file of goldens/.
inline std::string read_golden(const std::string& name) {
  std::ifstream file(CONVT3D_MODEL_TESTS "/goldens/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The weight files that the documents name.
inline void write_weight_files(const TemporaryFolder& folder) {
  const std::string w222 = npy_floats("(1, 1, 2, 2, 2)", 8);
  folder.write("w222.npy", w222);
  folder.write("cut.npy", std::string_view(w222).substr(0, w222.size() - 1));
  folder.write("text.npy", "1 2 3 4 5 6 7 8\n");
  folder.write("empty.npy", npy_floats("(0, 1, 2, 2, 2)", 0));
  std::string nan = w222;
  nan.replace(nan.size() - 20, 4, std::string("\0\0\xc0\x7f", 4));
  folder.write("nan.npy", nan);
  folder.write("up2.npy", npy_floats("(16, 32, 2, 2, 2)", 4096));
  folder.write("b1.npy", npy_floats("(1,)", 1));
  folder.write("half.npy",
               npy_bytes("{'descr': '<f2', 'fortran_order': False, 'shape': (1, 1, 2, 2, 2), }", std::string(16, '\0')));
  folder.write("w.bin", std::string(32, '\0'));
  folder.write("odd.bin", std::string(12, '\0'));
  std::filesystem::create_directory(folder.path() / "folder.npy");
  std::filesystem::create_directory(folder.path() / "folder.safetensors");
  for (const std::string name : {"tensors.safetensors", "stored.npz", "deflated.npz"}) {
    const std::string bytes = read_golden(name);
    folder.write(name, bytes);
    folder.write("cut" + std::filesystem::path(name).extension().string(),
                 std::string_view(bytes).substr(0, bytes.size() - 1));
  }
}

}  // namespace testing_support
