#include "storage/reader.h"

#include "base/assert.h"
#include "storage/frame_reader.h"
#include "storage/sabotage.h"

#include <algorithm>

namespace penstock::storage {

Reader::Reader(Index& index, const TailWindow& tail, const Appender& appender,
               std::uint64_t slot_bytes, runtime::DiskQueue& reads, void* owner, Unpinned unpinned)
    : index_(index),
      tail_(tail),
      appender_(appender),
      reads_(reads),
      owner_(owner),
      unpinned_(unpinned),
      rescan_(index, slot_bytes, reads, this, rescanned),
      buffers_(kReadBuffers * kReadBytes) {
  for (std::byte*& buffer : free_buffers_) {
    buffer = buffers_.data() + free_count_ * kReadBytes;
    ++free_count_;
  }
}

void Reader::start(ReadOp& op) {
  PENSTOCK_ASSERT(op.sink != nullptr);
  PENSTOCK_ASSERT(op.done != nullptr);
  Active& a = take();
  a.asked = &op;
  a.at = op.from.raw();
  op.next = op.from;
  op.bytes_taken = 0;
  op.last_arrival = WallMillis{};
  op.outcome = {};
  advance(a);
}

bool Reader::step(Active& a) {
  ReadOp& op = *a.asked;
  if (a.at >= op.until.raw()) return finish(a, {});
  const Found found = index_.find(op.shard, a.at);
  switch (found.kind) {
    case Found::Kind::kNothing:
      return missing(a, op.until.raw());
    case Found::Kind::kNeedsPage:
      read_pages(a, found);
      return false;
    case Found::Kind::kFrame:
      break;
  }
  const format::FrameEntry& entry = found.entry;
  if (entry.first_index > a.at) return missing(a, std::min(entry.first_index, op.until.raw()));
  if (!appender_.durable(*found.segment, entry.offset) &&
      !sabotaged(Sabotage::kVisibleBeforeDurable)) {
    return finish(a, {});
  }
  if (is_passed_over(a, found)) return pass_over(a, found);
  return take_frame(a, found);
}

// --- What a read goes past ------------------------------------------------------------------

bool Reader::is_passed_over(const Active& a, const Found& found) const {
  const ReadOp& op = *a.asked;
  if (found.entry.retention < op.retention_from.raw()) return true;
  // The frame itself may hold a record that arrived in time: then its batches tell.
  if (found.entry.arrival >= op.arrival_from.raw()) return false;
  if (found.run->arrival_last < op.arrival_from.raw()) return true;
  const Found first = index_.first_arrived(*found.run, op.arrival_from.raw());
  return first.kind == Found::Kind::kNeedsPage || first.entry.first_index > a.at;
}

bool Reader::pass_over(Active& a, const Found& found) {
  ReadOp& op = *a.asked;
  const bool expired = found.entry.retention < op.retention_from.raw();
  const bool all = expired ? found.run->retention_last < op.retention_from.raw()
                           : found.run->arrival_last < op.arrival_from.raw();
  std::uint64_t to = found.run->end_index;
  op.last_arrival = WallMillis(all ? found.run->arrival_last : found.entry.arrival);
  if (!all) {
    const Found first = expired ? index_.first_retained(*found.run, op.retention_from.raw())
                                : index_.first_arrived(*found.run, op.arrival_from.raw());
    if (first.kind == Found::Kind::kNeedsPage) {
      read_pages(a, first);
      return false;
    }
    PENSTOCK_ASSERT(first.kind == Found::Kind::kFrame);
    to = first.entry.first_index;
  }
  PENSTOCK_ASSERT(to > a.at);
  a.at = std::min(to, op.until.raw());
  return true;
}

bool Reader::missing(Active& a, std::uint64_t until) {
  if (a.at >= a.floor) return lost(a, until);
  a.at = std::min(until, a.floor);
  return true;
}

void Reader::recycled(const Segment& segment) {
  for (const std::unique_ptr<Active>& a : all_) {
    if (a->asked == nullptr) continue;
    if (!std::binary_search(segment.shards.begin(), segment.shards.end(), a->asked->shard))
      continue;
    a->floor = std::max(a->floor, index_.run(segment, a->asked->shard).end_index);
  }
}

// --- Delivery -------------------------------------------------------------------------------

bool Reader::take_frame(Active& a, const Found& found) {
  const format::FrameEntry& entry = found.entry;
  const SegmentNumber segment = found.segment->number;
  if (!a.distrusts_memory) {
    const std::byte* memory = tail_.find(segment, entry.offset);
    if (memory != nullptr) return deliver(a, found, memory, true);
  }
  const bool held = a.held_bytes > 0 && a.held == segment && a.held_offset <= entry.offset &&
                    std::uint64_t{entry.offset} + entry.length <= a.held_offset + a.held_bytes;
  if (held) return deliver(a, found, a.data() + (entry.offset - a.held_offset), false);
  // Not before the first one: it would be asked for again and again.
  if (a.device_bytes >= a.asked->bytes_max && a.at != a.asked->from.raw()) return finish(a, {});
  read_frames(a, found);
  return false;
}

bool Reader::deliver(Active& a, const Found& found, const std::byte* bytes, bool memory) {
  switch (deliver_frame(*a.asked, a.at, found.entry, {bytes, found.entry.length})) {
    case Delivery::kAll:
      a.retried = false;
      a.distrusts_memory = false;
      tail_reads_ += memory ? 1 : 0;
      return true;
    case Delivery::kStop:
      tail_reads_ += memory ? 1 : 0;
      return finish(a, {});
    case Delivery::kBad:
      break;
  }
  a.held_bytes = 0;
  if (memory) {
    a.distrusts_memory = true;  // the device has what was written
    return true;
  }
  if (a.retried) return lost(a, found.entry.first_index + found.entry.records);
  a.retried = true;
  return true;
}

// The loss is named exactly: a read that delivered something ends before it, the next one begins
// with it.
bool Reader::lost(Active& a, std::uint64_t until) {
  if (a.at != a.asked->from.raw()) return finish(a, {});
  a.at = std::min(until, a.asked->until.raw());
  return finish(a, fail(ErrorCode::kDataLoss));
}

bool Reader::finish(Active& a, Result<> outcome) {
  ReadOp& op = *a.asked;
  op.next = RecordIndex(a.at);
  op.from_device = a.device_bytes > 0;
  op.outcome = outcome;
  a.asked = nullptr;
  drop_large(a);
  release_buffer(a);
  a.next = free_;
  free_ = &a;
  serve_waiting();
  op.done(op);
  return false;
}

// --- The device -----------------------------------------------------------------------------

// Neighbours of the shard that lie within one buffer's reach come with the frame.
std::uint64_t Reader::useful_end(const Active& a, const Found& found) const {
  std::uint64_t end = std::uint64_t{found.entry.offset} + found.entry.length;
  if (a.retried) return end;  // a bad sector costs only its own frame
  const std::uint64_t limit = round_down(found.entry.offset, 4096U) + std::uint64_t{kReadBytes};
  std::uint64_t next = found.entry.first_index + found.entry.records;
  while (next < a.asked->until.raw()) {
    const Found neighbour = index_.find(a.asked->shard, next);
    if (neighbour.kind != Found::Kind::kFrame || neighbour.segment != found.segment) break;
    const std::uint64_t its_end = std::uint64_t{neighbour.entry.offset} + neighbour.entry.length;
    if (its_end > limit || !appender_.durable(*found.segment, neighbour.entry.offset)) break;
    end = its_end;
    next = neighbour.entry.first_index + neighbour.entry.records;
  }
  return end;
}

void Reader::read_frames(Active& a, const Found& found) {
  const std::uint64_t offset = round_down(std::uint64_t{found.entry.offset}, format::kSectorBytes);
  const std::uint64_t bytes = round_up(useful_end(a, found), format::kSectorBytes) - offset;
  if (bytes > kReadBytes) {
    if (a.large.size() < bytes) {
      drop_large(a);
      if (large_in_use_) {
        release_buffer(a);
        waiting_large_.push(a);
        serve_waiting();
        return;
      }
      large_in_use_ = true;
      a.large = base::Pages(bytes);
    }
  } else {
    drop_large(a);
    if (!get_buffer(a)) return;
  }
  a.reads = Reads::kFrames;
  a.held = found.segment->number;
  a.held_offset = offset;
  a.device_bytes += bytes;
  start_read(a, *found.segment, offset, bytes);
}

void Reader::read_pages(Active& a, const Found& found) {
  constexpr std::uint32_t kPagesAhead = 8;  // a reader that comes by index goes on to the next ones
  PENSTOCK_ASSERT(found.segment->footed);
  drop_large(a);
  if (!get_buffer(a)) return;
  const Run& run = *found.run;
  const std::uint32_t last = (run.entry_begin + run.entry_count - 1) / format::kEntriesPerPage;
  const std::uint32_t count = a.retried ? 1 : std::min(kPagesAhead, last - found.page + 1);
  a.reads = Reads::kPages;
  a.page = found.page;
  a.held_bytes = 0;
  start_read(a, *found.segment, found.segment->footer_offset + found.page * format::kSectorBytes,
             count * format::kSectorBytes);
}

void Reader::start_read(Active& a, Segment& segment, std::uint64_t offset, std::uint64_t bytes) {
  a.held_bytes = 0;
  a.pinned = &segment;
  ++segment.pins;
  a.set_operation(segment, offset, bytes);
  ++reading_;
  ++disk_reads_;
  reads_.start(a);
}

void Reader::Active::set_operation(const Segment& segment, std::uint64_t offset,
                                   std::uint64_t bytes) {
  op = env::DiskOp{.kind = env::DiskKind::kRead,
                   .durable = false,
                   .file = segment.file,
                   .offset = offset,
                   .data = data(),
                   .length = static_cast<std::uint32_t>(bytes)};
}

void Reader::completed(runtime::DiskCall& call, std::int32_t result, Nanos) {
  Active& a = static_cast<Active&>(call);
  Reader& self = *a.reader;
  --self.reading_;
  const bool good = result == static_cast<std::int32_t>(call.op.length);
  if (a.reads == Reads::kFrames) {
    self.unpin(a);
    self.frames_arrived(a, good);
  } else {
    self.pages_arrived(a, good);
  }
}

void Reader::frames_arrived(Active& a, bool good) {
  if (good) {
    a.held_bytes = a.op.length;
    advance(a);
    return;
  }
  if (!a.retried) {
    a.retried = true;
    advance(a);
    return;
  }
  const Found found = index_.find(a.asked->shard, a.at);
  if (found.kind == Found::Kind::kFrame && found.entry.first_index <= a.at) {
    lost(a, found.entry.first_index + found.entry.records);
  } else {
    advance(a);  // recycled in the meantime, or its page left the cache
  }
}

void Reader::pages_arrived(Active& a, bool good) {
  const SegmentNumber segment = a.pinned->number;
  unpin(a);
  const std::span<const std::byte> bytes(a.data(), a.op.length);
  bool first_is_good = false;
  for (std::uint32_t i = 0; good && i < bytes.size() / format::kSectorBytes; ++i) {
    const auto page = bytes.subspan(i * format::kSectorBytes, format::kSectorBytes);
    if (!format::valid_page(page, format::kEntryPageMagic, segment.raw())) break;
    index_.put_page(segment, a.page + i, page);
    first_is_good = true;
  }
  if (first_is_good || !a.retried) {
    a.retried = !first_is_good;
    advance(a);
    return;
  }
  a.retried = false;
  const Run* run = index_.run_after(a.asked->shard, a.at);
  if (run == nullptr || run->segment->number != segment || run->segment->footer_built) {
    advance(a);  // recycled, or found again in the meantime
  } else if (run->segment->entries_lost) {
    lost(a, run->end_index);
  } else {
    release_buffer(a);
    waiting_rescan_.push(a);
    rescan_.start(*run->segment);
    serve_waiting();
  }
}

void Reader::rescanned(void* self, Segment& segment) {
  Reader& reader = *static_cast<Reader*>(self);
  if (segment.recycled && segment.pins == 0) reader.unpinned_(reader.owner_, segment);
  // Those that wait for another segment ask for it again.
  Waiting all = std::exchange(reader.waiting_rescan_, Waiting{});
  while (Active* a = all.pop()) reader.advance(*a);
}

void Reader::unpin(Active& a) {
  Segment& segment = *std::exchange(a.pinned, nullptr);
  --segment.pins;
  if (segment.recycled && segment.pins == 0) unpinned_(owner_, segment);
}

// --- Buffers --------------------------------------------------------------------------------

void Reader::Waiting::push(Active& a) {
  a.next = nullptr;
  (head == nullptr ? head : tail->next) = &a;
  tail = &a;
}

Reader::Active* Reader::Waiting::pop() {
  Active* a = head;
  if (a != nullptr) head = a->next;
  return a;
}

bool Reader::get_buffer(Active& a) {
  if (a.buffer != nullptr) return true;
  if (free_count_ == 0) {
    waiting_.push(a);
    return false;
  }
  a.buffer = free_buffers_[--free_count_];
  return true;
}

void Reader::drop_large(Active& a) {
  if (a.large.size() == 0) return;
  a.large = base::Pages();
  a.held_bytes = 0;
  large_in_use_ = false;
}

void Reader::release_buffer(Active& a) {
  a.held_bytes = 0;
  if (a.buffer != nullptr) free_buffers_[free_count_++] = std::exchange(a.buffer, nullptr);
}

// Whoever waited looks at the index again: much may have happened since.
void Reader::serve_waiting() {
  if (serving_) return;
  serving_ = true;
  for (;;) {
    Active* a = large_in_use_ ? nullptr : waiting_large_.pop();
    if (a == nullptr && free_count_ > 0) a = waiting_.pop();
    if (a == nullptr) break;
    advance(*a);
  }
  serving_ = false;
}

Reader::Active& Reader::take() {
  if (free_ == nullptr) {
    all_.push_back(std::make_unique<Active>());
    all_.back()->reader = this;
    all_.back()->complete = completed;
    free_ = all_.back().get();
  }
  Active& a = *free_;
  free_ = a.next;
  a.next = nullptr;
  a.floor = 0;
  a.device_bytes = 0;
  a.retried = false;
  a.distrusts_memory = false;
  return a;
}

}  // namespace penstock::storage
