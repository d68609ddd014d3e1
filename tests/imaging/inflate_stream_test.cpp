#include "convt3d/imaging/inflate_stream.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>

#include "imaging/test_files.hpp"

namespace convt3d {
namespace {

using testing::expect_error;

using Random = std::mt19937;

std::size_t below(Random& random, std::size_t limit) { return random() % limit; }

/// What deflate stores, packs with codes of its own, or turns into long references.
std::string content(Random& random, std::size_t most) {
  std::string result(below(random, most + 1), '\0');
  const std::size_t kind = below(random, 3);
  for (char& c : result) c = kind == 0 ? static_cast<char>(random()) : kind == 1 ? static_cast<char>(random() % 5) : 'x';
  return result;
}

enum class Kind { kGzip, kGzipWithAllFields, kZlib };

/// One member or stream, as zlib makes it.
std::string deflated(const std::string& content, int level, Kind kind) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, kind == Kind::kZlib ? 15 : 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string name = "scan.nii", comment = "about it", extra = "CV\4\0abcd";
  gz_header header{};
  header.name = reinterpret_cast<Bytef*>(name.data());
  header.comment = reinterpret_cast<Bytef*>(comment.data());
  header.extra = reinterpret_cast<Bytef*>(extra.data());
  header.extra_len = static_cast<uInt>(extra.size());
  header.hcrc = 1;
  if (kind == Kind::kGzipWithAllFields) deflateSetHeader(&stream, &header);
  std::string result(deflateBound(&stream, content.size()) + 100, '\0');
  std::string in = content;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

struct Inflated {
  std::string content;
  bool ended = false;
};

/// Gives the stream at most `source_bytes` at a time, and takes `taken_bytes` at a time.
Inflated inflate(const std::string& bytes, Wrapper wrapper, std::size_t source_bytes, std::size_t taken_bytes) {
  std::size_t at = 0;
  InflateStream stream("scan.gz", wrapper, 0, [&](std::span<std::byte> out) {
    const std::size_t count = std::min({out.size(), source_bytes, bytes.size() - at});
    std::memcpy(out.data(), bytes.data() + at, count);
    at += count;
    return count;
  });
  Inflated result;
  std::string part(taken_bytes, '\0');
  for (;;) {
    const std::size_t count = stream.read(std::as_writable_bytes(std::span(part)));
    result.content.append(part, 0, count);
    if (count < taken_bytes) break;
  }
  result.ended = stream.ended();
  return result;
}

/// Members of all kinds one after the other, or one zlib stream.
struct Sample {
  std::string bytes;
  std::string content;
  Wrapper wrapper;
};

Sample sample(Random& random, std::size_t most) {
  Sample result;
  result.wrapper = below(random, 3) == 0 ? Wrapper::kZlibOrGzip : Wrapper::kGzip;
  const std::size_t members = result.wrapper == Wrapper::kGzip ? 1 + below(random, 4) : 1;
  for (std::size_t i = 0; i < members; ++i) {
    const std::string part = content(random, most);
    const Kind gzip = below(random, 2) == 0 ? Kind::kGzip : Kind::kGzipWithAllFields;
    const bool zlib = result.wrapper != Wrapper::kGzip && below(random, 4) > 0;
    result.content += part;
    result.bytes += deflated(part, static_cast<int>(below(random, 10)), zlib ? Kind::kZlib : gzip);
  }
  return result;
}

TEST(InflateStream, GivesTheContentHoweverBytesArrive) {
  Random random(1);
  for (int round = 0; round < 600; ++round) {
    const Sample file = sample(random, round % 20 == 0 ? 200000 : 3000);
    const std::size_t source_bytes = 1 + below(random, round % 2 == 0 ? 20 : 4000);
    const std::size_t taken_bytes = 1 + below(random, round % 3 == 0 ? 40 : 5000);
    const Inflated result = inflate(file.bytes, file.wrapper, source_bytes, taken_bytes);
    ASSERT_TRUE(result.content == file.content) << "round " << round;
    // Whether it ended is known when more is asked for than there is.
    ASSERT_TRUE(result.ended) << "round " << round;
  }
}

TEST(InflateStream, TellsACutAnywhere) {
  Random random(2);
  for (const Kind kind : {Kind::kGzip, Kind::kGzipWithAllFields, Kind::kZlib}) {
    const std::string whole = deflated(content(random, 400), 6, kind);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Inflated result = inflate(whole.substr(0, size), Wrapper::kZlibOrGzip, 7, 5000);
      ASSERT_FALSE(result.ended) << size << " of " << whole.size();
    }
  }
}

TEST(InflateStream, RefusesDamageOrGivesTheSame) {
  Random random(3);
  int harmless = 0;
  for (int round = 0; round < 3000; ++round) {
    const Sample file = sample(random, 2000);
    std::string damaged = file.bytes;
    damaged[below(random, damaged.size())] ^= static_cast<char>(1 << below(random, 8));
    try {
      const Inflated result = inflate(damaged, file.wrapper, 1 + below(random, 3000), 4096);
      ASSERT_TRUE(!result.ended || result.content == file.content) << "round " << round;
      harmless += result.ended ? 1 : 0;  // a byte of time or name; a bit that pads the last byte
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kInput);
      ASSERT_NE(std::string(error.what()).find("scan.gz: "), std::string::npos);
      ASSERT_NE(std::string(error.what()).find(" byte "), std::string::npos) << error.what();
    }
  }
  EXPECT_LT(harmless, 600);
}

TEST(InflateStream, NamesTheByteOfWhatIsWrong) {
  const std::string first = deflated("the first", 6, Kind::kGzip), second = deflated("and the second", 6, Kind::kGzip);
  const std::string trailer_at = std::to_string(first.size() + second.size() - 8);
  const auto refuse = [](const std::string& bytes, const std::vector<std::string>& words) {
    expect_error(ErrorKind::kInput, words, [&] { inflate(bytes, Wrapper::kGzip, 5, 100); });
  };
  std::string bytes = first + second;
  bytes[bytes.size() - 8] ^= 1;
  refuse(bytes,
         {"near byte " + trailer_at, "incorrect checksum", "14 bytes inflated since byte " + std::to_string(first.size())});
  bytes = first + second;
  bytes[bytes.size() - 1] ^= 1;
  refuse(bytes, {"incorrect length", "14 bytes"});
  refuse(first + "garbage", {"belong to nothing", "at byte " + std::to_string(first.size())});
  refuse(first + std::string(5, '\0') + "x", {"belong to nothing", "at byte " + std::to_string(first.size() + 5)});
  refuse(first + "\x1fgarbage", {"near byte " + std::to_string(first.size()), "no gzip member"});
  bytes = first;
  bytes[3] = '\x80';
  refuse(bytes, {"near byte 0", "unknown flags"});
  bytes = deflated("x", 6, Kind::kGzipWithAllFields);
  bytes[4] ^= 1;
  refuse(bytes, {"header at byte 0", "incorrect checksum"});
}

TEST(InflateStream, TakesZerosBehindMembersAsPadding) {
  const std::string bytes = deflated("content", 6, Kind::kGzip) + std::string(600000, '\0');
  const Inflated result = inflate(bytes, Wrapper::kGzip, 1 << 20, 100);
  EXPECT_EQ(result.content, "content");
  EXPECT_TRUE(result.ended);
}

}  // namespace
}  // namespace convt3d
