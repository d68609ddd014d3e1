#include <gtest/gtest.h>

#include <array>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/model/model.hpp"
#include "documents.hpp"
#include "support/arrays.hpp"

namespace {

using namespace convt3d;

using nlohmann::json;
using testing_support::Lcg;

std::size_t index_below(Lcg& random, std::size_t size) {
  return static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(size) - 1));
}

/// A few bytes or tokens of the text changed.
std::string with_other_text(std::string text, Lcg& random) {
  constexpr std::array<std::string_view, 24> kTokens = {
      "{",    "}",        "[",           "]",   ",",  ":",          "\"",         "null",
      "true", "-1",       "0",           "1.5", "7",  "1e9",        "1e400",      "\\u0000",
      "\xff", "\"type\"", "\"weights\"", "[[",  "\n", "\"kernel\"", "\"linear\"", "\"pad\""};
  for (std::int64_t edits = random.between(1, 3); edits > 0; --edits) {
    const std::size_t at = index_below(random, text.size());
    const std::string token(kTokens[index_below(random, kTokens.size())]);
    switch (random.between(0, 3)) {
      case 0: text[at] = static_cast<char>(random.between(0, 255)); break;
      case 1: text.insert(at, token); break;
      case 2: text.replace(at, 1, token); break;
      default: text.erase(at, static_cast<std::size_t>(random.between(1, 4))); break;
    }
  }
  return text;
}

/// Valid JSON with one or two of its numbers, words and truth values changed.
std::string with_other_values(const json& config, Lcg& random) {
  static const json kValues = {nullptr,    true,         false,  -1,    0,      1,        2,          3,          17,
                               2147483647, 1.5,          1e-300, 1e300, "same", "linear", "w222.npy", "float64",  "float16",
                               "oidhw",    "reflect",    "",     "cpu", "tanh", "w.bin",  "up2.npy",  "half.npy", "constant",
                               "text.npy", "folder.npy", 1000000};
  json leaves = config.flatten();
  for (std::int64_t edits = random.between(1, 2); edits > 0; --edits) {
    auto leaf = leaves.begin();
    std::advance(leaf, index_below(random, leaves.size()));
    *leaf = kValues[index_below(random, kValues.size())];
  }
  return leaves.unflatten().dump();
}

/// Every valid document, once changed, loads or is refused as a config: nothing else happens.
TEST(ConfigFuzz, MutatedConfigsLoadOrAreRefused) {
  const testing_support::TemporaryFolder folder;
  testing_support::write_weight_files(folder);
  std::vector<json> seeds;
  for (const testing_support::Document& document : testing_support::read_documents()) {
    if (document.error.empty()) seeds.push_back(document.config);
  }
  Lcg random(20260729);
  int loaded = 0;
  int refused = 0;
  for (int round = 0; round < 6'000; ++round) {
    const json& seed = seeds[index_below(random, seeds.size())];
    const std::string text = round % 2 == 0 ? with_other_text(seed.dump(), random) : with_other_values(seed, random);
    try {
      load_model(folder.write("config.json", text));
      ++loaded;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kConfig) << "round " << round << ": " << error.what() << "\n" << text;
      ++refused;
    }
  }
  EXPECT_GT(loaded, 100);
  EXPECT_GT(refused, 2000);
}

}  // namespace
