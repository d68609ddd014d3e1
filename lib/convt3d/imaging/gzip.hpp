#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace convt3d {

/// One complete gzip member (RFC 1952) of `content`; members one after the other are a gzip file of all their contents.
/// `level` is libdeflate's: 0 stores, 1 is fastest, 12 smallest.
std::vector<std::byte> gzip_member(std::span<const std::byte> content, int level);

}  // namespace convt3d
