#include "storage/block_writer.h"

#include "base/crc32c.h"

#include <cstring>

namespace penstock::storage {

void BlockWriter::begin(std::byte* block) {
  PENSTOCK_ASSERT(!open());
  block_ = block;
  used_ = sizeof(format::BlockHeader);
  frames_ = 0;
}

std::span<std::byte> BlockWriter::open_frame(std::size_t bytes) {
  PENSTOCK_ASSERT(open());
  PENSTOCK_ASSERT(!frame_open_);
  frame_open_ = true;
  frame_room_ = bytes;
  return {block_ + used_ + sizeof(format::FrameHeader), bytes};
}

void BlockWriter::close_frame(const FrameFields& fields, std::size_t body_bytes) {
  PENSTOCK_ASSERT(frame_open_);
  PENSTOCK_ASSERT(body_bytes > 0 && body_bytes <= frame_room_);
  frame_open_ = false;
  const std::span<std::byte> body(block_ + used_ + sizeof(format::FrameHeader), body_bytes);
  format::FrameHeader header;
  header.kind = static_cast<std::uint8_t>(fields.kind);
  header.stream = fields.shard.stream.raw();
  header.shard = fields.shard.shard.raw();
  header.arrival_min = fields.arrival_min.raw();
  header.arrival_max = fields.arrival_max.raw();
  header.raw_len = static_cast<std::uint32_t>(body_bytes);
  header.stored_len = header.raw_len;
  if (fields.kind == FrameKind::kBatches) {
    PENSTOCK_ASSERT(fields.records > 0);
    PENSTOCK_ASSERT(fields.arrival_max >= fields.arrival_min);
    header.first_index = fields.first.raw();
    header.records = fields.records;
    const auto crc = format::frame_body_crc(body);
    PENSTOCK_ASSERT(crc.has_value());
    header.body_crc = *crc;
  } else {
    header.body_crc = base::crc32c(body);
  }
  format::store(std::span(block_ + used_, sizeof(header)), 0, header);
  const std::uint64_t bytes = format::frame_bytes(body_bytes);
  const std::uint64_t padding = bytes - sizeof(header) - body_bytes;
  std::memset(body.data() + body_bytes, 0, padding);
  used_ += bytes;
  ++frames_;
}

format::FrameHeader BlockWriter::seal_frame(std::uint64_t at, const format::BlockHeader& header,
                                            std::uint64_t frame_no, std::uint32_t& frames_crc) {
  const std::span<std::byte> place(block_ + at, sizeof(format::FrameHeader));
  auto frame = format::load<format::FrameHeader>(place);
  frame.retention_ms = header.retention_ms;
  frame.epoch = header.epoch;
  frame.frame_no = frame_no;
  format::seal(frame);
  format::store(place, 0, frame);
  frames_crc = format::headers_crc(frames_crc, frame.header_crc);
  return frame;
}

format::BlockHeader BlockWriter::seal_block(format::BlockHeader header, std::uint32_t frames_crc) {
  header.frame_count = frames_;
  header.payload_len = static_cast<std::uint32_t>(used_ - sizeof(header));
  header.total_len = static_cast<std::uint32_t>(round_up(used_, format::kSectorBytes));
  header.frames_crc = frames_crc;
  if (frames_ == 0) header.flags |= format::kBlockIdle;
  format::seal(header);
  std::memset(block_ + used_, 0, header.total_len - used_);
  format::store(std::span(block_, sizeof(header)), 0, header);
  block_ = nullptr;
  return header;
}

}  // namespace penstock::storage
