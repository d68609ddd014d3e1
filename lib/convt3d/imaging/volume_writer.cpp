#include "convt3d/imaging/volume_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "convt3d/base/error.hpp"
#include "convt3d/base/machine.hpp"
#include "convt3d/imaging/block_encoder.hpp"
#include "convt3d/imaging/block_pipeline.hpp"
#include "convt3d/imaging/metaimage.hpp"
#include "convt3d/imaging/nifti.hpp"
#include "convt3d/imaging/pixels.hpp"
#include "convt3d/imaging/temporary_folder.hpp"
#include "convt3d/imaging/voxel_parts.hpp"

namespace convt3d {
namespace {

namespace fs = std::filesystem;

int threads_of(const WriteOptions& options) { return options.threads > 0 ? options.threads : Machine::detect().threads; }

BlockCoding coding_of(const fs::path& path, const WriteOptions& options) {
  if (format_of(path) == VolumeFormat::kNifti) {
    return volume_extension(path) == ".nii.gz" ? BlockCoding::kGzip : BlockCoding::kPlain;
  }
  return options.compress_metaimage && options.compression_level > 0 ? BlockCoding::kZlib : BlockCoding::kPlain;
}

PartLayout layout_of(const fs::path& path, const Shape& shape, const WriteOptions& options) {
  return part_layout(shape, options.pixel_type, format_of(path) == VolumeFormat::kMetaImage);
}

void require_writable(const Shape& shape, const VoxelGrid& grid, const WriteOptions& options) {
  if (shape.size() != 5) {
    throw Error(ErrorKind::kShape, fmt::format("the voxels are {}; expected (N, C, D, H, W)", to_string(shape)));
  }
  if (const Extent3 extent = {shape[2], shape[3], shape[4]}; extent != grid.extent) {
    throw Error(ErrorKind::kShape,
                fmt::format("the voxels are {}, their grid {}", to_string(extent), to_string(grid.extent)));
  }
  if (element_count(shape) == 0) throw Error(ErrorKind::kOutput, "there are no voxels to write");
  if (!is_pixel_type(options.pixel_type)) {
    throw Error(ErrorKind::kOutput, fmt::format("no file holds {} voxels; write float32", name_of(options.pixel_type)));
  }
  byte_count(shape, options.pixel_type);  // throws for more than 63 bits count
  if (options.nan_value && is_integer(options.pixel_type) && !fits(*options.nan_value, options.pixel_type)) {
    throw Error(ErrorKind::kOutput,
                fmt::format("{} for NaN is outside the range of {}", *options.nan_value, name_of(options.pixel_type)));
  }
  if (options.compression_level < 0 || options.compression_level > 12) {
    throw Error(ErrorKind::kOutput, fmt::format("compression level {}; expected 0 to 12", options.compression_level));
  }
}

/// The gzip member that a header makes on its own.
std::vector<std::byte> compressed(std::span<const std::byte> header, int level) {
  BlockEncoder encoder(BlockCoding::kGzip, level, header.size());
  Block block = encoder.make_block();
  std::ranges::copy(header, block.content.get());
  block.content_bytes = header.size();
  encoder.encode(block);
  const auto member = encoder.file_bytes(block);
  return {member.begin(), member.end()};
}

/// Puts the path in front of what goes wrong.
template <typename Step>
auto about(const fs::path& path, const Step& step) {
  try {
    return step();
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", path.string(), error.what()));
  }
}

}  // namespace

struct VolumeWriter::State {
  State(const fs::path& target, const Shape& whole_shape, const VoxelGrid& whole_grid, const VolumeHeader& source_header,
        const WriteOptions& write_options, Observer* its_observer)
      : path(target),
        shape(whole_shape),
        grid(whole_grid),
        frame_duration_s(source_header.frame_duration_s),
        options(write_options),
        observer(its_observer),
        folder(target),
        coding(coding_of(target, options)),
        layout(layout_of(target, shape, options)) {
    const std::vector<std::byte> front = open_files(source_header);
    pipeline.emplace(coding, options.compression_level, static_cast<std::size_t>(layout.block_bytes()), threads_of(options));
    files.front()->put_in_front(front);
    voxels.emplace(shape, layout, options, threads_of(options), *pipeline, files);
  }

  /// Makes the files that voxels go to; returns what stands before them in the first.
  std::vector<std::byte> open_files(const VolumeHeader& source) {
    if (format_of(path) == VolumeFormat::kMetaImage) {
      if (volume_extension(path) == ".mha") {
        open(folder.file());
        return metaimage_front();
      }
      data_name = folder.file().filename().replace_extension(coding == BlockCoding::kZlib ? ".zraw" : ".raw").string();
      open(folder.file().parent_path() / data_name);
      return {};
    }
    const auto header = nifti_front(shape[0], shape[1], grid, source, options);
    open(folder.file());
    if (coding == BlockCoding::kPlain) return header;
    for (std::int64_t part = 1; part < layout.parts; ++part) open(part_path(part));
    return compressed(header, options.compression_level);
  }

  void open(const fs::path& file_path) { files.push_back(std::make_shared<BlockFile>(file_path, coding)); }

  fs::path part_path(std::int64_t part) const { return folder.file().parent_path() / fmt::format("channel{}", part); }

  /// The text of a MetaImage header, as long whatever the number of bytes.
  std::vector<std::byte> metaimage_front(std::int64_t data_bytes = 0) const {
    return metaimage_text({.n = shape[0],
                           .c = shape[1],
                           .grid = grid,
                           .frame_duration_s = frame_duration_s,
                           .pixel_type = options.pixel_type,
                           .compressed_bytes = coding == BlockCoding::kZlib ? std::optional(data_bytes) : std::nullopt,
                           .provenance = options.provenance,
                           .data_name = data_name});
  }

  void write(const ConstTensorView& planes, std::int64_t n, std::int64_t first_d) {
    const Extent3 wanted = {planes.extent.d, shape[3], shape[4]};
    if (planes.n != 1 || planes.c != shape[1] || planes.extent != wanted || n != next_n || first_d != next_d ||
        planes.extent.d < 1 || planes.extent.d > shape[2] - next_d) {
      throw Error(
          ErrorKind::kShape,
          fmt::format("({}, {}, {}) from plane {} of volume {} on are not what comes next in {}: plane {} of volume {}",
                      planes.n, planes.c, to_string(planes.extent), first_d, n, to_string(shape), next_d, next_n));
    }
    if (planes.dtype != DType::kFloat32 && planes.dtype != DType::kFloat64) {
      throw Error(ErrorKind::kShape,
                  fmt::format("voxels are written from float32 or float64, not {}", name_of(planes.dtype)));
    }
    voxels->add(planes, [&] { require_going_on(); });
    next_d += planes.extent.d;
    if (next_d == shape[2]) {
      next_d = 0;
      ++next_n;
    }
    if (observer != nullptr) {
      observer->progress(static_cast<double>(next_n * shape[2] + next_d) / static_cast<double>(shape[0] * shape[2]));
    }
  }

  void require_going_on() const {
    if (observer != nullptr && observer->stop_requested()) throw Error(ErrorKind::kStopped, "stopped while writing");
  }

  WriteReport finish() {
    if (next_n != shape[0]) {
      throw Error(ErrorKind::kShape, fmt::format("planes are missing: of {}, volume {} has come to plane {}",
                                                 to_string(shape), next_n, next_d));
    }
    pipeline->finish();
    OutputFile& file = files.front()->file();
    files.front()->end_content();
    for (std::int64_t part = 1; part < static_cast<std::int64_t>(files.size()); ++part) {
      require_going_on();
      files[static_cast<std::size_t>(part)]->file().close();
      file.append_file(part_path(part));
      std::error_code ignored;  // the folder goes, whatever is left in it
      fs::remove(part_path(part), ignored);
    }
    WriteReport report;
    report.clipped = voxels->clipped();
    if (format_of(path) == VolumeFormat::kMetaImage) report.bytes += finish_metaimage(file);
    report.bytes += file.close();
    require_going_on();
    folder.publish();
    return report;
  }

  /// Writes the header, now that the length of the data is known; returns the bytes of a header file.
  std::int64_t finish_metaimage(OutputFile& data) const {
    if (data_name == kLocalData) {
      const auto front = metaimage_front();
      data.write_at(0, metaimage_front(data.size() - static_cast<std::int64_t>(front.size())));
      return 0;
    }
    OutputFile header(folder.file());
    header.append(metaimage_front(data.size()));
    return header.close();
  }

  fs::path path;
  Shape shape;
  VoxelGrid grid;
  double frame_duration_s;
  WriteOptions options;
  Observer* observer;
  TemporaryFolder folder;
  BlockCoding coding;
  PartLayout layout;
  std::string data_name = kLocalData;
  std::vector<std::shared_ptr<BlockFile>> files;  ///< that grow: one, or one for each part
  std::optional<BlockPipeline> pipeline;
  std::optional<VoxelParts> voxels;
  std::int64_t next_n = 0;
  std::int64_t next_d = 0;
};

VolumeWriter::VolumeWriter(const fs::path& path, const Shape& shape, const VoxelGrid& grid, const VolumeHeader& source,
                           const WriteOptions& options, Observer* observer) {
  format_of(path);
  about(path, [&] {
    require_writable(shape, grid, options);
    state_ = std::make_unique<State>(path, shape, grid, source, options, observer);
  });
}

VolumeWriter::~VolumeWriter() = default;

void VolumeWriter::write(const ConstTensorView& planes, std::int64_t n, std::int64_t first_d) {
  about(state_->path, [&] { state_->write(planes, n, first_d); });
}

WriteReport VolumeWriter::finish() {
  return about(state_->path, [&] { return state_->finish(); });
}

WriteReport write_volume(const fs::path& path, const Tensor& voxels, const VoxelGrid& grid, const VolumeHeader& source,
                         const WriteOptions& options, Observer* observer) {
  ConstTensorView volume = voxels.view();
  const Extent3 extent = volume.extent;
  const Shape shape = {volume.n, volume.c, extent.d, extent.h, extent.w};
  VolumeWriter writer(path, shape, grid, source, options, observer);
  const std::int64_t volume_bytes =
      volume.c * extent.d * extent.h * extent.w * static_cast<std::int64_t>(size_of(volume.dtype));
  volume.n = 1;
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    writer.write(volume, n, 0);
    volume.data = static_cast<const std::byte*>(volume.data) + volume_bytes;
  }
  return writer.finish();
}

std::int64_t writing_bytes(const fs::path& path, const Shape& voxels, DType /*blocks have options.pixel_type*/,
                           const WriteOptions& options) {
  const int threads = threads_of(options);
  const PartLayout layout = layout_of(path, voxels, options);
  const BlockCoding coding = coding_of(path, options);
  // On their way, being written, being filled.
  const std::int64_t blocks = BlockPipeline::capacity(threads) + 1 + VoxelParts::round(threads) + layout.parts;
  const std::int64_t block_bytes = BlockEncoder::held_by_block(coding, static_cast<std::size_t>(layout.block_bytes()));
  const std::int64_t file_bytes = byte_count(voxels, options.pixel_type);
  const std::int64_t most = coding == BlockCoding::kPlain ? file_bytes : 2 * file_bytes;
  return std::min(blocks * block_bytes, most) + threads * BlockEncoder::held_by_thread(coding, options.compression_level);
}

}  // namespace convt3d
