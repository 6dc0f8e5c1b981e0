#include "storage/footer_writer.h"

#include "base/assert.h"

#include <algorithm>

namespace penstock::storage {
namespace {

constexpr std::uint32_t kFramesPerTurn = 8192;  // tens of microseconds
constexpr std::uint64_t kWriteBytes = 256 * kKiB;

}  // namespace

void FooterWriter::enqueue(Segment& segment) {
  PENSTOCK_ASSERT(segment.sealed);
  ++segment.pins;  // until the footer is durable: its slot must not go to another segment
  queue_.push_back(&segment);
}

bool FooterWriter::busy() const {
  return !failed_ && !queue_.empty() && !writing_ && queue_.front()->settled;
}

runtime::WorkCount FooterWriter::poll(Lsn durable) {
  if (!busy() || finished_ != nullptr) return 0;  // the last one has not been taken yet
  Segment& segment = *queue_.front();
  if (segment.recycled) {  // nobody will look for its frames again
    drop_front();
    return 1;
  }
  if (state_ == State::kIdle) {
    done_bytes_ = 0;
    if (segment.footer_built) {
      state_ = State::kPages;
      footer_finish(segment, index_, context_, durable);
    } else {
      state_ = State::kPlacing;
      run_ = 0;
      frame_ = kNoFrame;
      footer_begin(segment, context_.slot_bytes);
    }
  }
  if (state_ == State::kPlacing) {
    place_some();
    if (run_ < segment.shards.size()) return 1;
    segment.footer_built = true;
    protect_frames();
    footer_finish(segment, index_, context_, durable);
    state_ = State::kPages;
    return 1;
  }
  write_next();
  return 1;
}

// Of the segments that follow the front one.
void FooterWriter::protect_frames() {
  const bool more = queue_.size() > 1 && !queue_[1]->footer_built;
  index_.keep_frames(more ? queue_[1] : nullptr);
}

void FooterWriter::drop_front() {
  Segment& segment = *queue_.front();
  if (!segment.footer_built) protect_frames();
  segment.footer_built = false;
  segment.footer = base::Pages();
  --segment.pins;
  queue_.pop_front();
  state_ = State::kIdle;
  finished_ = &segment;
}

void FooterWriter::place_some() {
  Segment& segment = *queue_.front();
  const FrameRing& ring = index_.ring();
  for (std::uint32_t budget = kFramesPerTurn; budget > 0 && run_ < segment.shards.size();) {
    const Run& run = index_.run(segment, segment.shards[run_]);
    if (frame_ == kNoFrame) frame_ = run.newest;
    for (; budget > 0 && frame_ != kNoFrame; --budget) {
      const RecentFrame& frame = ring[frame_];
      footer_put(segment, run.entry_begin + frame.depth, frame.entry);
      frame_ = ring.older(frame_);
    }
    if (frame_ == kNoFrame) ++run_;
  }
}

void FooterWriter::write_next() {
  Segment& segment = *queue_.front();
  const std::uint64_t pages = segment.footer.size() - format::kSectorBytes;
  if (done_bytes_ == pages) state_ = State::kTrailer;
  const std::uint64_t left = state_ == State::kTrailer ? format::kSectorBytes : pages - done_bytes_;
  call_.op = env::DiskOp{.kind = env::DiskKind::kWrite,
                         .durable = true,
                         .file = segment.file,
                         .offset = segment.footer_offset + done_bytes_,
                         .data = segment.footer.data() + done_bytes_,
                         .length = static_cast<std::uint32_t>(std::min(left, kWriteBytes))};
  writing_ = true;
  writes_.start(call_);
}

void FooterWriter::written(runtime::DiskCall& call, std::int32_t result, Nanos) {
  FooterWriter& self = *static_cast<Call&>(call).writer;
  self.writing_ = false;
  if (result != static_cast<std::int32_t>(call.op.length)) {
    self.failed_ = true;
    return;
  }
  self.bytes_written_ += call.op.length;
  self.done_bytes_ += call.op.length;
  if (self.state_ != State::kTrailer) return;
  self.queue_.front()->footed = true;
  self.drop_front();
}

}  // namespace penstock::storage
