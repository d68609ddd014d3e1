#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

namespace convt3d {

/// What wraps the deflate data.
enum class Wrapper {
  kGzip,        ///< gzip members one after the other (RFC 1952), and zeros behind them, as tapes and gzip(1) have it
  kZlibOrGzip,  ///< one zlib stream (RFC 1950), or one gzip member
};

/// The content of compressed bytes, from the front to the back, in 0.5 MiB of memory. Throws Error{kInput} that names the
/// file and the byte for data that is no deflate data, for a checksum or length other than the content's, and for bytes that
/// belong to nothing behind the end.
class InflateStream {
 public:
  /// Puts the next bytes of the file into its argument, and returns how many; 0 at the end only.
  using Source = std::function<std::size_t(std::span<std::byte>)>;

  /// `offset` is where the first byte of the source is in the file, whose name is for messages.
  InflateStream(std::filesystem::path path, Wrapper wrapper, std::int64_t offset, Source source);
  ~InflateStream();
  InflateStream(const InflateStream&) = delete;
  InflateStream& operator=(const InflateStream&) = delete;

  /// Fills `out`, or what there is content for; returns how many bytes it got.
  std::size_t read(std::span<std::byte> out);

  /// Whether the last read() saw the end of the content, and all of it was right. If not, and there was no more, the file is
  /// cut off.
  bool ended() const;

 private:
  struct State;

  std::unique_ptr<State> state_;
};

}  // namespace convt3d
