#include "storage/rescan.h"

#include "base/assert.h"
#include "storage/footer.h"

#include <algorithm>

namespace penstock::storage {
namespace {

constexpr std::uint64_t kReadBytes = 256 * kKiB;

}  // namespace

Rescan::Rescan(const Index& index, std::uint64_t slot_bytes, runtime::DiskQueue& reads, void* owner,
               Finished finished)
    : index_(index), slot_bytes_(slot_bytes), reads_(reads), owner_(owner), finished_(finished) {
  call_.rescan = this;
  call_.complete = arrived;
}

void Rescan::start(Segment& segment) {
  PENSTOCK_ASSERT(segment.footed);
  PENSTOCK_ASSERT(!segment.footer_built);
  if (std::find(queue_.begin(), queue_.end(), &segment) != queue_.end()) return;
  ++segment.pins;
  queue_.push_back(&segment);
  if (queue_.size() == 1) begin();
}

void Rescan::begin() {
  Segment& segment = *queue_.front();
  ++scans_;
  footer_begin(segment, slot_bytes_);
  found_.assign(segment.shards.size(), 0);
  buffer_ = base::Pages(kReadBytes);
  at_ = format::kSectorBytes;
  frames_left_ = 0;
  held_bytes_ = 0;
  retried_ = false;
  // The first read is always needed: what follows happens in its completion, never inside `start`.
  read();
}

void Rescan::go_on() {
  Segment& segment = *queue_.front();
  while (!segment.recycled && (frames_left_ > 0 || at_ < segment.blocks_end)) {
    const bool block = frames_left_ == 0;
    const std::byte* bytes =
        need(block ? sizeof(format::BlockHeader) : sizeof(format::FrameHeader));
    if (bytes == nullptr) return;
    if (block ? take_block(bytes) : take_frame(bytes)) continue;
    finish(false);
    return;
  }
  finish(complete());
}

const std::byte* Rescan::need(std::uint64_t bytes) {
  if (at_ >= held_ && at_ + bytes <= held_ + held_bytes_) return buffer_.data() + (at_ - held_);
  read();
  return nullptr;
}

void Rescan::read() {
  const Segment& segment = *queue_.front();
  held_ = round_down(at_, format::kSectorBytes);
  held_bytes_ = 0;
  PENSTOCK_ASSERT(held_ < segment.blocks_end);
  call_.op = env::DiskOp{
      .kind = env::DiskKind::kRead,
      .durable = false,
      .file = segment.file,
      .offset = held_,
      .data = buffer_.data(),
      .length = static_cast<std::uint32_t>(std::min(kReadBytes, segment.blocks_end - held_))};
  reading_ = true;
  reads_.start(call_);
}

void Rescan::arrived(runtime::DiskCall& call, std::int32_t result, Nanos) {
  Rescan& self = *static_cast<Call&>(call).rescan;
  self.reading_ = false;
  if (result == static_cast<std::int32_t>(call.op.length)) {
    self.held_bytes_ = call.op.length;
    self.retried_ = false;
    self.go_on();
  } else if (!self.retried_) {
    self.retried_ = true;
    self.read();
  } else {
    self.finish(false);
  }
}

bool Rescan::take_block(const std::byte* bytes) {
  const Segment& segment = *queue_.front();
  const auto header = format::load<format::BlockHeader>({bytes, sizeof(format::BlockHeader)});
  if (!format::valid(header) || header.segment_no != segment.number.raw()) return false;
  block_end_ = at_ + header.total_len;
  if (block_end_ > segment.blocks_end) return false;
  lsn_ = header.lsn;
  frames_left_ = header.frame_count;
  at_ = frames_left_ == 0 ? block_end_ : at_ + sizeof(header);
  return true;
}

bool Rescan::take_frame(const std::byte* bytes) {
  Segment& segment = *queue_.front();
  const auto frame = format::load<format::FrameHeader>({bytes, sizeof(format::FrameHeader)});
  if (!format::valid(frame)) return false;
  const bool batches = frame.kind == static_cast<std::uint8_t>(FrameKind::kBatches);
  const ShardKey key =
      batches ? ShardKey{StreamUid(frame.stream), ShardNumber(frame.shard)} : ShardKey{};
  const auto place = std::lower_bound(segment.shards.begin(), segment.shards.end(), key);
  if (place == segment.shards.end() || *place != key) return false;
  std::uint32_t& found = found_[static_cast<std::size_t>(place - segment.shards.begin())];
  const Run& run = index_.run(segment, key);
  if (found == run.entry_count) return false;
  footer_put(segment, run.entry_begin + found,
             {.first_index = batches ? frame.first_index : lsn_,
              .arrival = frame.arrival_min,
              .retention = frame.retention_ms,
              .offset = static_cast<std::uint32_t>(at_),
              .length = static_cast<std::uint32_t>(sizeof(frame)) + frame.stored_len,
              .records = frame.records,
              .header_crc = frame.header_crc});
  ++found;
  --frames_left_;
  at_ += format::frame_bytes(frame.stored_len);
  if (at_ > block_end_) return false;
  if (frames_left_ > 0 && at_ + sizeof(frame) > block_end_) return false;
  if (frames_left_ == 0) at_ = block_end_;
  return true;
}

bool Rescan::complete() const {
  const Segment& segment = *queue_.front();
  if (segment.recycled) return false;
  for (std::size_t i = 0; i < found_.size(); ++i) {
    if (found_[i] != index_.run(segment, segment.shards[i]).entry_count) return false;
  }
  return true;
}

void Rescan::finish(bool good) {
  Segment& segment = *queue_.front();
  queue_.pop_front();
  segment.footer_built = good;
  segment.entries_lost = !good;
  if (!good) segment.footer = base::Pages();
  buffer_ = base::Pages();
  --segment.pins;
  if (!queue_.empty()) begin();
  finished_(owner_, segment);
}

}  // namespace penstock::storage
