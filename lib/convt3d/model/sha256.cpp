#include "convt3d/model/sha256.hpp"

#include <array>
#include <bit>
#include <cstdint>

namespace convt3d {
namespace {

using Words8 = std::array<std::uint32_t, 8>;
constexpr std::size_t kBlockBytes = 64;

constexpr bool is_prime(unsigned n) {
  for (unsigned divisor = 2; divisor * divisor <= n; ++divisor) {
    if (n % divisor == 0) return false;
  }
  return true;
}

/// The first 32 bits of the fraction of p^(1/root): floor(p^(1/root)·2^32) mod 2^32, by bisection in integers.
constexpr std::uint32_t root_fraction(unsigned p, int root) {
  __extension__ using Wide = unsigned __int128;
  // x <= 2^36 because the root of a prime below 312 is below 16. x^3 needs up to 108 bits, p·2^(32·root) up to 105.
  std::uint64_t low = 0;
  std::uint64_t high = std::uint64_t{1} << 36;
  const Wide target = Wide{p} << (32 * root);
  while (high - low > 1) {
    const std::uint64_t middle = (low + high) / 2;
    Wide power = middle;
    for (int i = 1; i < root; ++i) power *= middle;
    (power <= target ? low : high) = middle;
  }
  return static_cast<std::uint32_t>(low);
}

/// Of the first Count primes.
template <std::size_t Count>
constexpr std::array<std::uint32_t, Count> prime_root_fractions(int root) {
  std::array<std::uint32_t, Count> fractions{};
  unsigned prime = 2;
  for (std::uint32_t& fraction : fractions) {
    while (!is_prime(prime)) ++prime;
    fraction = root_fraction(prime++, root);
  }
  return fractions;
}

constexpr Words8 kInitialHash = prime_root_fractions<8>(2);
constexpr std::array<std::uint32_t, 64> kRoundConstants = prime_root_fractions<64>(3);

std::uint32_t big_endian_word(const char* bytes) {
  std::uint32_t word = 0;
  for (int i = 0; i < 4; ++i) word = word << 8 | static_cast<unsigned char>(bytes[i]);
  return word;
}

std::array<std::uint32_t, 64> message_schedule(const char* block) {
  std::array<std::uint32_t, 64> w{};
  for (std::size_t t = 0; t < 16; ++t) w[t] = big_endian_word(block + 4 * t);
  for (std::size_t t = 16; t < 64; ++t) {
    const std::uint32_t s0 = std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
    const std::uint32_t s1 = std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
    w[t] = s1 + w[t - 7] + s0 + w[t - 16];
  }
  return w;
}

void add_block(Words8& hash, const char* block) {
  const std::array<std::uint32_t, 64> w = message_schedule(block);
  auto [a, b, c, d, e, f, g, h] = hash;
  for (std::size_t t = 0; t < 64; ++t) {
    const std::uint32_t sum1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const std::uint32_t choice = (e & f) ^ (~e & g);
    const std::uint32_t t1 = h + sum1 + choice + kRoundConstants[t] + w[t];
    const std::uint32_t sum0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const std::uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = d + t1;
    d = c;
    c = b;
    b = a;
    a = t1 + sum0 + majority;
  }
  const Words8 change = {a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < hash.size(); ++i) hash[i] += change[i];
}

}  // namespace

std::string sha256(std::string_view bytes) {
  Words8 hash = kInitialHash;
  std::size_t at = 0;
  for (; bytes.size() - at >= kBlockBytes; at += kBlockBytes) add_block(hash, bytes.data() + at);

  // The rest, a single 1 bit, zeros, and the length in bits as 64 bits, which fill one block or two.
  std::string tail(bytes.substr(at));
  tail += '\x80';
  tail.resize(tail.size() + 8 <= kBlockBytes ? kBlockBytes - 8 : 2 * kBlockBytes - 8);
  const std::uint64_t bits = std::uint64_t{bytes.size()} * 8;
  for (int shift = 56; shift >= 0; shift -= 8) tail += static_cast<char>(bits >> shift);
  for (at = 0; at < tail.size(); at += kBlockBytes) add_block(hash, tail.data() + at);

  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const std::uint32_t word : hash) {
    for (int shift = 28; shift >= 0; shift -= 4) hex += kDigits[word >> shift & 15u];
  }
  return hex;
}

}  // namespace convt3d
