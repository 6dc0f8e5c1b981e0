// Any bytes as a journal block, as they are and again with every checksum on the way made right, so
// that the walk over the frames is reached: frames lie within the block and do not overlap.
#include "storage/block_reader.h"
#include "storage/format.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using namespace penstock::storage;

void check(std::span<const std::byte> block) {
  const auto header = format::load<format::BlockHeader>(block);
  if (!format::valid(header)) return;
  std::vector<BlockFrame> frames;
  const BlockState state = take_apart(
      header, block.first(std::min<std::size_t>(block.size(), header.total_len)), frames);
  std::uint64_t end = sizeof(header);
  for (const BlockFrame& frame : frames) {
    if (frame.offset < end) std::abort();
    end = frame.offset + format::frame_bytes(frame.header.stored_len);
    if (end > block.size()) std::abort();
    if (state == BlockState::kWhole && !frame.body_good) std::abort();
  }
  if (state != BlockState::kBroken && frames.size() != header.frame_count) std::abort();
}

// Seals header and frame headers as far as their lengths lead.
void make_right(std::span<std::byte> block) {
  auto header = format::load<format::BlockHeader>(block);
  header.magic = format::kBlockMagic;
  header.version = format::kVersion;
  header.header_len = sizeof(header);
  header.flags &= format::kBlockFlags;
  header.total_len = static_cast<std::uint32_t>(block.size());
  header.payload_len %= static_cast<std::uint32_t>(block.size() - sizeof(header) + 1);
  header.frame_count %= 64;
  header.frames_crc = 0;
  std::uint64_t at = sizeof(header);
  for (std::uint32_t i = 0; i < header.frame_count; ++i) {
    if (block.size() - at < sizeof(format::FrameHeader)) break;
    auto frame = format::load<format::FrameHeader>(block, at);
    frame.magic = format::kFrameMagic;
    frame.kind = static_cast<std::uint8_t>(1 + frame.kind % 3);
    frame.codec = 0;
    frame.flags = 0;
    frame.key_id = 0;
    frame.key_check = 0;
    frame.raw_len = frame.stored_len;
    frame.epoch = header.epoch;
    frame.retention_ms = header.retention_ms;
    const auto room = block.size() - at - sizeof(frame);
    const auto body =
        block.subspan(at + sizeof(frame), std::min<std::size_t>(room, frame.stored_len));
    frame.body_crc =
        frame.kind == 1 ? format::frame_body_crc(body).value_or(0) : penstock::base::crc32c(body);
    format::seal(frame);
    format::store(block, at, frame);
    header.frames_crc = format::headers_crc(header.frames_crc, frame.header_crc);
    const std::uint64_t length = format::frame_bytes(frame.stored_len);
    if (length > block.size() - at) break;
    at += length;
  }
  format::seal(header);
  format::store(block, 0, header);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Whole sectors, zeros behind the input.
  const std::size_t length = penstock::round_up(std::max<std::size_t>(size, 1), std::size_t{4096});
  std::vector<std::uint64_t> aligned(length / 8);
  const auto block = std::as_writable_bytes(std::span(aligned));
  if (size > 0) std::memcpy(block.data(), data, size);
  check(block);
  make_right(block);
  check(block);
  return 0;
}
