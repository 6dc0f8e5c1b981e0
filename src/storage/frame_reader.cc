#include "storage/frame_reader.h"

#include "base/assert.h"

#include <algorithm>

namespace penstock::storage {
namespace {

[[nodiscard]] bool matches(const format::FrameHeader& frame, const ReadOp& op,
                           const format::FrameEntry& entry) {
  if (!format::valid(frame) || frame.header_crc != entry.header_crc) return false;
  if (frame.kind != static_cast<std::uint8_t>(FrameKind::kBatches)) return false;
  if (frame.stream != op.shard.stream.raw() || frame.shard != op.shard.shard.raw()) return false;
  if (frame.first_index != entry.first_index || frame.records != entry.records) return false;
  return sizeof(frame) + std::uint64_t{frame.stored_len} == entry.length;
}

// One batch. False: the sink wants no more.
[[nodiscard]] bool deliver_batch(ReadOp& op, std::uint64_t& at, const BatchView& batch) {
  const std::uint64_t first = batch.first().raw();
  const std::uint64_t end = std::min(first + batch.count(), op.until.raw());
  if (end <= at) return true;
  op.last_arrival = batch.arrival();
  if (batch.arrival() < op.arrival_from) {
    at = end;
    return true;
  }
  const auto from = static_cast<std::uint32_t>(at - first);
  const auto until = static_cast<std::uint32_t>(end - first);
  const BatchSink::Taken taken = op.sink->on_batch(batch, from, until);
  PENSTOCK_ASSERT(taken.records <= until - from);
  at += taken.records;
  op.bytes_taken += taken.bytes;
  return taken.more && taken.records == until - from;
}

}  // namespace

Delivery deliver_frame(ReadOp& op, std::uint64_t& at, const format::FrameEntry& entry,
                       std::span<const std::byte> bytes) {
  PENSTOCK_ASSERT(bytes.size() == entry.length);
  if (bytes.size() < sizeof(format::FrameHeader)) return Delivery::kBad;
  const auto frame = format::load<format::FrameHeader>(bytes);
  if (!matches(frame, op, entry)) return Delivery::kBad;
  std::span<const std::byte> body = bytes.subspan(sizeof(frame));
  if (format::frame_body_crc(body) != frame.body_crc) return Delivery::kBad;
  std::uint64_t expected = frame.first_index;
  while (!body.empty()) {
    std::size_t used = 0;
    // What was delivered already needs no second look.
    const auto header = format::load<format::BatchHeader>(body);
    if (header.first != expected) return Delivery::kBad;
    expected += header.count;
    if (expected <= at) {
      body = body.subspan(sizeof(header) + header.length);
      continue;
    }
    const Result<BatchView> batch = BatchView::open(body, &used);
    if (!batch) return Delivery::kBad;
    if (!deliver_batch(op, at, *batch)) return Delivery::kStop;
    if (at >= op.until.raw()) return Delivery::kAll;
    body = body.subspan(used);
  }
  return expected == frame.first_index + frame.records ? Delivery::kAll : Delivery::kBad;
}

}  // namespace penstock::storage
