#include "storage/journal.h"

#include "base/assert.h"
#include "storage/journal_impl.h"

#include <algorithm>

namespace penstock::storage {

// --- Turns ----------------------------------------------------------------------------------

runtime::WorkCount JournalImpl::poll(Nanos now, WallMillis wall, RetentionMillis retention) {
  runtime::WorkCount work = append_.poll(now, wall, retention);
  note_sealed();
  if (append_.fenced()) footers_.stop();
  work += footers_.poll(append_.durable());
  if (footers_.failed() && !append_.fenced()) append_.fence();
  work += note_footed();
  return work;
}

// The footer's writer has let go of a segment.
runtime::WorkCount JournalImpl::note_footed() {
  Segment* segment = footers_.take_finished();
  if (segment == nullptr) return 0;
  if (segment->footed) append_.stated_durable(segment->last);
  if (segment->recycled && segment->pins == 0) free_slot(*segment);
  return 1;
}

Nanos JournalImpl::next_deadline() const {
  return footers_.busy() ? Nanos(0) : append_.next_deadline();
}

bool JournalImpl::quiet() const {
  if (!append_.quiet() || !reader_.quiet() || footers_.write_pending()) return false;
  return append_.fenced() || footers_.idle();
}

Lsn JournalImpl::submit(Nanos now, WallMillis wall, RetentionMillis retention) {
  const Lsn lsn = append_.submit_block(now, wall, retention);
  note_sealed();
  return lsn;
}

void JournalImpl::note_sealed() {
  for (;;) {
    Segment* segment = segments_.find(next_to_foot_);
    if (segment == nullptr || !segment->sealed) return;
    footers_.enqueue(*segment);
    ++next_to_foot_;
  }
}

// --- Searches -------------------------------------------------------------------------------

// Without the page at hand, the start of the run answers: earlier than exact, and a read passes over
// the rest by itself.
RecordIndex JournalImpl::find_arrival(ShardKey shard, WallMillis arrival, RecordIndex from,
                                      RecordIndex until) const {
  std::uint64_t at = from.raw();
  while (at < until.raw()) {
    const Run* run = index_.run_after(shard, at);
    if (run == nullptr) break;
    if (run->arrival_last < arrival.raw()) {
      at = run->end_index;
      continue;
    }
    const Found found = index_.first_arrived(*run, arrival.raw());
    const bool exact = found.kind == Found::Kind::kFrame;
    at = std::max(at, exact ? found.entry.first_index : run->first_index);
    return RecordIndex(std::min(at, until.raw()));
  }
  return until;
}

RecordIndex JournalImpl::find_retention(ShardKey shard, RetentionMillis horizon, RecordIndex from,
                                        RecordIndex until) const {
  std::uint64_t at = from.raw();
  while (at < until.raw()) {
    const Run* run = index_.run_after(shard, at);
    if (run == nullptr) break;
    if (run->retention_last < horizon.raw()) {
      at = run->end_index;
      continue;
    }
    const Found found = index_.first_retained(*run, horizon.raw());
    const bool exact = found.kind == Found::Kind::kFrame;
    at = std::max(at, exact ? found.entry.first_index : run->first_index);
    return RecordIndex(std::min(at, until.raw()));
  }
  return until;
}

// --- Segments -------------------------------------------------------------------------------

void JournalImpl::summarise(Segment& segment) const {
  segment.summary.reserve(segment.shards.size());
  for (const ShardKey key : segment.shards) {
    if (key == ShardKey{}) continue;  // control frames: the snapshot has what they said
    const Run& run = index_.run(segment, key);
    segment.summary.push_back({.shard = key,
                               .last_index = RecordIndex(run.end_index - 1),
                               .retention_last = RetentionMillis(run.retention_last)});
  }
}

std::vector<SegmentNumber> JournalImpl::sealed_numbers() const {
  std::vector<SegmentNumber> numbers;
  for (const auto& [number, segment] : segments_.all()) {
    if (segment->settled && !segment->recycled) numbers.push_back(number);
  }
  return numbers;
}

void JournalImpl::visit_sealed(const Journal::SealedVisit& visit) const {
  for (const auto& [number, segment] : segments_.all()) {
    if (!segment->settled || segment->recycled) continue;
    if (segment->summary.empty()) summarise(*segment);
    if (!visit(number, segment->last, segment->summary)) return;
  }
}

void JournalImpl::recycle(std::span<const SegmentNumber> numbers) {
  static_cast<void>(note_footed());
  for (const SegmentNumber number : numbers) {
    Segment* segment = segments_.find(number);
    if (segment == nullptr || segment->recycled) continue;
    PENSTOCK_ASSERT(segment->settled);
    reader_.recycled(*segment);
    index_.forget(*segment);
    segment->recycled = true;
    if (segment->pins == 0) free_slot(*segment);
  }
}

void JournalImpl::free_slot(Segment& segment) {
  append_.slots().add({segment.file, segment.slot});
  segments_.erase(segment.number);
}

void JournalImpl::unpinned(void* self, Segment& segment) {
  static_cast<JournalImpl*>(self)->free_slot(segment);
}

void JournalImpl::add_slot(FreeSlot slot) {
  append_.slots().add(slot);
  ++slots_total_;
}

JournalMetrics JournalImpl::metrics() const {
  const AppendCounters& counters = append_.counters();
  return {.blocks = counters.blocks,
          .idle_blocks = counters.idle_blocks,
          .bytes_written = counters.bytes_written + footers_.bytes_written(),
          .frames = counters.frames,
          .tail_reads = reader_.tail_reads(),
          .disk_reads = reader_.disk_reads(),
          .segments = segments_.all().size(),
          .slots_free = append_.slots().free(),
          .slots_total = slots_total_};
}

std::size_t JournalImpl::memory_bytes() const {
  return tail_.memory_bytes() + index_.memory_bytes() + reader_.memory_bytes();
}

// --- Journal --------------------------------------------------------------------------------

Journal::Journal(const JournalOptions& options, RecoveredJournal recovered,
                 runtime::DiskQueue& writes, runtime::DiskQueue& reads)
    : impl_(std::make_unique<JournalImpl>(options, std::move(recovered), writes, reads)) {}
Journal::~Journal() = default;

AppendState Journal::append_state(bool control) const {
  return impl_->append().append_state(control);
}
std::span<std::byte> Journal::open_frame(std::size_t body_min, std::size_t body_max) {
  return impl_->append().open_frame(body_min, body_max);
}
void Journal::close_frame(const FrameFields& fields, std::size_t body_bytes) {
  impl_->append().close_frame(fields, body_bytes);
}
std::size_t Journal::frame_body_max() const { return impl_->append().frame_body_max(); }
bool Journal::can_submit() const { return impl_->append().can_submit(); }
bool Journal::block_open() const { return impl_->append().block_open(); }
Lsn Journal::submit_block(Nanos now, WallMillis wall, RetentionMillis retention) {
  return impl_->submit(now, wall, retention);
}
Lsn Journal::durable() const { return impl_->append().durable(); }
bool Journal::fenced() const { return impl_->append().fenced(); }
runtime::WorkCount Journal::poll(Nanos now, WallMillis wall, RetentionMillis retention) {
  return impl_->poll(now, wall, retention);
}
Nanos Journal::next_deadline() const { return impl_->next_deadline(); }
bool Journal::quiet() const { return impl_->quiet(); }

void Journal::start(ReadOp& op, Nanos) { impl_->reader().start(op); }
RecordIndex Journal::find_arrival(ShardKey shard, WallMillis arrival, RecordIndex from,
                                  RecordIndex until) const {
  return impl_->find_arrival(shard, arrival, from, until);
}
RecordIndex Journal::find_retention(ShardKey shard, RetentionMillis horizon, RecordIndex from,
                                    RecordIndex until) const {
  return impl_->find_retention(shard, horizon, from, until);
}
RecordIndex Journal::oldest(ShardKey shard, RecordIndex none) const {
  const Run* run = impl_->index().run_after(shard, 0);
  return run == nullptr ? none : RecordIndex(run->first_index);
}

void Journal::add_slot(env::FileId file, std::uint32_t slot) { impl_->add_slot({file, slot}); }
std::uint32_t Journal::slots_free() const { return impl_->append().slots().free(); }
std::vector<SegmentSummary> Journal::sealed() const {
  std::vector<SegmentSummary> all;
  visit_sealed([&](SegmentNumber number, Lsn last, std::span<const SegmentSummary::Run> runs) {
    all.push_back({.number = number, .last = last, .runs = {runs.begin(), runs.end()}});
    return true;
  });
  return all;
}
std::vector<SegmentNumber> Journal::sealed_numbers() const { return impl_->sealed_numbers(); }
void Journal::visit_sealed(const SealedVisit& visit) const { impl_->visit_sealed(visit); }
void Journal::recycle(std::span<const SegmentNumber> segments) { impl_->recycle(segments); }
std::uint64_t Journal::seal_count() const { return impl_->append().counters().seals; }
JournalMetrics Journal::metrics() const { return impl_->metrics(); }
std::size_t Journal::memory_bytes() const { return impl_->memory_bytes(); }

}  // namespace penstock::storage
