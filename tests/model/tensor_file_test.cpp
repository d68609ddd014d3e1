#include "convt3d/model/tensor_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "convt3d/base/error.hpp"
#include "documents.hpp"
#include "support/arrays.hpp"
#include "support/refusal.hpp"

namespace {

using namespace convt3d;
using testing_support::TemporaryFolder;

std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(CONVT3D_MODEL_TESTS) / "goldens" / name;
}

/// A number of `size` bytes, little-endian.
std::string little(std::uint64_t value, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
  return bytes;
}

std::string safetensors(const std::string& header, std::size_t data_bytes) {
  return little(header.size(), 8) + header + std::string(data_bytes, '\1');
}

/// One tensor "w" with these members.
std::string one(const std::string& members, std::size_t data_bytes) {
  return safetensors("{\"w\":{" + members + "}}", data_bytes);
}

class TensorFiles : public testing::Test {
 protected:
  std::unique_ptr<TensorFile> open(const std::string& name, std::string_view bytes) const {
    return open_tensor_file(folder_.write(name, bytes));
  }

  /// Opens the file and reads all of it.
  void read_all(const std::string& name, std::string_view bytes) const {
    const auto file = open(name, bytes);
    for (const std::string& key : file->keys()) {
      const TensorInfo info = file->info(key);
      const Tensor tensor = file->read(key);
      ASSERT_EQ(tensor.shape(), info.shape);
      ASSERT_EQ(tensor.dtype(), info.dtype);
    }
  }

  void expect_refused_bytes(const std::string& name, const std::string& bytes, std::vector<std::string> words) const {
    words.push_back((folder_.path() / name).string() + ": ");
    testing_support::expect_refused([&] { read_all(name, bytes); }, words, ErrorKind::kConfig);
  }
  void expect_refused_safetensors(const std::string& bytes, const std::vector<std::string>& words) const {
    expect_refused_bytes("m.safetensors", bytes, words);
  }
  void expect_refused_npz(const std::string& bytes, const std::vector<std::string>& words) const {
    expect_refused_bytes("m.npz", bytes, words);
  }

  TemporaryFolder folder_;
};

TEST_F(TensorFiles, ReadsWhatNumpyAndTheFormatWrite) {
  const std::vector<std::pair<std::string, DType>> dtypes = {
      {"float64", DType::kFloat64}, {"float32", DType::kFloat32}, {"float16", DType::kFloat16},
      {"int8", DType::kInt8},       {"uint8", DType::kUInt8},     {"int16", DType::kInt16},
      {"uint16", DType::kUInt16},   {"int32", DType::kInt32},     {"uint32", DType::kUInt32},
      {"int64", DType::kInt64},     {"uint64", DType::kUInt64},   {"bfloat16", DType::kBFloat16},
      {"bool", DType::kUInt8}};
  for (const std::string name : {"tensors.safetensors", "stored.npz", "deflated.npz", "streamed.npz"}) {
    const auto file = open_tensor_file(golden(name));
    for (const auto& [dtype_name, dtype] : dtypes) {
      const std::string key = "dtype." + dtype_name;
      SCOPED_TRACE(name + " " + key);
      ASSERT_EQ(file->has(key), dtype_name != "bfloat16" || name == "tensors.safetensors");
      if (!file->has(key)) continue;
      EXPECT_EQ(file->info(key).dtype, dtype);
      const Tensor tensor = file->read(key);
      ASSERT_EQ(tensor.shape(), (Shape{2, 3}));
      const Tensor values = convert(tensor, DType::kFloat64);
      for (std::int64_t i = 0; i < 6; ++i) {
        EXPECT_EQ(values.data<double>()[i], static_cast<double>(dtype_name == "bool" ? std::min<std::int64_t>(i, 1) : i));
      }
    }
    const Tensor weight = file->read("up.2.weight");
    ASSERT_EQ(weight.shape(), (Shape{2, 3, 2, 2, 2})) << name;
    for (std::int64_t i = 0; i < 48; ++i) EXPECT_EQ(weight.data<float>()[i], static_cast<float>(i));
    EXPECT_EQ(file->read("up.10.num_batches_tracked").shape(), Shape{});
    EXPECT_EQ(file->read("other.empty").shape(), (Shape{0, 3}));
  }
  EXPECT_EQ(open_tensor_file(golden("tensors.safetensors"))->metadata().at("format"), "pt");
}

TEST_F(TensorFiles, ListKeysInNaturalOrder) {
  const auto file = open_tensor_file(golden("stored.npz"));
  const std::vector<std::string> last(file->keys().end() - 4, file->keys().end());
  EXPECT_EQ(last, (std::vector<std::string>{"up.2.bias", "up.2.weight", "up.10.num_batches_tracked", "up.10.weight"}));
}

TEST_F(TensorFiles, AreNoFoldersPipesOrDevices) {
  const std::filesystem::path pipe = folder_.path() / "pipe.safetensors";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/zero", folder_.path() / "zero.npz");
  std::filesystem::create_directory(folder_.path() / "folder.npz");
  const auto refused = [&](const std::string& name, const std::string& word) {
    testing_support::expect_refused([&] { open_tensor_file(folder_.path() / name); }, {name + ": " + word},
                                    ErrorKind::kConfig);
  };
  refused("pipe.safetensors", "no regular file");
  refused("zero.npz", "no regular file");
  refused("folder.npz", "a folder");
  refused("none.npz", "there is no such file");
  refused("model.pt", "a file of tensors by key");
}

TEST_F(TensorFiles, TakeTheLeastSafetensors) {
  EXPECT_TRUE(open("m.safetensors", safetensors("{}", 0))->keys().empty());
  EXPECT_TRUE(open("m.safetensors", safetensors("{\"__metadata__\":{}}   ", 0))->keys().empty());
  EXPECT_EQ(open("m.safetensors", one(R"("data_offsets":[0,1],"shape":[],"dtype":"U8")", 1))->read("w").size(), 1);
  EXPECT_NO_THROW(open("m.safetensors", safetensors(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},
      "b":{"dtype":"U8","shape":[0,7],"data_offsets":[1,1]},"c":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                                    3)));
}

TEST_F(TensorFiles, RefuseOtherSafetensorsHeaders) {
  expect_refused_safetensors("", {"ends within the 8 bytes"});
  expect_refused_safetensors(little(100'000'001, 8), {"a header of 100000001 bytes"});
  expect_refused_safetensors(std::string(8, '\xff'), {"a header of 18446744073709551615 bytes"});
  expect_refused_safetensors(little(3, 8) + "{}", {"takes 3 bytes, 2 are there"});
  expect_refused_safetensors(safetensors("", 0), {"does not start with {"});
  expect_refused_safetensors(safetensors(" {}", 0), {"does not start with {"});
  expect_refused_safetensors(safetensors("[]", 0), {"does not start with {"});
  expect_refused_safetensors(safetensors("{}x", 0), {"not valid JSON"});
  expect_refused_safetensors(safetensors("{\"a\":" + std::string(1'000'000, '['), 0), {"\"a\": expected a tensor's"});
  expect_refused_safetensors(safetensors("{\"a\":" + std::string(1'000'000, '{'), 0), {"not valid JSON"});
  expect_refused_safetensors(safetensors(R"({"a":1})", 0), {"\"a\": expected a tensor's description, found a number"});
  expect_refused_safetensors(safetensors(R"({"a":{}})", 0), {"\"a\" lacks dtype, shape or data_offsets"});
  expect_refused_safetensors(safetensors(R"({"__metadata__":{"a":1}})", 0), {"\"__metadata__\", \"a\": expected a string"});
  expect_refused_safetensors(safetensors(R"({"__metadata__":{},"__metadata__":{}})", 0), {"\"__metadata__\"", "twice"});
  expect_refused_safetensors(safetensors(R"({"__metadata__":{"a":"","a":""}})", 0), {"\"a\"", "twice"});
  const std::string w = R"("w":{"dtype":"U8","shape":[],"data_offsets":[0,1]})";
  expect_refused_safetensors(safetensors("{" + w + "," + w + "}", 1), {"\"w\"", "twice"});
  expect_refused_safetensors(one(R"("dtype":"U8","dtype":"U8")", 0), {"\"w\", \"dtype\"", "twice"});
  expect_refused_safetensors(one(R"("shape":[],"shape":[])", 0), {"\"w\", \"shape\"", "twice"});
  expect_refused_safetensors(one(R"("dtype":"U8","shape":[],"data_offsets":[0,1],"more":1)", 1), {"\"w\", \"more\""});
  expect_refused_safetensors(one(R"("dtype":"F8_E4M3","shape":[],"data_offsets":[0,1])", 1),
                             {"\"w\"", "\"F8_E4M3\"", "BF16"});
  expect_refused_safetensors(one(R"("dtype":3)", 1), {"\"w\", \"dtype\": expected a string"});
  expect_refused_safetensors(one(R"("shape":[1.0])", 1), {"\"w\", \"shape\": expected a size"});
  expect_refused_safetensors(one(R"("shape":[-1])", 1), {"a negative number"});
  expect_refused_safetensors(one(R"("shape":[[1]])", 1), {"found a list"});
  expect_refused_safetensors(one(R"("shape":[9223372036854775808])", 1), {"passes 63 bits"});
  expect_refused_safetensors(
      one(R"("shape":[)" + std::string(40, ' ') + R"(0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0])",
          1),
      {"more than 32"});
  expect_refused_safetensors(safetensors("{\"a\\u001b[31m\":{}}", 0), {"control characters"});
}

TEST_F(TensorFiles, RefuseSafetensorsWhoseDataDoNotFit) {
  const auto pair = [](const std::string& a, const std::string& b, std::size_t bytes) {
    return safetensors(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
                           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}",
                       bytes);
  };
  EXPECT_NO_THROW(open("m.safetensors", pair("[4,8]", "[0,4]", 8)));
  expect_refused_safetensors(pair("[0,4]", "[2,6]", 6), {"\"a\" and \"b\" overlap"});
  expect_refused_safetensors(pair("[0,4]", "[0,4]", 4), {"overlap"});
  expect_refused_safetensors(pair("[0,4]", "[5,9]", 9), {"1 bytes before \"b\" belong to no tensor"});
  expect_refused_safetensors(pair("[1,5]", "[5,9]", 9), {"1 bytes before \"a\""});
  expect_refused_safetensors(pair("[0,4]", "[4,8]", 9), {"1 bytes follow after the last tensor"});
  expect_refused_safetensors(pair("[0,4]", "[4,8]", 7), {"cut off", "\"b\" ends at byte 8", "holds 7"});
  expect_refused_safetensors(pair("[0,4]", "[4,7]", 7), {"\"b\": shape (4,) of uint8 takes 4 bytes", "hold 3"});
  expect_refused_safetensors(pair("[4,0]", "[4,8]", 8), {"\"a\" ends before it begins"});
  expect_refused_safetensors(pair("[0]", "[4,8]", 8), {"\"a\": data_offsets are [begin, end]"});
  expect_refused_safetensors(safetensors("{}", 1), {"1 bytes follow"});
  expect_refused_safetensors(one(R"("dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0])", 0),
                             {"\"w\"", "2^63"});
  expect_refused_safetensors(one(R"("dtype":"F64","shape":[1099511627776],"data_offsets":[0,8796093022208])", 8),
                             {"cut off", "\"w\" ends at byte 8796093022208"});
}

/// An archive of one entry "w.npy", each of whose numbers may be said otherwise than it is.
struct Zip {
  std::string name = "w.npy";
  std::string local_name = "w.npy";
  std::string data = testing_support::npy_floats("(2,)", 2);
  std::uint64_t flags = 0;
  std::uint64_t method = 0;
  std::uint64_t crc32 = 0x5d0abc2c;
  std::uint64_t content_bytes = data.size();
  std::uint64_t packed_bytes = data.size();
  std::uint64_t offset = 0;
  std::uint64_t copies = 1;           ///< of the entry in the directory
  std::uint64_t entries = 1;          ///< that the end record counts
  std::uint64_t directory_bytes = 0;  ///< more than there are
  std::string comment = {};

  std::string bytes() const {
    std::string file = "PK\3\4" + little(20, 2) + little(flags, 2) + little(method, 2) + little(0, 4) + little(0, 12) +
                       little(local_name.size(), 2) + little(0, 2) + local_name + data;
    const std::size_t begin = file.size();
    for (std::uint64_t i = 0; i < copies; ++i) {
      file += "PK\1\2" + little(20, 2) + little(20, 2) + little(flags, 2) + little(method, 2) + little(0, 4) +
              little(crc32, 4) + little(packed_bytes, 4) + little(content_bytes, 4) + little(name.size(), 2) +
              little(0, 12) + little(offset, 4) + name;
    }
    const std::size_t size = file.size() - begin + directory_bytes;
    return file + "PK\5\6" + little(0, 4) + little(entries, 2) + little(entries, 2) + little(size, 4) + little(begin, 4) +
           little(comment.size(), 2) + comment;
  }
};

TEST_F(TensorFiles, TakeZipsWithAComment) {
  EXPECT_EQ(open("m.npz", Zip{.comment = "PK\5\6 is how this record begins"}.bytes())->read("w").data<float>()[1], 1);
}

TEST_F(TensorFiles, RefuseOtherZips) {
  expect_refused_npz("", {"lacks the record at the end"});
  expect_refused_npz(std::string(100'000, 'P'), {"lacks the record at the end"});
  expect_refused_npz(Zip{.name = "w.txt", .local_name = "w.txt"}.bytes(), {"\"w.txt\"", "numpy.savez", ".pt"});
  expect_refused_npz(Zip{.name = "../../w.npy", .local_name = "../../w.npy"}.bytes(), {"\"../../w.npy\"", "leads out"});
  expect_refused_npz(Zip{.name = "/etc/w.npy", .local_name = "/etc/w.npy"}.bytes(), {"leads out"});
  expect_refused_npz(Zip{.name = std::string("w\0.npy", 6)}.bytes(), {"control characters"});
  expect_refused_npz(Zip{.name = "w\xff.npy"}.bytes(), {"no UTF-8"});
  expect_refused_npz(Zip{.name = "v.npy"}.bytes(), {"\"v\"", "do not agree"});
  expect_refused_npz(Zip{.flags = 1}.bytes(), {"encrypted"});
  expect_refused_npz(Zip{.method = 12}.bytes(), {"method 12"});
  expect_refused_npz(Zip{.crc32 = 1}.bytes(), {"\"w\"", "checksum (CRC)"});
  expect_refused_npz(Zip{.content_bytes = 9}.bytes(), {"cannot have 9 bytes"});
  expect_refused_npz(Zip{.content_bytes = 1 << 30, .packed_bytes = 1 << 30}.bytes(), {"overlaps what follows"});
  expect_refused_npz(Zip{.offset = 7}.bytes(), {"overlaps what follows"});
  expect_refused_npz(Zip{.offset = 0x7fffffff}.bytes(), {"overlaps what follows"});
  expect_refused_npz(Zip{.offset = 0xffffffff}.bytes(), {"the sizes of \"w.npy\" are missing"});
  expect_refused_npz(Zip{.copies = 2}.bytes(), {"goes on after its last entry"});
  expect_refused_npz(Zip{.copies = 2, .entries = 2}.bytes(), {"overlaps what follows"});
  expect_refused_npz(Zip{.entries = 2}.bytes(), {"2 entries in a directory of 51 bytes"});
  expect_refused_npz(Zip{.entries = 0xffff}.bytes(), {"zip64 record is missing"});
  expect_refused_npz(Zip{.directory_bytes = 1 << 20}.bytes(), {"points outside the file"});
  expect_refused_npz(Zip{.directory_bytes = 200'000'000}.bytes(), {"a directory of"});
}

TEST_F(TensorFiles, RefuseZipBombs) {
  // Says to unpack to 4 GB, of 76 bytes.
  expect_refused_npz(Zip{.method = 8, .content_bytes = 0xfffffffe}.bytes(),
                     {"cannot have 4294967294 bytes in 76 of deflate"});
  // The directory's size and the array's do not agree: refused after the header, whatever the data would unpack to.
  expect_refused_npz(Zip{.data = testing_support::npy_floats("(1000000000,)", 2)}.bytes(),
                     {"\"w\"", "takes 4000000000 bytes, 8 are there"});
}

TEST_F(TensorFiles, AreRefusedWhereverTheyAreCutOff) {
  for (const std::string name : {"tensors.safetensors", "stored.npz", "deflated.npz"}) {
    const std::string bytes = testing_support::read_golden(name);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      testing_support::expect_refused([&] { read_all(name, std::string_view(bytes).substr(0, size)); }, {name + ": "},
                                      ErrorKind::kConfig);
    }
  }
}

TEST_F(TensorFiles, AreReadOrRefusedWhateverTheirBytes) {
  for (const std::string name : {"tensors.safetensors", "stored.npz", "deflated.npz"}) {
    const std::string seed = testing_support::read_golden(name);
    testing_support::Lcg random(20260730);
    int taken = 0;
    for (int round = 0; round < 3'000; ++round) {
      std::string bytes = seed;
      for (std::int64_t edits = random.between(1, 3); edits > 0; --edits) {
        const auto at = static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(bytes.size()) - 1));
        switch (random.between(0, 3)) {
          case 0: bytes[at] = static_cast<char>(random.between(0, 255)); break;
          case 1: bytes[at] = "0123456789\"{}[],:\xff"[static_cast<std::size_t>(random.between(0, 17))]; break;
          case 2: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.between(0, 7))); break;
          default: bytes.erase(at, 1); break;
        }
      }
      try {
        read_all(name, bytes);
        ++taken;
      } catch (const Error& error) {
        ASSERT_EQ(error.kind(), ErrorKind::kConfig) << name << " round " << round << ": " << error.what();
      }
    }
    EXPECT_LT(taken, 2'500) << name;
    EXPECT_GT(taken, name == "tensors.safetensors" ? 100 : 0);  // a zip archive has checksums
  }
}

}  // namespace
