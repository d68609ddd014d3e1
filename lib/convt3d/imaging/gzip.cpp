#include "convt3d/imaging/gzip.hpp"

#include <libdeflate.h>

#include <memory>

#include "convt3d/base/error.hpp"

namespace convt3d {

std::vector<std::byte> gzip_member(std::span<const std::byte> content, int level) {
  const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> compressor(
      libdeflate_alloc_compressor(level), libdeflate_free_compressor);
  if (!compressor) throw Error(ErrorKind::kMemory, "no memory for a compressor");
  std::vector<std::byte> member(libdeflate_gzip_compress_bound(compressor.get(), content.size()));
  member.resize(libdeflate_gzip_compress(compressor.get(), content.data(), content.size(), member.data(), member.size()));
  return member;
}

}  // namespace convt3d
