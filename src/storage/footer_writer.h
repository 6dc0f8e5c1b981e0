// Writes the footers of settled segments in the background, one after the other: first makes the
// footer in memory, a little in each turn, then writes its pages, and when these are durable, its
// trailer.
//
//   idle ─► placing ─► writing pages ─► writing the trailer ─► idle
//
// Owner      its journal
// Allocates  one footer, when its segment's turn comes
// Errors     a failed write is reported once; nothing is written after it
// Source     src/storage/FORMAT.md §8
#pragma once

#include "runtime/disk_queue.h"
#include "storage/footer.h"
#include "storage/index.h"
#include "storage/segment.h"

#include <cstdint>
#include <deque>

namespace penstock::storage {

class FooterWriter {
 public:
  FooterWriter(const FooterContext& context, Index& index, runtime::DiskQueue& writes)
      : context_(context), index_(index), writes_(writes) {
    call_.writer = this;
    call_.complete = written;
  }

  // In order of their numbers; `sealed` from then on, written once it is settled.
  void enqueue(Segment& segment);
  [[nodiscard]] runtime::WorkCount poll(Lsn durable);
  // The segment whose footer became durable, or whose recycling made it idle, since the last call.
  [[nodiscard]] Segment* take_finished() { return std::exchange(finished_, nullptr); }
  [[nodiscard]] bool failed() const { return failed_; }
  void stop() { failed_ = true; }  // the journal is fenced
  [[nodiscard]] bool write_pending() const { return writing_; }
  // There is work that waits for no completion.
  [[nodiscard]] bool busy() const;
  [[nodiscard]] bool idle() const { return queue_.empty(); }
  [[nodiscard]] std::uint64_t bytes_written() const { return bytes_written_; }

 private:
  enum class State : std::uint8_t { kIdle, kPlacing, kPages, kTrailer };
  struct Call : runtime::DiskCall {
    FooterWriter* writer = nullptr;
  };
  void place_some();
  void protect_frames();
  void drop_front();
  void write_next();
  static void written(runtime::DiskCall& call, std::int32_t result, Nanos now);

  FooterContext context_;
  Index& index_;
  runtime::DiskQueue& writes_;
  std::deque<Segment*> queue_;  // the front one is being written
  State state_ = State::kIdle;
  std::size_t run_ = 0;           // kPlacing: of segment.shards
  FrameSeq frame_ = kNoFrame;     // kPlacing: next frame of that run
  std::uint64_t done_bytes_ = 0;  // durable so far
  bool writing_ = false;
  bool failed_ = false;
  Segment* finished_ = nullptr;
  Call call_;
  std::uint64_t bytes_written_ = 0;
};

}  // namespace penstock::storage
