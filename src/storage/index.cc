#include "storage/index.h"

#include "base/assert.h"
#include "storage/footer.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace penstock::storage {
namespace {

[[nodiscard]] format::FrameEntry entry_in(const std::byte* page, std::uint32_t position) {
  return format::load<format::FrameEntry>(
      {page, format::kSectorBytes},
      sizeof(format::PageHeader) + position * sizeof(format::FrameEntry));
}

void extend(Run& run, const format::FrameEntry& entry, std::int64_t arrival_last) {
  if (run.entry_count == 0) {
    run.first_index = entry.first_index;
    run.arrival_first = entry.arrival;
    run.retention_first = entry.retention;
    run.arrival_last = arrival_last;
  }
  // A control frame stands for one position, that of its block.
  run.end_index = entry.first_index + std::max(entry.records, 1U);
  run.arrival_last = std::max(run.arrival_last, arrival_last);
  run.retention_last = entry.retention;
  run.bytes += entry.length;
  ++run.entry_count;
}

}  // namespace

// Two segments' frames: the open one's, and those of the one whose footer is being built.
Index::Index(const IndexOptions& options)
    : frames_max_(options.frames_max),
      ring_(2 * options.frames_max),
      runs_(options.runs_max),
      cache_(options.cache_bytes) {}

std::uint64_t Index::frames_left() const {
  return std::min<std::uint64_t>(frames_max_ - open_frames_, ring_.room());
}

void Index::open(Segment& segment) {
  PENSTOCK_ASSERT(open_ == nullptr);
  PENSTOCK_ASSERT(runs_.size() == 0);
  open_ = &segment;
  open_frames_ = 0;
  segment.first_frame = ring_.next();
}

void Index::add(ShardKey key, const format::FrameEntry& entry, std::int64_t arrival_last) {
  PENSTOCK_ASSERT(open_ != nullptr);
  Run& run = runs_.at(key);
  const FrameSeq seq = ring_.push(entry, arrival_last, run.newest);
  if (run.entry_count == 0) {
    run.segment = open_;
    run.oldest = seq;
  }
  run.newest = seq;
  extend(run, entry, arrival_last);
  ++open_frames_;
  open_->frame_count = open_frames_;
}

void Index::seal() {
  PENSTOCK_ASSERT(open_ != nullptr);
  std::vector<OpenRun> runs(runs_.all().begin(), runs_.all().end());
  std::sort(runs.begin(), runs.end(),
            [](const OpenRun& a, const OpenRun& b) { return a.key < b.key; });
  open_->shards.reserve(runs.size());
  std::uint32_t entry = 0;
  for (OpenRun& r : runs) {
    r.run.entry_begin = entry;
    entry += r.run.entry_count;
    open_->shards.push_back(r.key);
    append_run(r.key, r.run);
  }
  sealed_runs_ += runs.size();
  PENSTOCK_ASSERT(entry == open_frames_);
  open_ = nullptr;
  open_frames_ = 0;
  runs_.clear();
}

void Index::adopt(Segment& segment, std::span<const format::RunEntry> runs) {
  for (const format::RunEntry& r : runs) {
    const ShardKey key{StreamUid(r.stream), ShardNumber(r.shard)};
    Run run;
    run.segment = &segment;
    run.first_index = r.first_index;
    run.end_index = r.last_index + 1;
    run.arrival_first = r.arrival_first;
    run.arrival_last = r.arrival_last;
    run.retention_first = r.retention_first;
    run.retention_last = r.retention_last;
    run.bytes = r.bytes;
    run.entry_begin = r.entry_begin;
    run.entry_count = r.entry_count;
    segment.shards.push_back(key);
    append_run(key, run);
  }
  sealed_runs_ += runs.size();
}

void Index::adopt(Segment& segment, std::uint64_t slot_bytes,
                  const std::vector<RecoveredFrame>& frames) {
  std::vector<std::uint32_t> order(frames.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::tie(frames[a].shard, a) < std::tie(frames[b].shard, b);
  });
  segment.frame_count = static_cast<std::uint32_t>(frames.size());
  std::vector<OpenRun> runs;
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    const RecoveredFrame& frame = frames[order[i]];
    if (runs.empty() || runs.back().key != frame.shard) {
      runs.push_back({frame.shard, Run{}});
      runs.back().run.segment = &segment;
      runs.back().run.entry_begin = i;
      segment.shards.push_back(frame.shard);
    }
    extend(runs.back().run, frame.entry, frame.arrival_max);
  }
  footer_begin(segment, slot_bytes);
  for (std::uint32_t i = 0; i < order.size(); ++i) footer_put(segment, i, frames[order[i]].entry);
  segment.footer_built = true;
  for (const OpenRun& r : runs) append_run(r.key, r.run);
  sealed_runs_ += runs.size();
}

void Index::keep_frames(const Segment* oldest) {
  if (oldest == nullptr) oldest = open_;
  ring_.keep_from(oldest == nullptr ? ring_.next() : oldest->first_frame);
}

const Run& Index::run(const Segment& segment, ShardKey key) const {
  const std::vector<Run>& runs = sealed_.at(key);
  const auto found = std::lower_bound(
      runs.begin(), runs.end(), segment.number,
      [](const Run& run, SegmentNumber number) { return run.segment->number < number; });
  PENSTOCK_ASSERT(found != runs.end() && found->segment == &segment);
  return *found;
}

void Index::forget(const Segment& segment) {
  for (const ShardKey key : segment.shards) {
    const auto runs = sealed_.find(key);
    PENSTOCK_ASSERT(runs != sealed_.end());
    std::erase_if(runs->second, [&](const Run& run) { return run.segment == &segment; });
    if (runs->second.empty()) sealed_.erase(runs);
  }
  sealed_runs_ -= segment.shards.size();
}

const Run* Index::run_after(ShardKey key, std::uint64_t at) const {
  if (const auto found = sealed_.find(key); found != sealed_.end()) {
    const std::vector<Run>& runs = found->second;
    const auto run = std::partition_point(runs.begin(), runs.end(),
                                          [at](const Run& r) { return r.end_index <= at; });
    if (run != runs.end()) return &*run;
  }
  const Run* open = runs_.find(key);
  return open != nullptr && open->end_index > at ? open : nullptr;
}

const std::byte* Index::page(const Segment& segment, std::uint32_t number) const {
  if (segment.footer_built) {
    return segment.footer.data() + std::size_t{number} * format::kSectorBytes;
  }
  return cache_.find(segment.number, number);
}

// The first frame of the run that is wanted: in the ring where the run still lies there, else by
// halving over the footer's entries.
template <class Wanted, class WantedRecent>
Found Index::search(const Run& run, const Wanted& wanted, const WantedRecent& wanted_recent) const {
  Found found;
  found.segment = run.segment;
  found.run = &run;
  if (recent(run)) {
    if (!wanted_recent(ring_[run.newest])) return found;
    found.entry = ring_[ring_.oldest_where(run.newest, wanted_recent)].entry;
    found.kind = Found::Kind::kFrame;
    return found;
  }
  std::uint32_t low = 0;
  std::uint32_t high = run.entry_count;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    const std::uint32_t number = run.entry_begin + middle;
    found.page = number / format::kEntriesPerPage;
    const std::byte* bytes = page(*run.segment, found.page);
    if (bytes == nullptr) {
      found.kind = Found::Kind::kNeedsPage;
      return found;
    }
    const format::FrameEntry entry = entry_in(bytes, number % format::kEntriesPerPage);
    if (wanted(entry)) {
      high = middle;
      found.entry = entry;
    } else {
      low = middle + 1;
    }
  }
  if (low < run.entry_count) found.kind = Found::Kind::kFrame;
  return found;
}

Found Index::find(ShardKey key, std::uint64_t at) const {
  const Run* run = run_after(key, at);
  if (run == nullptr) return Found{};
  return search(
      *run, [at](const format::FrameEntry& e) { return e.first_index + e.records > at; },
      [at](const RecentFrame& f) { return f.end_index() > at; });
}

Found Index::first_retained(const Run& run, std::int64_t retention) const {
  return search(
      run, [retention](const format::FrameEntry& e) { return e.retention >= retention; },
      [retention](const RecentFrame& f) { return f.entry.retention >= retention; });
}

Found Index::first_arrived(const Run& run, std::int64_t arrival) const {
  // A footer knows when a frame's first record arrived, not its last: the frame before the first
  // one that began in time may hold some, too.
  std::optional<format::FrameEntry> before;
  Found found = search(
      run,
      [&](const format::FrameEntry& e) {
        if (e.arrival >= arrival) return true;
        before = e;
        return false;
      },
      [arrival](const RecentFrame& f) { return f.arrival_last() >= arrival; });
  if (recent(run) || found.kind == Found::Kind::kNeedsPage) return found;
  if (before.has_value()) {
    found.entry = *before;
    found.kind = Found::Kind::kFrame;
  }
  return found;
}

std::size_t Index::memory_bytes() const {
  return ring_.memory_bytes() + runs_.memory_bytes() + cache_.memory_bytes() +
         sealed_runs_ * (sizeof(Run) + sizeof(ShardKey));
}

}  // namespace penstock::storage
