#include "storage/batch.h"

#include "base/assert.h"
#include "storage/format.h"

#include <penstock_generated.h>

#include <algorithm>
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

// Bytes that are copied, and summed while they are still in the cache.
constexpr std::size_t kCopyStep = 8 * kKiB;

// A verified FlatBuffer may still share or skip bytes: condition 3 of FORMAT.md §6.
// Nor does the verifier promise that the entries lie at a multiple of 8: hence the copies.
bool ranges_add_up(const proto::Batch& batch, BatchShape& shape) {
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < shape.count; ++i) {
    RecordEntry entry;
    std::memcpy(&entry, shape.entries + i * sizeof(entry), sizeof(entry));
    if (entry.key_offset != at) return false;
    at += entry.key_length;
    if (entry.data_offset != at) return false;
    at += entry.data_length;
    shape.data_bytes_max = std::max(shape.data_bytes_max, entry.data_length);
  }
  shape.payload_bytes = at;
  return at == batch.bytes()->size();
}

std::size_t seal_header(std::byte* out, const BatchFields& fields, std::size_t length,
                        std::uint32_t count, std::uint32_t payload_crc) {
  format::BatchHeader header;
  header.length = static_cast<std::uint32_t>(length);
  header.first = fields.first.raw();
  header.arrival = fields.arrival.raw();
  header.producer_id = fields.producer_id;
  header.producer_epoch = fields.producer_epoch;
  header.base_sequence = fields.base_sequence;
  header.count = count;
  header.payload_crc = payload_crc;
  format::seal(header);
  std::memcpy(out, &header, sizeof(header));
  return sizeof(header) + length;
}

}  // namespace

BatchWriter::BatchWriter(std::span<std::byte> out, const BatchFields& fields, std::uint32_t records,
                         std::size_t payload_bytes)
    : out_(out.data()),
      space_{.bytes = nullptr, .payload_bytes = payload_bytes},
      records_(records),
      fields_(fields) {
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
  space_.bytes = at_.entry + entries_bytes + sizeof(size);
}

std::size_t BatchWriter::finish() {
  PENSTOCK_ASSERT(at_.entry == space_.bytes - sizeof(std::uint32_t));
  PENSTOCK_ASSERT(at_.offset == space_.payload_bytes);
  std::byte* flat = out_ + kBatchHeaderBytes;
  const auto used = static_cast<std::size_t>(space_.bytes + space_.payload_bytes - flat);
  const std::size_t length = round_up(used, std::size_t{8});
  std::memset(flat + used, 0, length - used);

  return seal_header(out_, fields_, length, records_, base::crc32c({flat, length}));
}

std::size_t write_verbatim_batch(std::span<std::byte> out, const BatchFields& fields,
                                 std::span<const std::byte> flat, std::uint32_t count) {
  PENSTOCK_ASSERT(count >= 1);
  PENSTOCK_ASSERT(count <= kBatchRecordsMax);
  PENSTOCK_ASSERT(flat.size() % 8 == 0);
  PENSTOCK_ASSERT(flat.size() <= kPayloadMax);
  PENSTOCK_ASSERT(out.size() >= kBatchHeaderBytes + flat.size());
  std::byte* to = out.data() + kBatchHeaderBytes;
  std::uint32_t crc = 0;
  for (std::size_t at = 0; at < flat.size(); at += kCopyStep) {
    const std::size_t step = std::min(kCopyStep, flat.size() - at);
    std::memcpy(to + at, flat.data() + at, step);
    crc = base::crc32c({to + at, step}, crc);
  }
  return seal_header(out.data(), fields, flat.size(), count, crc);
}

Result<BatchShape> verify_batch(std::span<const std::byte> flat) {
  if (flat.size() > kPayloadMax) return fail(ErrorCode::kTooLarge);
  if (flat.size() % 8 != 0) return fail(ErrorCode::kMalformed);
  // Its numbers are read where they lie.
  if (reinterpret_cast<std::uintptr_t>(flat.data()) % 8 != 0) return fail(ErrorCode::kMalformed);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(flat.data());
  flatbuffers::Verifier verifier(bytes, flat.size());
  if (!proto::VerifyBatchBuffer(verifier)) return fail(ErrorCode::kMalformed);
  const proto::Batch* batch = proto::GetBatch(bytes);
  if (batch->records() == nullptr || batch->bytes() == nullptr) return fail(ErrorCode::kMalformed);
  BatchShape shape;
  shape.count = batch->records()->size();
  if (shape.count == 0 || shape.count > kBatchRecordsMax) return fail(ErrorCode::kMalformed);
  shape.entries = reinterpret_cast<const std::byte*>(batch->records()->Data());
  shape.payload = reinterpret_cast<const std::byte*>(batch->bytes()->Data());
  if (!ranges_add_up(*batch, shape)) return fail(ErrorCode::kMalformed);
  return shape;
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
  const auto shape = verify_batch(payload);
  if (!shape) return std::unexpected(shape.error());
  if (shape->count != header.count) return fail(ErrorCode::kMalformed);

  BatchView view;
  view.fields_ = {RecordIndex(header.first), WallMillis(header.arrival), header.producer_id,
                  header.producer_epoch, header.base_sequence};
  view.shape_ = *shape;
  view.stored_ = bytes.first(kBatchHeaderBytes + header.length);
  if (consumed != nullptr) *consumed = view.stored_.size();
  return view;
}

RecordRef BatchView::record(std::uint32_t i) const {
  PENSTOCK_ASSERT(i < shape_.count);
  return record_of(shape_, i);
}

}  // namespace penstock::storage
