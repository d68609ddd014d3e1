#include "convt3d/imaging/block_pipeline.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include "convt3d/conv/parallel.hpp"

namespace convt3d {

void BlockFile::put_in_front(std::span<const std::byte> bytes) {
  file_.append(bytes);
  front_bytes_ = file_.size();
}

void BlockFile::put(const Block& block, std::span<const std::byte> file_bytes) {
  if (coding_ == BlockCoding::kPlain) return file_.write_at(front_bytes_ + block.offset, file_bytes);
  if (coding_ == BlockCoding::kZlib) {
    // Deflate with a window of 32 KiB, and no word of how well it compresses: 0x7801 is a multiple of 31.
    constexpr std::array kStreamHeader = {std::byte{0x78}, std::byte{0x01}};
    if (!begun_) file_.append(kStreamHeader);
    begun_ = true;
    adler_ = static_cast<std::uint32_t>(adler32_combine(adler_, block.adler, static_cast<z_off_t>(block.content_bytes)));
  }
  file_.append(file_bytes);
}

void BlockFile::end_content() {
  if (coding_ != BlockCoding::kZlib) return;
  std::array<std::byte, 6> end = {std::byte{3}, std::byte{0}};  // a last block, of fixed codes, that ends at once
  for (std::size_t i = 0; i < 4; ++i) end[2 + i] = static_cast<std::byte>(adler_ >> (24 - 8 * i));
  file_.append(end);
}

struct BlockPipeline::State {
  enum class Stage { kWaiting, kEncoding, kReady };
  struct Entry {
    Block block;
    std::shared_ptr<BlockFile> file;
    Stage stage = Stage::kWaiting;
  };
  using Lock = std::unique_lock<std::mutex>;

  State(BlockCoding coding, int level, std::size_t block_bytes) : encoder(coding, level, block_bytes) {}

  BlockEncoder encoder;
  std::mutex mutex;  // of all that follows
  std::condition_variable changed;
  std::deque<Entry> entries;  // in order; those in front of the first that is not ready are written at once
  std::vector<Block> idle;
  std::exception_ptr error;
  bool dropped = false;
  bool writing = false;  // one thread at a time
  int busy = 0;          // threads that are in advance()

  bool ended() const { return dropped || error; }

  void rethrow() const {
    if (error) std::rethrow_exception(error);
  }

  /// Runs `work` unlocked; keeps what it throws.
  template <typename Work>
  void unlocked(Lock& lock, const Work& work) {
    lock.unlock();
    std::exception_ptr thrown;
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
    lock.lock();
    if (thrown && !error) error = thrown;
  }

  /// Encodes the first block that waits, then writes all that are next; false if none waits.
  bool advance(Lock& lock) {
    if (ended()) return false;
    const auto next =
        std::find_if(entries.begin(), entries.end(), [](auto& entry) { return entry.stage == Stage::kWaiting; });
    if (next == entries.end()) return false;
    Entry& entry = *next;  // stays where it is: a deque is only changed at its ends
    entry.stage = Stage::kEncoding;
    ++busy;
    unlocked(lock, [&] { encoder.encode(entry.block); });
    entry.stage = Stage::kReady;
    write_ready(lock);
    --busy;
    changed.notify_all();
    return true;
  }

  void write_ready(Lock& lock) {
    while (!writing && !ended() && !entries.empty() && entries.front().stage == Stage::kReady) {
      writing = true;
      Entry entry = std::move(entries.front());
      entries.pop_front();
      unlocked(lock, [&] { entry.file->put(entry.block, encoder.file_bytes(entry.block)); });
      idle.push_back(std::move(entry.block));
      writing = false;
      changed.notify_all();
    }
  }
};

BlockPipeline::BlockPipeline(BlockCoding coding, int level, std::size_t block_bytes, int threads)
    : threads_(threads), state_(std::make_shared<State>(coding, level, block_bytes)) {}

BlockPipeline::~BlockPipeline() {
  State::Lock lock(state_->mutex);
  state_->dropped = true;
  state_->changed.wait(lock, [&] { return state_->busy == 0; });
  state_->entries.clear();
}

Block BlockPipeline::take() {
  const State::Lock lock(state_->mutex);
  if (state_->idle.empty()) return state_->encoder.make_block();
  Block block = std::move(state_->idle.back());
  state_->idle.pop_back();
  return block;
}

void BlockPipeline::submit(Block block, std::shared_ptr<BlockFile> file) {
  State::Lock lock(state_->mutex);
  while (!state_->ended() && static_cast<std::int64_t>(state_->entries.size()) >= capacity(threads_)) {
    if (!state_->advance(lock)) state_->changed.wait(lock);
  }
  state_->rethrow();
  state_->entries.push_back({std::move(block), std::move(file)});
  if (threads_ == 1) {
    state_->advance(lock);
    return;
  }
  lock.unlock();
  run_in_background(threads_, [state = state_] {
    State::Lock task_lock(state->mutex);
    state->advance(task_lock);
  });
}

void BlockPipeline::finish() {
  State::Lock lock(state_->mutex);
  while (!state_->ended() && (!state_->entries.empty() || state_->writing)) {
    if (!state_->advance(lock)) state_->changed.wait(lock);
  }
  state_->rethrow();
}

}  // namespace convt3d
