// A planted bug: the last block is rewritten in place when the next one is composed, as a journal
// does that fills up its last sector. Compiled in with PENSTOCK_SABOTAGE alone.
#include "storage/append.h"
#include "storage/sabotage.h"

#include <algorithm>
#include <span>

namespace penstock::storage {

#ifdef PENSTOCK_SABOTAGE

namespace {

// The frames get a new time, the headers new checksums: a tear leaves neither the old block nor the
// new one.
void recompose(std::span<std::byte> block, format::BlockHeader& header, Lsn durable) {
  std::uint64_t at = sizeof(header);
  std::uint32_t frames_crc = 0;
  ++header.retention_ms;
  for (std::uint32_t i = 0; i < header.frame_count; ++i) {
    auto frame = format::load<format::FrameHeader>(block, at);
    frame.retention_ms = header.retention_ms;
    format::seal(frame);
    format::store(block, at, frame);
    frames_crc = format::headers_crc(frames_crc, frame.header_crc);
    at += format::frame_bytes(frame.stored_len);
  }
  header.durable_lsn = std::min(durable.raw(), header.lsn - 1);
  header.frames_crc = frames_crc;
  format::seal(header);
  format::store(block, 0, header);
}

}  // namespace

void Appender::rewrite_tail() {
  if (flying_ > 0 || rewrite_.busy || open_ == nullptr || open_->block_count == 0) return;
  const std::uint64_t offset = last_offset_;
  auto* block =
      const_cast<std::byte*>(tail_.find(open_->number, static_cast<std::uint32_t>(offset)));
  if (block == nullptr || offset >= open_->blocks_end) return;
  const std::uint64_t length = open_->blocks_end - offset;
  auto header = format::load<format::BlockHeader>({block, length});
  if (!format::valid(header) || header.total_len != length) return;
  recompose({block, length}, header, durable_);
  chain_ = header.chain;
  rewrite_.busy = true;
  rewrite_.complete = [](runtime::DiskCall& call, std::int32_t, Nanos) {
    static_cast<Rewrite&>(call).busy = false;
  };
  rewrite_.op = env::DiskOp{.kind = env::DiskKind::kWrite,
                            .durable = true,
                            .file = open_->file,
                            .offset = offset,
                            .data = block,
                            .length = static_cast<std::uint32_t>(length)};
  writes_.start(rewrite_);
}

#else

void Appender::rewrite_tail() {}

#endif

}  // namespace penstock::storage
