#include "storage/block_reader.h"

#include "storage/batch.h"
#include "storage/journal.h"

namespace penstock::storage {
namespace {

bool plain(const format::FrameHeader& h) {
  return h.codec == 0 && h.flags == 0 && h.key_id == 0 && h.key_check == 0 &&
         h.raw_len == h.stored_len;
}

bool known_kind(std::uint8_t kind) {
  return kind == static_cast<std::uint8_t>(FrameKind::kBatches) ||
         kind == static_cast<std::uint8_t>(FrameKind::kCatalogue) ||
         kind == static_cast<std::uint8_t>(FrameKind::kShard);
}

// The batches tile the body and number their records without a gap.
bool batches_good(const format::FrameHeader& header, std::span<const std::byte> body) {
  std::uint64_t next = header.first_index;
  std::uint64_t records = 0;
  while (!body.empty()) {
    std::size_t consumed = 0;
    const auto batch = BatchView::open(body, &consumed);
    if (!batch || batch->first().raw() != next) return false;
    next += batch->count();
    records += batch->count();
    body = body.subspan(consumed);
  }
  return records > 0 && records == header.records;
}

}  // namespace

bool body_good(const format::FrameHeader& header, std::span<const std::byte> body) {
  if (header.kind != static_cast<std::uint8_t>(FrameKind::kBatches)) {
    if (header.kind == static_cast<std::uint8_t>(FrameKind::kShard) &&
        body.size() != sizeof(ShardControl)) {
      return false;
    }
    return base::crc32c(body) == header.body_crc;
  }
  return format::frame_body_crc(body) == header.body_crc && batches_good(header, body);
}

BlockState take_apart(const format::BlockHeader& header, std::span<const std::byte> block,
                      std::vector<BlockFrame>& frames) {
  frames.clear();
  if (block.size() != header.total_len) return BlockState::kBroken;
  const auto payload = block.subspan(sizeof(header), header.payload_len);
  std::uint32_t frames_crc = 0;
  std::uint64_t at = 0;
  bool all_good = true;
  for (std::uint32_t i = 0; i < header.frame_count; ++i) {
    if (payload.size() - at < sizeof(format::FrameHeader)) return BlockState::kBroken;
    BlockFrame frame;
    frame.header = format::load<format::FrameHeader>(payload, at);
    const format::FrameHeader& h = frame.header;
    if (!format::valid(h) || !known_kind(h.kind) || !plain(h)) return BlockState::kBroken;
    if (h.epoch != header.epoch || h.retention_ms != header.retention_ms)
      return BlockState::kBroken;
    const std::uint64_t length = format::frame_bytes(h.stored_len);
    if (length > payload.size() - at) return BlockState::kBroken;
    frames_crc = format::headers_crc(frames_crc, h.header_crc);
    frame.offset = static_cast<std::uint32_t>(sizeof(header) + at);
    frame.body = payload.subspan(at + sizeof(h), h.stored_len);
    frame.body_good = body_good(h, frame.body);
    all_good = all_good && frame.body_good;
    frames.push_back(frame);
    at += length;
  }
  if (at != payload.size() || frames_crc != header.frames_crc) return BlockState::kBroken;
  return all_good ? BlockState::kWhole : BlockState::kPartial;
}

}  // namespace penstock::storage
