#include "storage/batch.h"

#include "base/assert.h"
#include "storage/format.h"

#include <penstock_generated.h>

#include <cstring>

namespace penstock::storage {
namespace {

static_assert(sizeof(format::BatchHeader) == kBatchHeaderBytes);
static_assert(sizeof(proto::RecordEntry) == sizeof(RecordEntry));

// The one layout in which this writer lays the FlatBuffer out. Offsets from its start:
//
//   0 root offset │ 4 vtable │ 12 table │ 28 count, 32 entries … │ size, bytes … │ zeros to 8
//
// The vector of entries begins at a multiple of 8, as their 64-bit fields ask for.
struct Frame {
  std::uint32_t root = 12;
  std::uint16_t vtable_bytes = 8;
  std::uint16_t table_bytes = 12;
  std::uint16_t records_field = 4;  // where in the table
  std::uint16_t bytes_field = 8;
  std::int32_t to_vtable = 8;     // table's start less this is the vtable
  std::uint32_t to_records = 12;  // from this field to the vector's count
  std::uint32_t to_bytes = 0;
  std::uint32_t pad = 0;
  std::uint32_t count = 0;
};
static_assert(sizeof(Frame) == 32);
static_assert(offsetof(Frame, to_vtable) == 12);
static_assert(offsetof(Frame, count) == offsetof(Frame, to_records) + 12);
static_assert(sizeof(Frame) + sizeof(std::uint32_t) + 7 <= kBatchOverheadBytes);

constexpr std::uint64_t kPayloadMax = format::kBlockBytesMax - kBatchHeaderBytes;

bool reserved_clear(const format::BatchHeader& h) {
  return h.codec == 0 && h.flags == 0 && h.reserved0 == 0 && h.reserved1 == 0 && h.reserved2 == 0;
}

// A verified FlatBuffer may still share or skip bytes: condition 3 of FORMAT.md §6.
// Nor does the verifier promise that the entries lie at a multiple of 8: hence the copies.
bool ranges_add_up(const proto::Batch& batch) {
  const std::uint8_t* entries = batch.records()->Data();
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < batch.records()->size(); ++i) {
    RecordEntry entry;
    std::memcpy(&entry, entries + i * sizeof(entry), sizeof(entry));
    if (entry.key_offset != at) return false;
    at += entry.key_length;
    if (entry.data_offset != at) return false;
    at += entry.data_length;
  }
  return at == batch.bytes()->size();
}

}  // namespace

BatchWriter::BatchWriter(std::span<std::byte> out, const BatchFields& fields, std::uint32_t records,
                         std::size_t payload_bytes)
    : out_(out.data()), records_(records), payload_bytes_(payload_bytes), fields_(fields) {
  PENSTOCK_ASSERT(records >= 1);
  PENSTOCK_ASSERT(records <= kBatchRecordsMax);
  PENSTOCK_ASSERT(out.size() >= batch_bytes(records, payload_bytes));
  PENSTOCK_ASSERT(batch_bytes(records, payload_bytes) <= format::kBlockBytesMax);

  const auto entries_bytes = static_cast<std::uint32_t>(records * kRecordEntryBytes);
  Frame frame;
  frame.to_bytes =
      static_cast<std::uint32_t>(sizeof(Frame) - offsetof(Frame, to_bytes)) + entries_bytes;
  frame.count = records;
  std::byte* flat = out_ + kBatchHeaderBytes;
  std::memcpy(flat, &frame, sizeof(frame));
  at_.entry = flat + sizeof(Frame);
  const auto size = static_cast<std::uint32_t>(payload_bytes);
  std::memcpy(at_.entry + entries_bytes, &size, sizeof(size));
  bytes_ = at_.entry + entries_bytes + sizeof(size);
}

std::size_t BatchWriter::finish() {
  PENSTOCK_ASSERT(at_.entry == bytes_ - sizeof(std::uint32_t));
  PENSTOCK_ASSERT(at_.offset == payload_bytes_);
  std::byte* flat = out_ + kBatchHeaderBytes;
  const auto used = static_cast<std::size_t>(bytes_ + payload_bytes_ - flat);
  const std::size_t length = round_up(used, std::size_t{8});
  std::memset(flat + used, 0, length - used);

  format::BatchHeader header;
  header.length = static_cast<std::uint32_t>(length);
  header.first = fields_.first.raw();
  header.arrival = fields_.arrival.raw();
  header.producer_id = fields_.producer_id;
  header.producer_epoch = fields_.producer_epoch;
  header.base_sequence = fields_.base_sequence;
  header.count = records_;
  header.payload_crc = base::crc32c({flat, length});
  format::seal(header);
  std::memcpy(out_, &header, sizeof(header));
  return kBatchHeaderBytes + length;
}

Result<BatchView> BatchView::open(std::span<const std::byte> bytes, std::size_t* consumed) {
  if (bytes.size() < kBatchHeaderBytes) return fail(ErrorCode::kMalformed);
  const auto header = format::load<format::BatchHeader>(bytes);
  if (header.magic != format::kBatchMagic) return fail(ErrorCode::kMalformed);
  if (header.header_crc != format::trailing_crc(header)) return fail(ErrorCode::kCorrupt);
  if (!format::valid(header) || !reserved_clear(header)) return fail(ErrorCode::kMalformed);
  if (header.length > kPayloadMax) return fail(ErrorCode::kMalformed);
  if (header.first > UINT64_MAX - header.count) return fail(ErrorCode::kMalformed);
  if (header.length > bytes.size() - kBatchHeaderBytes) return fail(ErrorCode::kMalformed);

  const auto payload = bytes.subspan(kBatchHeaderBytes, header.length);
  if (base::crc32c(payload) != header.payload_crc) return fail(ErrorCode::kCorrupt);
  const auto* flat = reinterpret_cast<const std::uint8_t*>(payload.data());
  flatbuffers::Verifier verifier(flat, payload.size());
  if (!proto::VerifyBatchBuffer(verifier)) return fail(ErrorCode::kMalformed);
  const proto::Batch* batch = proto::GetBatch(flat);
  if (batch->records() == nullptr || batch->bytes() == nullptr) return fail(ErrorCode::kMalformed);
  if (batch->records()->size() != header.count) return fail(ErrorCode::kMalformed);
  if (!ranges_add_up(*batch)) return fail(ErrorCode::kMalformed);

  BatchView view;
  view.fields_ = {RecordIndex(header.first), WallMillis(header.arrival), header.producer_id,
                  header.producer_epoch, header.base_sequence};
  view.count_ = header.count;
  view.entries_ = reinterpret_cast<const std::byte*>(batch->records()->Data());
  view.payload_ = reinterpret_cast<const std::byte*>(batch->bytes()->Data());
  view.stored_ = bytes.first(kBatchHeaderBytes + header.length);
  if (consumed != nullptr) *consumed = view.stored_.size();
  return view;
}

RecordRef BatchView::record(std::uint32_t i) const {
  PENSTOCK_ASSERT(i < count_);
  RecordEntry entry;
  std::memcpy(&entry, entries_ + i * sizeof(entry), sizeof(entry));
  RecordRef record;
  record.key = payload_ + entry.key_offset;
  record.data = payload_ + entry.data_offset;
  record.data_bytes = entry.data_length;
  record.key_bytes = entry.key_length;
  record.flags = entry.flags;
  record.hash = {entry.hash_high, entry.hash_low};
  return record;
}

}  // namespace penstock::storage
