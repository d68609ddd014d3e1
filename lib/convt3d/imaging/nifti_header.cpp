#include "convt3d/imaging/nifti_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

constexpr std::size_t kNifti1HeaderBytes = 348;
constexpr std::size_t kExtensionFlagBytes = 4;  // between a single file's header and its voxels

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& message) {
  throw Error(ErrorKind::kInput, fmt::format("{}: {}", path.string(), message));
}

/// Takes fields out of a header's bytes. Its twin below puts them there; `fields` lists the fields once for both.
class Decoder {
 public:
  Decoder(std::span<const std::byte> bytes, bool swapped) : bytes_(bytes), swapped_(swapped) {}

  template <typename Stored, typename T>
  void field(std::size_t offset, T& value) {
    std::array<std::byte, sizeof(Stored)> raw;
    std::copy_n(bytes_.data() + offset, raw.size(), raw.data());
    if (swapped_) std::reverse(raw.begin(), raw.end());
    value = static_cast<T>(std::bit_cast<Stored>(raw));
  }

  void text(std::size_t offset, std::size_t size, std::string& value) {
    const char* begin = reinterpret_cast<const char*>(bytes_.data()) + offset;
    value.assign(begin, std::find(begin, begin + size, '\0'));
  }

 private:
  std::span<const std::byte> bytes_;
  bool swapped_;
};

class Encoder {
 public:
  explicit Encoder(std::span<std::byte> bytes) : bytes_(bytes) {}

  template <typename Stored, typename T>
  void field(std::size_t offset, const T& value) {
    const auto raw = std::bit_cast<std::array<std::byte, sizeof(Stored)>>(static_cast<Stored>(value));
    std::copy(raw.begin(), raw.end(), bytes_.data() + offset);
  }

  void text(std::size_t offset, std::size_t size, const std::string& value) {
    std::memcpy(bytes_.data() + offset, value.data(), std::min(value.size(), size - 1));
  }

 private:
  std::span<std::byte> bytes_;
};

template <typename Stored, typename Codec, typename Array>
void fields(Codec& codec, std::size_t offset, Array& values) {
  for (std::size_t i = 0; i < values.size(); ++i) codec.template field<Stored>(offset + i * sizeof(Stored), values[i]);
}

/// Offsets and types: nifti1.h.
template <typename Codec, typename Header>
void nifti1_fields(Codec& codec, Header& h, float& vox_offset) {
  fields<std::int16_t>(codec, 40, h.dim);
  fields<float>(codec, 56, h.intent_p);
  codec.template field<std::int16_t>(68, h.intent_code);
  codec.template field<std::int16_t>(70, h.datatype);
  codec.template field<std::int16_t>(72, h.bitpix);
  fields<float>(codec, 76, h.pixdim);
  codec.template field<float>(108, vox_offset);
  codec.template field<float>(112, h.scl_slope);
  codec.template field<float>(116, h.scl_inter);
  codec.template field<std::uint8_t>(123, h.xyzt_units);
  codec.template field<float>(136, h.toffset);
  codec.text(148, 80, h.descrip);
  codec.template field<std::int16_t>(252, h.qform_code);
  codec.template field<std::int16_t>(254, h.sform_code);
  fields<float>(codec, 256, h.quatern);
  fields<float>(codec, 268, h.qoffset);
  fields<float>(codec, 280, h.srow);
  codec.text(328, 16, h.intent_name);
}

/// Offsets and types: nifti2.h.
template <typename Codec, typename Header>
void nifti2_fields(Codec& codec, Header& h) {
  codec.template field<std::int16_t>(12, h.datatype);
  codec.template field<std::int16_t>(14, h.bitpix);
  fields<std::int64_t>(codec, 16, h.dim);
  fields<double>(codec, 80, h.intent_p);
  fields<double>(codec, 104, h.pixdim);
  codec.template field<std::int64_t>(168, h.vox_offset);
  codec.template field<double>(176, h.scl_slope);
  codec.template field<double>(184, h.scl_inter);
  codec.template field<double>(216, h.toffset);
  codec.text(240, 80, h.descrip);
  codec.template field<std::int32_t>(344, h.qform_code);
  codec.template field<std::int32_t>(348, h.sform_code);
  fields<double>(codec, 352, h.quatern);
  fields<double>(codec, 376, h.qoffset);
  fields<double>(codec, 400, h.srow);
  codec.template field<std::int32_t>(500, h.xyzt_units);
  codec.template field<std::int32_t>(504, h.intent_code);
  codec.text(508, 16, h.intent_name);
}

constexpr std::string_view kNifti1Single("n+1\0", 4);
constexpr std::string_view kNifti1Paired("ni1\0", 4);
constexpr std::string_view kNifti2Single("n+2\0\r\n\x1a\n", 8);  // line ends that a text-mode transfer would damage
constexpr std::string_view kNifti2Paired("ni2\0\r\n\x1a\n", 8);

struct Magic {
  std::size_t offset;
  std::string_view single;
  std::string_view paired;
};

Magic magic_of(int version) {
  return version == 1 ? Magic{344, kNifti1Single, kNifti1Paired} : Magic{4, kNifti2Single, kNifti2Paired};
}

/// Length of the header if its first four bytes, read in this machine's order, say one; 0 if they do not.
std::size_t known_length(std::uint32_t sizeof_hdr) {
  return sizeof_hdr == kNifti1HeaderBytes || sizeof_hdr == kNifti2HeaderBytes ? sizeof_hdr : 0;
}

std::uint32_t first_word(std::span<const std::byte> bytes) {
  std::uint32_t word;
  std::memcpy(&word, bytes.data(), sizeof word);
  return word;
}

/// NIfTI-1 stores the voxels' offset as a float: refuse what is no whole number before it becomes one.
std::int64_t offset_from_float(float vox_offset, const std::filesystem::path& path) {
  if (!(vox_offset >= 0 && vox_offset < 0x1p62f) || vox_offset != std::floor(vox_offset)) {
    fail(path, fmt::format("vox_offset is {}; expected a whole number of bytes", vox_offset));
  }
  return static_cast<std::int64_t>(vox_offset);
}

struct Datatype {
  int code;
  std::string_view name;
  std::optional<DType> dtype;
};

constexpr std::array kDatatypes = {
    Datatype{2, "uint8", DType::kUInt8},        Datatype{4, "int16", DType::kInt16},
    Datatype{8, "int32", DType::kInt32},        Datatype{16, "float32", DType::kFloat32},
    Datatype{64, "float64", DType::kFloat64},   Datatype{256, "int8", DType::kInt8},
    Datatype{512, "uint16", DType::kUInt16},    Datatype{768, "uint32", DType::kUInt32},
    Datatype{1024, "int64", DType::kInt64},     Datatype{1280, "uint64", DType::kUInt64},
    Datatype{1, "binary", std::nullopt},        Datatype{32, "complex64", std::nullopt},
    Datatype{128, "RGB24", std::nullopt},       Datatype{1536, "float128", std::nullopt},
    Datatype{1792, "complex128", std::nullopt}, Datatype{2048, "complex256", std::nullopt},
    Datatype{2304, "RGBA32", std::nullopt},
};

}  // namespace

std::size_t nifti_header_bytes(std::span<const std::byte, 4> sizeof_hdr, const std::filesystem::path& path) {
  const std::uint32_t word = first_word(sizeof_hdr);
  const std::size_t length = std::max(known_length(word), known_length(__builtin_bswap32(word)));
  if (length == 0) {
    fail(path, fmt::format("is no NIfTI file: sizeof_hdr is {}; expected 348 (NIfTI-1) or 540 (NIfTI-2)",
                           static_cast<std::int32_t>(word)));
  }
  return length;
}

NiftiHeader decode_nifti(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  NiftiHeader header;
  header.version = bytes.size() == kNifti1HeaderBytes ? 1 : 2;
  header.swapped = known_length(first_word(bytes)) == 0;

  const Magic magic = magic_of(header.version);
  const std::string_view found(reinterpret_cast<const char*>(bytes.data()) + magic.offset, magic.single.size());
  if (found != magic.single && found != magic.paired) {
    fail(path,
         header.version == 1
             ? "has no NIfTI magic (\"n+1\" or \"ni1\" at byte 344); ANALYZE 7.5 says nothing about orientation and is not "
               "read: convert it to NIfTI"
             : "has no NIfTI-2 magic (\"n+2\" or \"ni2\" at byte 4), or a transfer in text mode has damaged it");
  }
  header.paired = found == magic.paired;

  Decoder decoder(bytes, header.swapped);
  if (header.version == 1) {
    float vox_offset = 0;
    nifti1_fields(decoder, header, vox_offset);
    header.vox_offset = offset_from_float(vox_offset, path);
  } else {
    nifti2_fields(decoder, header);
  }
  return header;
}

std::vector<std::byte> encode_nifti(const NiftiHeader& header) {
  const std::size_t length = header.version == 1 ? kNifti1HeaderBytes : kNifti2HeaderBytes;
  std::vector<std::byte> bytes(length + kExtensionFlagBytes);
  Encoder encoder(bytes);
  encoder.field<std::int32_t>(0, length);
  const Magic magic = magic_of(header.version);
  std::memcpy(bytes.data() + magic.offset, magic.single.data(), magic.single.size());

  NiftiHeader single = header;
  single.vox_offset = static_cast<std::int64_t>(bytes.size());
  if (header.version == 1) {
    encoder.field<char>(38, 'r');  // "regular": ANALYZE readers ask for it
    auto vox_offset = static_cast<float>(single.vox_offset);
    nifti1_fields(encoder, single, vox_offset);
  } else {
    nifti2_fields(encoder, single);
  }
  return bytes;
}

std::optional<DType> dtype_of_nifti(int datatype) {
  const auto* const found = std::ranges::find(kDatatypes, datatype, &Datatype::code);
  return found == kDatatypes.end() ? std::nullopt : found->dtype;
}

std::optional<int> nifti_of_dtype(DType dtype) {
  const auto* const found = std::ranges::find(kDatatypes, std::optional(dtype), &Datatype::dtype);
  return found == kDatatypes.end() ? std::nullopt : std::optional(found->code);
}

std::string nifti_datatype_name(int datatype) {
  const auto* const found = std::ranges::find(kDatatypes, datatype, &Datatype::code);
  return found == kDatatypes.end() ? fmt::format("unknown ({})", datatype) : fmt::format("{} ({})", found->name, datatype);
}

}  // namespace convt3d
