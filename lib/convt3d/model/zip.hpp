#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "convt3d/model/regular_file.hpp"

namespace convt3d {

/// A file within a zip archive, as the archive's directory tells of it.
struct ZipEntry {
  std::string name;
  bool deflated = false;  ///< else stored as it is
  std::uint32_t crc32 = 0;
  std::int64_t packed_bytes = 0;   ///< in the archive
  std::int64_t content_bytes = 0;  ///< when unpacked
  std::int64_t header_offset = 0;  ///< of its own header, before the data
};

/// The directory of a zip or zip64 archive, checked against the file's length: its entries lie within the file, no two
/// overlap, and none says to unpack to more than deflate can (1032 bytes of one). Split and encrypted archives and other
/// ways to pack are refused. Throws Error{kConfig}. Source: PKWARE's APPNOTE.TXT.
std::vector<ZipEntry> read_zip_directory(const RegularFile& archive);

/// The content of one entry, from front to back. Both outlive it. Throws Error{kConfig}.
class ZipReader {
 public:
  ZipReader(const RegularFile& archive, const ZipEntry& entry);
  ~ZipReader();
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  /// Fills `to` as far as the content goes; returns how many bytes it got. Checks the checksum where the content ends.
  std::int64_t read(void* to, std::int64_t bytes);

 private:
  struct Inflater;

  std::int64_t read_packed(void* to, std::int64_t bytes);
  int inflate_once();
  std::int64_t inflate_some(void* to, std::int64_t bytes);
  void require_end();

  const RegularFile* archive_;
  const ZipEntry* entry_;
  std::int64_t packed_offset_ = 0;  ///< of the next packed byte in the archive
  std::int64_t packed_left_ = 0;
  std::int64_t content_left_ = 0;
  std::uint32_t crc32_ = 0;
  std::unique_ptr<Inflater> inflater_;  ///< of a deflated entry
};

}  // namespace convt3d
