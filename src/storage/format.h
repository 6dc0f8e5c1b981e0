// The stored structures, byte for byte, with what seals and verifies them.
//
// Little endian, fixed width, no padding, every reserved byte 0. `seal` fills in the checksums of a
// structure that is otherwise complete; `valid` says whether a structure read back is whole. What
// else must hold (identity, order, bounds) is numbered in FORMAT.md and checked by the reader.
//
// Units      lengths and offsets in bytes; times in milliseconds of the clock in their name
// Source     src/storage/FORMAT.md
#pragma once

#include "base/crc32c.h"
#include "penstock/units.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace penstock::storage::format {

static_assert(std::endian::native == std::endian::little, "stored as it lies in memory");

inline constexpr std::uint64_t kSectorBytes = 4096;
inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::uint32_t kBlockBytesMax = 16 * kMiB;  // total_len of a block
inline constexpr std::uint16_t kCellsMax = 64;
inline constexpr std::uint64_t kSlotBytesMin = 1 * kMiB;
inline constexpr std::uint64_t kSlotBytesMax = 2 * kGiB;

using Uuid = std::array<std::byte, 16>;
using Hash128 = std::array<std::byte, 16>;  // SHA-256, first 16 bytes

template <class T>
[[nodiscard]] std::span<const std::byte> bytes_of(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return std::as_bytes(std::span(&value, 1));
}

// Reads a structure at `offset`. REQUIRES: it lies within `bytes`.
template <class T>
[[nodiscard]] T load(std::span<const std::byte> bytes, std::size_t offset = 0) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

template <class T>
void store(std::span<std::byte> out, std::size_t offset, const T& value) {
  std::memcpy(out.data() + offset, &value, sizeof(T));
}

// --- Slot header: the first sector of a slot --------------------------------------------------

inline constexpr std::uint32_t kSlotMagic = 0x544C5350;  // "PSLT"

struct SlotHeader {
  std::uint32_t magic = kSlotMagic;
  std::uint16_t version = kVersion;
  std::uint16_t cell = 0;
  Uuid box = {};
  std::uint64_t tag = 0;          // the data directory's secret journal tag
  std::uint32_t slot = 0;         // NNNN of the file's name
  std::uint32_t epoch = 0;        // of the boot that opened the segment
  std::uint64_t segment_no = 0;   // dense from 1 per cell
  std::uint64_t base_lsn = 0;     // of the segment's first block
  std::uint64_t prev_chain = 0;   // chain of block base_lsn − 1
  std::uint64_t durable_lsn = 0;  // highest LSN known durable when this was written
  std::uint64_t slot_bytes = 0;
  std::uint8_t reserved[4012] = {};
  std::uint32_t crc = 0;  // of all before it
};
static_assert(sizeof(SlotHeader) == kSectorBytes);
static_assert(std::has_unique_object_representations_v<SlotHeader>);

// --- Block ------------------------------------------------------------------------------------

inline constexpr std::uint32_t kBlockMagic = 0x4B4C4250;  // "PBLK"

inline constexpr std::uint32_t kBlockSeal = 1;                // last block of its segment
inline constexpr std::uint32_t kBlockIdle = 2;                // no frame
inline constexpr std::uint32_t kBlockFirstAfterRecovery = 4;  // first block of its epoch
inline constexpr std::uint32_t kBlockFlags = 7;

struct BlockHeader {
  std::uint32_t magic = kBlockMagic;
  std::uint16_t version = kVersion;
  std::uint16_t header_len = 128;
  std::uint32_t flags = 0;
  std::uint32_t epoch = 0;
  std::uint16_t cell = 0;
  std::uint16_t reserved0 = 0;
  std::uint32_t frame_count = 0;
  std::uint64_t tag = 0;
  std::uint64_t segment_no = 0;
  std::uint64_t lsn = 0;            // dense from 1 per cell
  std::uint64_t durable_lsn = 0;    // highest LSN known durable when the block was composed; < lsn
  std::uint64_t recovered_lsn = 0;  // last valid LSN when this epoch began, in every block
  std::uint32_t total_len = 0;      // header, frames and padding: whole sectors
  std::uint32_t payload_len = 0;    // frames with their padding to 8, from byte 128 on
  std::int64_t wall_ms = 0;
  std::int64_t retention_ms = 0;
  std::uint64_t prev_chain = 0;  // chain of block lsn − 1
  std::uint32_t frames_crc = 0;  // headers_crc of the frames
  std::uint32_t reserved1 = 0;
  std::uint64_t chain = 0;  // block_chain(*this)
  std::uint64_t reserved2 = 0;
  std::uint32_t reserved3 = 0;
  std::uint32_t header_crc = 0;  // of all before it
};
static_assert(sizeof(BlockHeader) == 128);
static_assert(std::has_unique_object_representations_v<BlockHeader>);

// The chain: proof that a block was composed after exactly that predecessor. Not a secret.
[[nodiscard]] std::uint64_t block_chain(const BlockHeader& header);
// Where the chain of a cell begins: prev_chain of LSN 1.
[[nodiscard]] std::uint64_t first_chain(std::uint64_t tag, std::uint16_t cell);

// --- Frame ------------------------------------------------------------------------------------

inline constexpr std::uint32_t kFrameMagic = 0x4D524650;  // "PFRM"

// `kind` is a storage::FrameKind. A frame of kBatches names its shard. A kShard frame names the
// shard that it is about, a kCatalogue frame {0, 0}; both are indexed under the key {0, 0}.
struct FrameHeader {
  std::uint32_t magic = kFrameMagic;
  std::uint8_t kind = 0;
  std::uint8_t codec = 0;  // 0: plain
  std::uint16_t flags = 0;
  std::uint64_t stream = 0;
  std::uint32_t shard = 0;
  std::uint32_t records = 0;
  std::uint64_t first_index = 0;
  std::int64_t arrival_min = 0;
  std::int64_t arrival_max = 0;
  std::int64_t retention_ms = 0;  // that of the block
  std::uint32_t raw_len = 0;      // body before codec and cipher
  std::uint32_t stored_len = 0;   // body as stored, without the padding to 8 behind it
  std::uint64_t frame_no = 0;     // from 1, unique per cell and epoch: reserved for the nonce
  std::uint64_t key_check = 0;    // reserved for the key's check value
  std::uint32_t key_id = 0;       // 0: not encrypted
  std::uint32_t body_crc =
      0;  // kBatches in plain: headers_crc of the batches; else CRC32C of the body
  std::uint32_t epoch = 0;       // that of the block
  std::uint32_t header_crc = 0;  // of all before it
};
static_assert(sizeof(FrameHeader) == 96);
static_assert(std::has_unique_object_representations_v<FrameHeader>);

// Bytes that a frame takes in its block.
[[nodiscard]] constexpr std::uint64_t frame_bytes(std::uint64_t stored_len) {
  return sizeof(FrameHeader) + round_up(stored_len, std::uint64_t{8});
}

// --- Batch header -----------------------------------------------------------------------------

inline constexpr std::uint32_t kBatchMagic = 0x48435450;  // "PTCH"

struct BatchHeader {
  std::uint32_t magic = kBatchMagic;
  std::uint32_t length = 0;  // of the FlatBuffer behind it, its padding to 8 included
  std::uint64_t first = 0;   // index of the first record
  std::int64_t arrival = 0;
  std::uint64_t producer_id = 0;
  std::uint32_t producer_epoch = 0;
  std::uint32_t base_sequence = 0;
  std::uint32_t count = 0;
  std::uint8_t codec = 0;
  std::uint8_t flags = 0;
  std::uint16_t reserved0 = 0;
  std::uint32_t reserved1 = 0;
  std::uint32_t payload_crc = 0;  // of the `length` bytes behind the header
  std::uint32_t reserved2 = 0;
  std::uint32_t header_crc = 0;  // of all before it
};
static_assert(sizeof(BatchHeader) == 64);
static_assert(std::has_unique_object_representations_v<BatchHeader>);

// CRC32C over the batch headers of a kBatches body, in order; nothing where the headers do not
// tile the body exactly. Total against any bytes; does not read the payloads.
[[nodiscard]] std::optional<std::uint32_t> frame_body_crc(std::span<const std::byte> body);

// --- Footer: the end of a sealed slot ---------------------------------------------------------
//
//   │ blocks … │ (gap) │ entry pages │ run pages │ trailer │
//                      ▲ footer_offset                     ▲ slot_bytes

inline constexpr std::uint32_t kEntryPageMagic = 0x45504650;  // "PFPE"
inline constexpr std::uint32_t kRunPageMagic = 0x52504650;    // "PFPR"
inline constexpr std::uint32_t kTrailerMagic = 0x52545350;    // "PSTR"

struct PageHeader {
  std::uint32_t magic = 0;
  std::uint32_t crc = 0;  // of the page without this field: bytes 0–3, then 8–4095
  std::uint64_t segment_no = 0;
};
static_assert(sizeof(PageHeader) == 16);

// One frame. Entries are grouped by run, in the order of the runs, ascending by index in each.
struct FrameEntry {
  std::uint64_t first_index = 0;  // control frames: LSN of their block
  std::int64_t arrival = 0;       // arrival_min
  std::int64_t retention = 0;
  std::uint32_t offset = 0;  // of the frame header in the slot
  std::uint32_t length = 0;  // header and stored body, without padding
  std::uint32_t records = 0;
  std::uint32_t header_crc = 0;  // of the frame header: what lies at `offset` must be this frame
};
static_assert(sizeof(FrameEntry) == 40);
static_assert(std::has_unique_object_representations_v<FrameEntry>);

// One shard's frames in the segment. Sorted by (stream, shard); control frames are the run {0, 0}.
struct RunEntry {
  std::uint64_t stream = 0;
  std::uint32_t shard = 0;
  std::uint32_t reserved = 0;
  std::uint64_t first_index = 0;
  std::uint64_t last_index = 0;  // of the last record; control frames: LSN of the last
  std::int64_t arrival_first = 0;
  std::int64_t arrival_last = 0;  // arrival_max of the last frame
  std::int64_t retention_first = 0;
  std::int64_t retention_last = 0;
  std::uint32_t entry_begin = 0;  // number of its first entry, counted over all pages
  std::uint32_t entry_count = 0;
  std::uint64_t bytes = 0;  // sum of the entries' lengths
};
static_assert(sizeof(RunEntry) == 80);
static_assert(std::has_unique_object_representations_v<RunEntry>);

inline constexpr std::uint32_t kEntriesPerPage =
    (kSectorBytes - sizeof(PageHeader)) / sizeof(FrameEntry);
inline constexpr std::uint32_t kRunsPerPage =
    (kSectorBytes - sizeof(PageHeader)) / sizeof(RunEntry);
static_assert(kEntriesPerPage == 102);
static_assert(kRunsPerPage == 51);

struct Trailer {
  std::uint32_t magic = kTrailerMagic;
  std::uint16_t version = kVersion;
  std::uint16_t cell = 0;
  std::uint64_t tag = 0;
  std::uint64_t segment_no = 0;
  std::uint32_t epoch = 0;  // of the last block
  std::uint32_t run_count = 0;
  std::uint32_t frame_count = 0;
  std::uint32_t block_count = 0;
  std::uint32_t footer_offset = 0;  // of the first entry page, in the slot
  std::uint32_t blocks_end = 0;     // offset behind the last block
  std::uint64_t base_lsn = 0;
  std::uint64_t last_lsn = 0;
  std::uint64_t durable_lsn = 0;    // highest LSN known durable when the trailer was composed
  std::uint64_t base_chain = 0;     // prev_chain of the slot header
  std::uint64_t last_chain = 0;     // chain of the last block
  std::uint32_t directory_crc = 0;  // CRC32C of the run pages, one after the other
  std::uint8_t reserved[4000] = {};
  std::uint32_t crc = 0;  // of all before it
};
static_assert(sizeof(Trailer) == kSectorBytes);
static_assert(std::has_unique_object_representations_v<Trailer>);

// Where a footer of so many frames and runs lies.
struct FooterShape {
  std::uint32_t entry_pages = 0;
  std::uint32_t run_pages = 0;
  [[nodiscard]] constexpr std::uint64_t bytes() const {
    return (std::uint64_t{entry_pages} + run_pages + 1) * kSectorBytes;
  }
};
[[nodiscard]] constexpr FooterShape footer_shape(std::uint32_t frames, std::uint32_t runs) {
  return {div_ceil(frames, kEntriesPerPage), div_ceil(runs, kRunsPerPage)};
}

// --- Checksums --------------------------------------------------------------------------------

// Structures that end in their own CRC.
template <class T>
[[nodiscard]] std::uint32_t trailing_crc(const T& value) {
  return base::crc32c(bytes_of(value).first(sizeof(T) - sizeof(std::uint32_t)));
}

// The checksum of headers that have checksums: CRC32C over those, one after the other. Over the whole
// headers it would say nothing: the CRC of bytes with their own CRC behind them is a constant.
[[nodiscard]] inline std::uint32_t headers_crc(std::uint32_t so_far, std::uint32_t header_crc) {
  return base::crc32c(bytes_of(header_crc), so_far);
}

inline void seal(SlotHeader& h) { h.crc = trailing_crc(h); }
inline void seal(FrameHeader& h) { h.header_crc = trailing_crc(h); }
inline void seal(BatchHeader& h) { h.header_crc = trailing_crc(h); }
inline void seal(Trailer& t) { t.crc = trailing_crc(t); }
// Fills in chain and header_crc. REQUIRES: prev_chain and frames_crc are set.
inline void seal(BlockHeader& h) {
  h.chain = block_chain(h);
  h.header_crc = trailing_crc(h);
}

// Magic, version, lengths that need no context, and checksum.
[[nodiscard]] bool valid(const SlotHeader& h);
[[nodiscard]] bool valid(const BlockHeader& h);
[[nodiscard]] bool valid(const FrameHeader& h);
[[nodiscard]] bool valid(const BatchHeader& h);
[[nodiscard]] bool valid(const Trailer& t);

// Pages. `page` is one sector.
[[nodiscard]] std::uint32_t page_crc(std::span<const std::byte> page);
// Writes the page's header around what already lies behind it.
void seal_page(std::span<std::byte> page, std::uint32_t magic, std::uint64_t segment_no);
[[nodiscard]] bool valid_page(std::span<const std::byte> page, std::uint32_t magic,
                              std::uint64_t segment_no);

}  // namespace penstock::storage::format
