#include "storage/format.h"

#include "storage/batch.h"

namespace penstock::storage::format {
namespace {

// The finaliser of SplitMix64: every input bit reaches every output bit.
constexpr std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9ULL;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBULL;
  x ^= x >> 31;
  return x;
}

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ULL;

}  // namespace

std::uint64_t block_chain(const BlockHeader& header) {
  const std::uint32_t fields = base::crc32c(bytes_of(header).first(offsetof(BlockHeader, chain)));
  std::uint64_t chain = mix(header.prev_chain + kGolden);
  chain = mix(chain ^ header.lsn);
  chain = mix(chain ^ (std::uint64_t{header.epoch} << 32 | fields));
  return mix(chain ^ header.frames_crc);
}

std::uint64_t first_chain(std::uint64_t tag, std::uint16_t cell) {
  return mix(mix(tag + kGolden) ^ cell);
}

std::optional<std::uint32_t> frame_body_crc(std::span<const std::byte> body) {
  std::uint32_t crc = 0;
  while (!body.empty()) {
    if (body.size() < sizeof(BatchHeader)) return std::nullopt;
    const auto header = load<BatchHeader>(body);
    crc = headers_crc(crc, header.header_crc);
    const std::uint64_t length = sizeof(BatchHeader) + std::uint64_t{header.length};
    if (header.length % 8 != 0 || length > body.size()) return std::nullopt;
    body = body.subspan(length);
  }
  return crc;
}

bool valid(const SlotHeader& h) {
  if (h.magic != kSlotMagic || h.version != kVersion) return false;
  return h.crc == trailing_crc(h);
}

bool valid(const BlockHeader& h) {
  if (h.magic != kBlockMagic || h.version != kVersion) return false;
  if (h.header_len != sizeof(BlockHeader) || (h.flags & ~kBlockFlags) != 0) return false;
  if (h.total_len < kSectorBytes || h.total_len > kBlockBytesMax) return false;
  if (h.total_len % kSectorBytes != 0) return false;
  if (h.payload_len > h.total_len - sizeof(BlockHeader)) return false;
  if (h.frame_count > h.payload_len / sizeof(FrameHeader)) return false;
  return h.header_crc == trailing_crc(h) && h.chain == block_chain(h);
}

bool valid(const FrameHeader& h) {
  return h.magic == kFrameMagic && h.header_crc == trailing_crc(h);
}

bool valid(const BatchHeader& h) {
  if (h.magic != kBatchMagic || h.length % 8 != 0) return false;
  if (h.count == 0 || h.count > kBatchRecordsMax) return false;
  return h.header_crc == trailing_crc(h);
}

bool valid(const Trailer& t) {
  if (t.magic != kTrailerMagic || t.version != kVersion) return false;
  return t.crc == trailing_crc(t);
}

std::uint32_t page_crc(std::span<const std::byte> page) {
  constexpr std::size_t kCrcAt = offsetof(PageHeader, crc);
  const std::uint32_t head = base::crc32c(page.first(kCrcAt));
  return base::crc32c(page.subspan(kCrcAt + sizeof(std::uint32_t)), head);
}

void seal_page(std::span<std::byte> page, std::uint32_t magic, std::uint64_t segment_no) {
  store(page, 0, PageHeader{magic, 0, segment_no});
  store(page, offsetof(PageHeader, crc), page_crc(page));
}

bool valid_page(std::span<const std::byte> page, std::uint32_t magic, std::uint64_t segment_no) {
  const auto header = load<PageHeader>(page);
  if (header.magic != magic || header.segment_no != segment_no) return false;
  return header.crc == page_crc(page);
}

}  // namespace penstock::storage::format
