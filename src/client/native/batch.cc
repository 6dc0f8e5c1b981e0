#include "client/native/batch.h"

#include "base/assert.h"
#include "base/crc32c.h"

#include <penstock_generated.h>

#include <cstring>

namespace penstock::client::native {
namespace {

constexpr std::size_t kFrameBytes = 32;
static_assert(offsetof(BatchFrame, count) + sizeof(std::uint32_t) == kFrameBytes);
static_assert(sizeof(proto::RecordEntry) == sizeof(BatchEntry));

// As it lies in front of each stored batch.
struct StoredHeader {
  std::uint32_t magic = 0;
  std::uint32_t length = 0;
  std::uint64_t first = 0;
  std::int64_t arrival = 0;
  std::uint64_t producer_id = 0;
  std::uint32_t producer_epoch = 0;
  std::uint32_t base_sequence = 0;
  std::uint32_t count = 0;
  std::uint8_t codec = 0;
  std::uint8_t flags = 0;
  std::uint16_t reserved0 = 0;
  std::uint32_t reserved1 = 0;
  std::uint32_t payload_crc = 0;
  std::uint32_t reserved2 = 0;
  std::uint32_t header_crc = 0;
};
static_assert(sizeof(StoredHeader) == 64);

BatchEntry entry_at(const std::byte* entries, std::size_t i) {
  BatchEntry entry;
  std::memcpy(&entry, entries + i * sizeof entry, sizeof entry);
  return entry;
}

RecordView view(const BatchEntry& entry, const std::byte* payload) {
  return {.key = {reinterpret_cast<const char*>(payload + entry.key_offset), entry.key_bytes},
          .data = {payload + entry.data_offset, entry.data_bytes},
          .hash = entry.hash,
          .flags = entry.flags};
}

bool ranges_add_up(const std::byte* entries, std::uint32_t count, std::uint64_t payload_bytes) {
  std::uint64_t at = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const BatchEntry entry = entry_at(entries, i);
    if (entry.key_offset != at) return false;
    at += entry.key_bytes;
    if (entry.data_offset != at) return false;
    at += entry.data_bytes;
  }
  return at == payload_bytes;
}

}  // namespace

void BatchBytes::add(const RecordView& record) {
  const auto at = static_cast<std::uint32_t>(bytes.size());
  const auto key_bytes = static_cast<std::uint16_t>(record.key.size());
  entries.push_back({.key_offset = at,
                     .data_offset = at + key_bytes,
                     .data_bytes = static_cast<std::uint32_t>(record.data.size()),
                     .key_bytes = key_bytes,
                     .flags = record.flags,
                     .hash = record.hash});
  const auto key = std::as_bytes(std::span(record.key));
  bytes.insert(bytes.end(), key.begin(), key.end());
  bytes.insert(bytes.end(), record.data.begin(), record.data.end());
}

RecordView BatchBytes::record(std::size_t i) const { return view(entries[i], bytes.data()); }

std::size_t BatchBytes::flat_bytes(std::size_t records, std::size_t payload) {
  return round_up(kFrameBytes + records * sizeof(BatchEntry) + sizeof(std::uint32_t) + payload,
                  std::size_t{8});
}

BatchFrame frame_of(const BatchBytes& batch) {
  BatchFrame frame;
  const std::size_t entries = batch.entries.size() * sizeof(BatchEntry);
  frame.to_bytes =
      static_cast<std::uint32_t>(kFrameBytes - offsetof(BatchFrame, to_bytes) + entries);
  frame.count = static_cast<std::uint32_t>(batch.entries.size());
  frame.size = static_cast<std::uint32_t>(batch.bytes.size());
  const std::size_t used = kFrameBytes + entries + sizeof frame.size + batch.bytes.size();
  frame.zero_count = static_cast<std::uint32_t>(batch.flat_bytes() - used);
  return frame;
}

std::array<std::span<const std::byte>, 5> parts_of(const BatchBytes& batch,
                                                   const BatchFrame& frame) {
  const std::span<const BatchFrame> one(&frame, 1);
  return {std::as_bytes(one).first(kFrameBytes), std::as_bytes(std::span(batch.entries)),
          std::as_bytes(std::span(&frame.size, 1)), std::span(batch.bytes),
          std::span(frame.zeros).first(frame.zero_count)};
}

Result<StoredBatch> StoredBatch::open(std::span<const std::byte> bytes,
                                      std::span<const std::byte>& rest) {
  StoredHeader header;
  if (bytes.size() < sizeof header) return fail(ErrorCode::kMalformed, 0, 1);
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto summed = bytes.first(offsetof(StoredHeader, header_crc));
  if (base::crc32c(summed) != header.header_crc) return fail(ErrorCode::kCorrupt, 0, 2);
  if (header.codec != 0 || header.flags != 0) return fail(ErrorCode::kUnsupported, 0, 3);
  if (header.length > bytes.size() - sizeof header) return fail(ErrorCode::kMalformed, 0, 4);
  const auto flat = bytes.subspan(sizeof header, header.length);
  if (base::crc32c(flat) != header.payload_crc) return fail(ErrorCode::kCorrupt, 0, 5);
  const auto* start = reinterpret_cast<const std::uint8_t*>(flat.data());
  flatbuffers::Verifier verifier(start, flat.size());
  if (!proto::VerifyBatchBuffer(verifier)) return fail(ErrorCode::kMalformed, 0, 6);
  const proto::Batch* batch = proto::GetBatch(start);
  if (batch->records() == nullptr || batch->bytes() == nullptr) {
    return fail(ErrorCode::kMalformed, 0, 7);
  }
  StoredBatch stored;
  stored.first_ = RecordIndex(header.first);
  stored.arrival_ = WallMillis(header.arrival);
  stored.count_ = batch->records()->size();
  stored.entries_ = reinterpret_cast<const std::byte*>(batch->records()->Data());
  stored.payload_ = reinterpret_cast<const std::byte*>(batch->bytes()->Data());
  if (stored.count_ != header.count ||
      !ranges_add_up(stored.entries_, stored.count_, batch->bytes()->size())) {
    return fail(ErrorCode::kMalformed, 0, 8);
  }
  rest = bytes.subspan(sizeof header + header.length);
  return stored;
}

RecordView StoredBatch::record(std::uint32_t i) const {
  PENSTOCK_ASSERT(i < count_);
  return view(entry_at(entries_, i), payload_);
}

}  // namespace penstock::client::native
