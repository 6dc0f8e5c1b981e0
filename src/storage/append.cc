#include "storage/append.h"

#include "base/assert.h"
#include "storage/sabotage.h"

#include <algorithm>

namespace penstock::storage {
// --- Room -----------------------------------------------------------------------------------

AppendState Appender::append_state(bool control) const {
  if (fenced_) return AppendState::kFenced;
  // Without a free slot the open segment is the one that took the reserve.
  const std::uint32_t spare = slots_.free() + (open_ != nullptr ? 1 : 0);
  if (spare < (control ? 1U : 2U)) return AppendState::kFull;
  if (block_.open()) return AppendState::kOpen;
  // A new segment's first block is not filled ahead: the segment begins with its write.
  const bool place =
      open_ != nullptr ? flying_ <= limits_.depth : can_submit() && slots_.can_write();
  const bool room = place && index_.ring().room() > 0 &&
                    tail_.has_room(std::max<std::uint64_t>(wanted_, limits_.block_target));
  return room ? AppendState::kOpen : AppendState::kBusy;
}

std::uint64_t Appender::blocks_limit(std::uint64_t more_frames) const {
  const auto more = static_cast<std::uint32_t>(more_frames);
  return limits_.slot_bytes -
         format::footer_shape(index_.open_frames() + more, index_.open_runs() + more).bytes();
}

std::uint64_t Appender::segment_room() const {
  if (index_.frames_left() == 0 || index_.runs_left() == 0) return 0;
  const std::uint64_t end = open_->blocks_end + format::kSectorBytes;
  const std::uint64_t limit = blocks_limit(1);
  return limit > end ? limit - end : 0;
}

std::uint64_t Appender::body_room() const {
  const std::uint64_t frames = block_.frames();
  if (frames >= std::min<std::uint64_t>(index_.frames_left(), index_.runs_left())) return 0;
  const std::uint64_t end = open_->blocks_end + format::kSectorBytes;
  const std::uint64_t limit = blocks_limit(frames + 1);
  const std::uint64_t room = std::min(block_capacity_, limit > end ? limit - end : 0);
  const std::uint64_t used = block_.used() + sizeof(format::FrameHeader);
  return room > used ? round_down(room - used, std::uint64_t{8}) : 0;
}

// --- Blocks ---------------------------------------------------------------------------------

std::span<std::byte> Appender::open_frame(std::size_t body_min, std::size_t body_max) {
  PENSTOCK_ASSERT(!fenced_);
  PENSTOCK_ASSERT(body_min > 0 && body_min <= body_max);
  PENSTOCK_ASSERT(body_min <= frame_body_max());
  if (!block_.open() && !begin_block(body_min)) return {};
  const std::uint64_t room = body_room();
  if (room < body_min) return {};
  return block_.open_frame(std::min<std::uint64_t>(room, body_max));
}

bool Appender::begin_block(std::size_t body_min) {
  const std::uint64_t need =
      round_up(sizeof(format::BlockHeader) + format::frame_bytes(body_min), format::kSectorBytes);
  // Whoever comes without an open segment and with one free slot was told kOpen as `control`:
  // the reserve is his. Others find out through `append_state` after the segment has sealed.
  const std::uint32_t spare_needed = open_ == nullptr ? 1 : 2;
  if (open_ != nullptr && segment_room() < need) write_empty(true);
  if (open_ == nullptr) {
    if (slots_.free() < spare_needed || !slots_.can_write()) return false;
    if (!can_submit()) return false;
    open_segment();
  }
  wanted_ = need;
  const std::uint64_t capacity =
      std::min(std::max<std::uint64_t>(need, limits_.block_target), segment_room());
  if (!tail_.has_room(capacity)) return false;
  wanted_ = 0;
  block_at_ = tail_.reserve(capacity);
  block_capacity_ = capacity;
  block_.begin(block_at_);
  return true;
}

void Appender::close_frame(const FrameFields& fields, std::size_t body_bytes) {
  block_.close_frame(fields, body_bytes);
}

bool Appender::should_seal() const {
  // The last slots are used to the end.
  if (slots_.free() < 2) return false;
  if (index_.open_frames() + block_.frames() + limits_.seal_frames > limits_.frames_max)
    return true;
  if (index_.runs_left() < limits_.seal_runs) return true;
  const std::uint64_t end = open_->blocks_end + round_up(block_.used(), format::kSectorBytes);
  return end + limits_.seal_below > blocks_limit(block_.frames());
}

Lsn Appender::submit_block(Nanos now, WallMillis wall, RetentionMillis retention) {
  PENSTOCK_ASSERT(block_.open());
  PENSTOCK_ASSERT(block_.frames() > 0);
  PENSTOCK_ASSERT(can_submit() || fenced_);
  now_ = now;
  wall_ = wall;
  retention_ = std::max(retention_, retention);
  if (sabotaged(Sabotage::kRewriteTail)) rewrite_tail();
  return finish_block(should_seal());
}

Lsn Appender::finish_block(bool seal) {
  format::BlockHeader header;
  header.flags = (seal ? format::kBlockSeal : 0) | (first_ ? format::kBlockFirstAfterRecovery : 0);
  header.epoch = epoch_;
  header.cell = cell_.raw();
  header.tag = tag_;
  header.segment_no = open_->number.raw();
  header.lsn = next_.raw();
  header.durable_lsn = std::min(durable_, next_ - 1).raw();
  header.recovered_lsn = recovered_.raw();
  header.wall_ms = wall_.raw();
  header.retention_ms = retention_.raw();
  header.prev_chain = chain_;
  header = block_.finish(header, frame_no_,
                         [this](const format::FrameHeader& frame, std::uint32_t offset) {
                           index_frame(frame, offset);
                         });
  tail_.commit(open_->number, static_cast<std::uint32_t>(open_->blocks_end), header.total_len);
  start_write(block_at_, header);
  open_->last = next_;
  open_->last_chain = header.chain;
  open_->last_epoch = epoch_;
  last_offset_ = open_->blocks_end;
  open_->blocks_end += header.total_len;
  ++open_->block_count;
  chain_ = header.chain;
  first_ = false;
  stated_ = std::max(stated_, Lsn(header.durable_lsn));
  last_idle_ = header.frame_count == 0;
  last_submit_ = now_;
  if (seal) seal_segment();
  ++next_;
  return next_ - 1;
}

void Appender::index_frame(const format::FrameHeader& frame, std::uint32_t offset) {
  const bool batches = frame.kind == static_cast<std::uint8_t>(FrameKind::kBatches);
  const ShardKey key =
      batches ? ShardKey{StreamUid(frame.stream), ShardNumber(frame.shard)} : ShardKey{};
  const format::FrameEntry entry{
      .first_index = batches ? frame.first_index : next_.raw(),
      .arrival = frame.arrival_min,
      .retention = frame.retention_ms,
      .offset = static_cast<std::uint32_t>(open_->blocks_end + offset),
      .length = static_cast<std::uint32_t>(sizeof(frame)) + frame.stored_len,
      .records = frame.records,
      .header_crc = frame.header_crc};
  index_.add(key, entry, frame.arrival_max);
  ++counters_.frames;
}

void Appender::write_empty(bool seal) {
  PENSTOCK_ASSERT(tail_.has_room(format::kSectorBytes));
  block_at_ = tail_.reserve(format::kSectorBytes);
  block_.begin(block_at_);
  static_cast<void>(finish_block(seal));
}

// --- Completions ----------------------------------------------------------------------------

void Appender::start_write(std::byte* block, const format::BlockHeader& header) {
  PENSTOCK_ASSERT(flying_ < kFlights);
  Flight& f = flight(flying_++);
  f.segment = open_;
  f.lsn = next_;
  f.end = open_->blocks_end + header.total_len;
  f.done = false;
  f.idle = header.frame_count == 0;
  if (fenced_) return;  // nothing more is written; the block's outcome stays unknown
  f.op = env::DiskOp{.kind = env::DiskKind::kWrite,
                     .durable = !sabotaged(Sabotage::kDropDsync),
                     .file = open_->file,
                     .offset = open_->blocks_end,
                     .data = block,
                     .length = header.total_len};
  ++outstanding_;
  counters_.bytes_written += header.total_len;
  writes_.start(f);
  if (f.op.length >= kHandOverBytes) writes_.hand_over();
  if (sabotaged(Sabotage::kAckBeforeCompletion)) durable_ = std::max(durable_, f.lsn);
}

void Appender::written(runtime::DiskCall& call, std::int32_t result, Nanos) {
  Flight& f = static_cast<Flight&>(call);
  Appender& self = *f.appender;
  --self.outstanding_;
  if (result == static_cast<std::int32_t>(f.op.length) || sabotaged(Sabotage::kIgnoreWriteError)) {
    f.done = true;
    if (sabotaged(Sabotage::kAckPastHole)) self.durable_ = std::max(self.durable_, f.lsn);
  } else {
    // Nobody knows what the medium holds now: nothing is acknowledged here any more, and the write
    // is not tried again.
    self.fence();
  }
  self.advance();
}

void Appender::header_written(void* owner, Segment& segment, bool good) {
  Appender& self = *static_cast<Appender*>(owner);
  if (good || sabotaged(Sabotage::kIgnoreWriteError)) {
    segment.header_durable = true;
  } else {
    self.fence();
  }
  self.advance();
}

void Appender::advance() {
  while (!fenced_ && flying_ > 0) {
    Flight& f = flight(0);
    if (!f.done || !f.segment->header_durable) return;
    land(f);
    first_flight_ = (first_flight_ + 1) % kFlights;
    --flying_;
  }
}

void Appender::land(const Flight& f) {
  durable_ = std::max(durable_, f.lsn);
  durable_segment_ = f.segment->number;
  durable_end_ = f.end;
  tail_.release();
  ++(f.idle ? counters_.idle_blocks : counters_.blocks);
  if (f.segment->sealed && f.segment->last == f.lsn) {
    f.segment->settled = true;
    ++counters_.seals;
  }
}

// --- Idle -----------------------------------------------------------------------------------

bool Appender::idle_block_due() const {
  if (fenced_ || open_ == nullptr || block_.open() || flying_ > 0) return false;
  if (sabotaged(Sabotage::kNoIdleBlock)) return false;
  return stated_ < durable_ && !last_idle_;
}

runtime::WorkCount Appender::poll(Nanos now, WallMillis wall, RetentionMillis retention) {
  now_ = now;
  wall_ = wall;
  retention_ = std::max(retention_, retention);
  if (!polled_) last_submit_ = now;
  polled_ = true;
  if (!idle_block_due() || now - last_submit_ < idle_nanos_) return 0;
  // It is the segment's last one where it takes the sector that is set aside for that.
  const std::uint64_t end = open_->blocks_end + 2 * format::kSectorBytes;
  write_empty(end > blocks_limit(0));
  return 1;
}

Nanos Appender::next_deadline() const {
  return idle_block_due() ? last_submit_ + idle_nanos_ : runtime::kNever;
}

void Appender::stated_durable(Lsn lsn) { stated_ = std::max(stated_, lsn); }

}  // namespace penstock::storage
