#include "convt3d/model/zip.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>
#include <string_view>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/model/tensor_file.hpp"

namespace convt3d {
namespace {

constexpr std::int64_t kLocalHeaderBytes = 30;
constexpr std::int64_t kDirectoryEntryBytes = 46;
constexpr std::int64_t kEndBytes = 22;
constexpr std::int64_t kEnd64Bytes = 56;
constexpr std::int64_t kEnd64LocatorBytes = 20;
constexpr std::int64_t kMaxDirectoryBytes = 100'000'000;  // as of a .safetensors file's header
constexpr std::uint32_t kIn64 = 0xffffffff;               // the number stands in the zip64 part
constexpr std::int64_t kMostExpansion = 1032;             // deflate's: a match of 258 bytes in two bits

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorKind::kConfig, "not a valid zip archive: " + what); }

/// Little-endian numbers from the front of a piece of the archive to its back.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t number(std::size_t size) {
    const std::string_view taken = take(size);
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(taken[i]);
    return value;
  }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  /// A size or a place.
  std::int64_t i64() {
    const std::uint64_t value = number(8);
    if (value > std::uint64_t{INT64_MAX}) fail("a size past 63 bits");
    return static_cast<std::int64_t>(value);
  }

  std::string_view take(std::size_t size) {
    if (size > bytes_.size()) fail("its directory is cut off");
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

  bool empty() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

std::string read_text(const RegularFile& archive, std::int64_t offset, std::int64_t bytes) {
  if (offset < 0 || bytes < 0 || bytes > archive.size_bytes() || offset > archive.size_bytes() - bytes) {
    fail("it points outside the file");
  }
  std::string text(static_cast<std::size_t>(bytes), '\0');
  archive.read(offset, text.data(), bytes);
  return text;
}

/// Where the directory lies.
struct Directory {
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
  std::int64_t entries = 0;
};

/// The zip64 end record, which the locator right before the end record points to.
Directory read_end64(const RegularFile& archive, std::int64_t end_offset) {
  const std::string locator_text = read_text(archive, end_offset - kEnd64LocatorBytes, kEnd64LocatorBytes);
  Fields locator(locator_text);
  if (locator.u32() != 0x07064b50) fail("its zip64 record is missing");
  locator.u32();  // disk
  const std::string text = read_text(archive, locator.i64(), kEnd64Bytes);
  Fields end(text);
  if (end.u32() != 0x06064b50) fail("its zip64 record is missing");
  end.take(12);                                                          // its size, versions
  if (end.u32() != 0 || end.u32() != 0) fail("it is split over files");  // this disk, the directory's
  Directory directory;
  end.i64();  // entries on this disk
  directory.entries = end.i64();
  directory.bytes = end.i64();
  directory.offset = end.i64();
  return directory;
}

/// The end record is the last thing in the file, but for a comment of up to 64 KiB whose length it gives.
Directory find_directory(const RegularFile& archive) {
  const std::int64_t searched = std::min(archive.size_bytes(), kEndBytes + 0xffff);
  const std::string tail = read_text(archive, archive.size_bytes() - searched, searched);
  for (std::int64_t at = searched - kEndBytes; at >= 0; --at) {
    Fields end(std::string_view(tail).substr(static_cast<std::size_t>(at)));
    if (end.u32() != 0x06054b50) continue;
    const std::uint16_t disk = end.u16();
    const std::uint16_t directory_disk = end.u16();
    end.u16();  // entries on this disk
    const std::uint16_t entries = end.u16();
    const std::uint32_t bytes = end.u32();
    const std::uint32_t offset = end.u32();
    if (end.u16() != searched - kEndBytes - at) continue;  // four bytes that happen to look like it
    if (entries == 0xffff || bytes == kIn64 || offset == kIn64) {
      return read_end64(archive, archive.size_bytes() - searched + at);
    }
    if (disk != 0 || directory_disk != 0) fail("it is split over files");
    return {offset, bytes, entries};
  }
  fail("it lacks the record at the end; it may be cut off");
}

/// The sizes and the place that do not fit 32 bits stand in the extra field of id 1, in this order.
void read_zip64_extra(std::string_view extra, std::uint32_t packed, std::uint32_t content, std::uint32_t offset,
                      ZipEntry& entry) {
  Fields fields(extra);
  while (!fields.empty()) {
    const std::uint16_t id = fields.u16();
    const std::uint16_t size = fields.u16();
    Fields field(fields.take(size));
    if (id != 1) continue;
    if (content == kIn64) entry.content_bytes = field.i64();
    if (packed == kIn64) entry.packed_bytes = field.i64();
    if (offset == kIn64) entry.header_offset = field.i64();
    return;
  }
  fail("the sizes of \"" + entry.name + "\" are missing");
}

ZipEntry read_entry(Fields& fields) {
  if (fields.u32() != 0x02014b50) fail("its directory has something else where an entry belongs");
  ZipEntry entry;
  fields.take(4);  // versions
  const std::uint16_t flags = fields.u16();
  const std::uint16_t method = fields.u16();
  fields.take(4);  // time
  entry.crc32 = fields.u32();
  const std::uint32_t packed = fields.u32();
  const std::uint32_t content = fields.u32();
  const std::uint16_t name_bytes = fields.u16();
  const std::uint16_t extra_bytes = fields.u16();
  const std::uint16_t comment_bytes = fields.u16();
  fields.take(8);  // disk, attributes
  const std::uint32_t offset = fields.u32();
  entry.name = fields.take(name_bytes);
  if (const std::string fault = fault_of_key(entry.name); !fault.empty()) fail(fault);
  const std::string_view extra = fields.take(extra_bytes);
  fields.take(comment_bytes);
  entry.packed_bytes = packed;
  entry.content_bytes = content;
  entry.header_offset = offset;
  if (packed == kIn64 || content == kIn64 || offset == kIn64) read_zip64_extra(extra, packed, content, offset, entry);
  if ((flags & 1) != 0) fail("\"" + entry.name + "\" is encrypted");
  if (method != 0 && method != 8) {
    fail("\"" + entry.name + "\" is packed by method " + std::to_string(method) + "; stored and deflated are read");
  }
  entry.deflated = method == 8;
  return entry;
}

void require_sizes(const ZipEntry& entry) {
  const bool possible = entry.deflated ? entry.content_bytes / kMostExpansion <= entry.packed_bytes
                                       : entry.content_bytes == entry.packed_bytes;
  if (possible) return;
  fail("\"" + entry.name + "\" cannot have " + std::to_string(entry.content_bytes) + " bytes in " +
       std::to_string(entry.packed_bytes) + (entry.deflated ? " of deflate" : " that are stored"));
}

/// Each entry, its own header included, ends where the next begins or before, the last one before the directory: else few
/// bytes could be unpacked many times.
void require_apart(const std::vector<ZipEntry>& entries, std::int64_t directory_offset) {
  std::vector<const ZipEntry*> sorted;
  for (const ZipEntry& entry : entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(),
            [](const ZipEntry* a, const ZipEntry* b) { return a->header_offset > b->header_offset; });
  std::int64_t next = directory_offset;
  for (const ZipEntry* entry : sorted) {
    const std::int64_t header_bytes = kLocalHeaderBytes + static_cast<std::int64_t>(entry->name.size());
    const std::int64_t room = next - entry->header_offset - header_bytes;
    if (room < 0 || entry->packed_bytes > room) fail("\"" + entry->name + "\" overlaps what follows it");
    next = entry->header_offset;
  }
}

}  // namespace

std::vector<ZipEntry> read_zip_directory(const RegularFile& archive) {
  const Directory directory = find_directory(archive);
  if (directory.bytes > kMaxDirectoryBytes) fail("a directory of " + std::to_string(directory.bytes) + " bytes");
  if (directory.entries > directory.bytes / kDirectoryEntryBytes) {
    fail(std::to_string(directory.entries) + " entries in a directory of " + std::to_string(directory.bytes) + " bytes");
  }
  const std::string text = read_text(archive, directory.offset, directory.bytes);
  Fields fields(text);
  std::vector<ZipEntry> entries;
  for (std::int64_t i = 0; i < directory.entries; ++i) {
    entries.push_back(read_entry(fields));
    require_sizes(entries.back());
  }
  if (!fields.empty()) fail("its directory goes on after its last entry");
  require_apart(entries, directory.offset);
  return entries;
}

struct ZipReader::Inflater {
  z_stream stream{};
  std::array<unsigned char, 1 << 16> packed{};
  bool ended = false;
};

ZipReader::ZipReader(const RegularFile& archive, const ZipEntry& entry)
    : archive_(&archive), entry_(&entry), packed_left_(entry.packed_bytes), content_left_(entry.content_bytes) {
  const std::string text = read_text(archive, entry.header_offset, kLocalHeaderBytes);
  Fields header(text);
  if (header.u32() != 0x04034b50) fail("\"" + entry.name + "\" does not lie where the directory says");
  header.take(4);  // version, flags
  const bool same_method = (header.u16() == 8) == entry.deflated;
  header.take(16);  // time, checksum, sizes: zero here where they follow the data
  const std::int64_t name_bytes = header.u16();
  const std::int64_t extra_bytes = header.u16();
  const bool same_name = read_text(archive, entry.header_offset + kLocalHeaderBytes, name_bytes) == entry.name;
  if (!same_method || !same_name) fail("\"" + entry.name + "\" and the directory do not agree");
  packed_offset_ = entry.header_offset + kLocalHeaderBytes + name_bytes + extra_bytes;
  if (packed_offset_ > archive.size_bytes() - entry.packed_bytes) fail("\"" + entry.name + "\" is cut off");
  crc32_ = static_cast<std::uint32_t>(::crc32(0, nullptr, 0));
  if (!entry.deflated) return;
  inflater_ = std::make_unique<Inflater>();
  constexpr int kRawDeflate = -15;
  if (inflateInit2(&inflater_->stream, kRawDeflate) != Z_OK) throw std::bad_alloc();
}

ZipReader::~ZipReader() {
  if (inflater_) inflateEnd(&inflater_->stream);
}

std::int64_t ZipReader::read(void* to, std::int64_t bytes) {
  const std::int64_t wanted = std::min(bytes, content_left_);
  std::int64_t got = 0;
  while (got < wanted) {
    constexpr std::int64_t kMostAtOnce = 1 << 30;  // zlib counts in 32 bits
    auto* const next = static_cast<unsigned char*>(to) + got;
    const std::int64_t part = std::min(wanted - got, kMostAtOnce);
    const std::int64_t some = inflater_ ? inflate_some(next, part) : read_packed(next, part);
    crc32_ = static_cast<std::uint32_t>(::crc32(crc32_, next, static_cast<uInt>(some)));
    got += some;
  }
  const bool ends = content_left_ > 0 && got == content_left_;
  content_left_ -= got;
  if (ends) require_end();
  return got;
}

std::int64_t ZipReader::read_packed(void* to, std::int64_t bytes) {
  const std::int64_t part = std::min(bytes, packed_left_);
  archive_->read(packed_offset_, to, part);
  packed_offset_ += part;
  packed_left_ -= part;
  return part;
}

/// Into the stream's output, from what is there of its input; zlib's state.
int ZipReader::inflate_once() {
  auto& [stream, packed, ended] = *inflater_;
  if (ended) return Z_STREAM_END;
  if (stream.avail_in == 0 && packed_left_ > 0) {
    stream.next_in = packed.data();
    stream.avail_in = static_cast<uInt>(read_packed(packed.data(), static_cast<std::int64_t>(packed.size())));
  }
  const int state = ::inflate(&stream, Z_NO_FLUSH);
  ended = state == Z_STREAM_END;
  return state;
}

/// At least one byte of content, for `bytes` of at least one.
std::int64_t ZipReader::inflate_some(void* to, std::int64_t bytes) {
  z_stream& stream = inflater_->stream;
  stream.next_out = static_cast<unsigned char*>(to);
  stream.avail_out = static_cast<uInt>(bytes);
  while (static_cast<std::int64_t>(stream.avail_out) == bytes) {
    const int state = inflate_once();
    const bool made_some = static_cast<std::int64_t>(stream.avail_out) < bytes;
    if (state == Z_OK || (state == Z_STREAM_END && made_some)) continue;
    fail("the data of \"" + entry_->name + "\" are " +
         (state == Z_DATA_ERROR ? "damaged" : "shorter than the directory says"));
  }
  return bytes - static_cast<std::int64_t>(stream.avail_out);
}

void ZipReader::require_end() {
  if (crc32_ != entry_->crc32) fail("the checksum (CRC) of \"" + entry_->name + "\" does not fit its data");
  if (!inflater_ || inflater_->ended) return;
  // The end of a deflate stream may take bytes of its own, but gives none.
  unsigned char surplus = 0;
  z_stream& stream = inflater_->stream;
  stream.next_out = &surplus;
  stream.avail_out = 1;
  while (!inflater_->ended && stream.avail_out == 1) {
    const int state = inflate_once();
    if (state != Z_OK && state != Z_STREAM_END) break;
  }
  if (!inflater_->ended || stream.avail_out == 0) fail("the data of \"" + entry_->name + "\" go on after their end");
}

}  // namespace convt3d
