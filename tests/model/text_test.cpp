#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "convt3d/model/sha256.hpp"
#include "convt3d/model/suggest.hpp"

namespace {

using namespace convt3d;

TEST(Sha256, GivesTheKnownDigests) {
  // FIPS 180's examples, and lengths about a block's end, from coreutils' sha256sum.
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(sha256(std::string(55, 'a')), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(sha256(std::string(56, 'a')), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
  EXPECT_EQ(sha256(std::string(63, 'a')), "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34");
  EXPECT_EQ(sha256(std::string(64, 'a')), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

TEST(EditDistance, CountsTheFourEdits) {
  EXPECT_EQ(edit_distance("stride", "stride"), 0u);
  EXPECT_EQ(edit_distance("Stride", "stride"), 0u);
  EXPECT_EQ(edit_distance("stirde", "stride"), 1u);
  EXPECT_EQ(edit_distance("strid", "stride"), 1u);
  EXPECT_EQ(edit_distance("strride", "stride"), 1u);
  EXPECT_EQ(edit_distance("strode", "stride"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(DidYouMean, NamesTheNearestIfItIsNear) {
  constexpr std::array<std::string_view, 4> kKnown = {"stride", "padding", "output_padding", "bias"};
  EXPECT_EQ(did_you_mean("strides", kKnown), "; did you mean \"stride\"?");
  EXPECT_EQ(did_you_mean("paddnig", kKnown), "; did you mean \"padding\"?");
  EXPECT_EQ(did_you_mean("Bias", kKnown), "; did you mean \"bias\"?");
  EXPECT_EQ(did_you_mean("xyz", kKnown), "");
  EXPECT_EQ(did_you_mean(std::string(1 << 20, 's'), kKnown), "");
  EXPECT_EQ(did_you_mean("stride", {}), "");
}

TEST(ListOf, ReadsAsASentence) {
  constexpr std::array<std::string_view, 3> kWords = {"a", "b", "c"};
  EXPECT_EQ(list_of(kWords), "a, b and c");
  EXPECT_EQ(list_of(std::span(kWords).first(1)), "a");
  EXPECT_EQ(list_of({}), "");
}

}  // namespace
