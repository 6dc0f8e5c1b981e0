// A data directory on the simulated disk, and a forge that writes segments and blocks into its slots
// byte by byte as FORMAT.md says, without the journal's own writer: so a test decides what a crash
// or a bad device left behind.
#pragma once

#include "base/pages.h"
#include "drivers/disk/sim/sim_disk.h"
#include "drivers/disk/sim/sim_storage.h"
#include "drivers/entropy/sim_entropy.h"
#include "drivers/sim/time.h"
#include "storage/batch.h"
#include "storage/format.h"
#include "storage/recovery.h"
#include "storage/slot_survey.h"
#include "storage/store.h"
#include "storage/superblock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace penstock::storage {

[[nodiscard]] inline ShardKey key_of(std::uint32_t shard) {
  return {StreamUid(1), ShardNumber(shard)};
}

// A body of one batch per call of `append_batch`.
inline void append_batch(std::vector<std::byte>& body, std::uint64_t first, std::uint32_t records,
                         std::size_t record_bytes = 20, BatchFields fields = {}) {
  fields.first = RecordIndex(first);
  fields.arrival = WallMillis(1000);
  const std::string data(record_bytes, static_cast<char>('a' + first % 26));
  const std::size_t payload = records * (data.size() + 1);
  std::vector<std::uint64_t> space(batch_bytes(records, payload) / 8);
  const auto out = std::as_writable_bytes(std::span(space));
  BatchWriter writer(out, fields, records, payload);
  for (std::uint32_t i = 0; i < records; ++i) {
    writer.add({.key = reinterpret_cast<const std::byte*>("k"),
                .data = reinterpret_cast<const std::byte*>(data.data()),
                .data_bytes = static_cast<std::uint32_t>(data.size()),
                .key_bytes = 1,
                .flags = 0,
                .hash = {}});
  }
  const std::size_t used = writer.finish();
  body.insert(body.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(used));
}

struct ForgedFrame {
  format::FrameHeader header;
  std::vector<std::byte> body;

  static ForgedFrame data(std::uint32_t shard, std::uint64_t first, std::uint32_t records,
                          std::size_t record_bytes = 20) {
    ForgedFrame frame;
    append_batch(frame.body, first, records, record_bytes);
    frame.sum(shard, first, records);
    return frame;
  }
  // `batches` of one record each, with sequences from `sequence` on.
  static ForgedFrame produced(std::uint32_t shard, std::uint64_t first, std::uint64_t producer,
                              std::uint32_t epoch, std::uint32_t sequence,
                              std::uint32_t batches = 1) {
    ForgedFrame frame;
    for (std::uint32_t i = 0; i < batches; ++i) {
      append_batch(frame.body, first + i, 1, 20,
                   {.first = {},
                    .arrival = {},
                    .producer_id = producer,
                    .producer_epoch = epoch,
                    .base_sequence = sequence + i});
    }
    frame.sum(shard, first, batches);
    return frame;
  }
  static ForgedFrame opening(std::uint32_t shard, std::uint64_t producer, std::uint32_t epoch) {
    ShardControl opening;
    opening.kind = ShardControlKind::kProducer;
    opening.range_begin[0] = producer;
    opening.range_begin[1] = epoch;
    ForgedFrame frame = control(shard, opening);
    frame.header.arrival_min = frame.header.arrival_max = 900;
    return frame;
  }
  void sum(std::uint32_t shard, std::uint64_t first, std::uint32_t records) {
    header.kind = static_cast<std::uint8_t>(FrameKind::kBatches);
    header.stream = key_of(shard).stream.raw();
    header.shard = shard;
    header.first_index = first;
    header.records = records;
    header.arrival_min = 1000;
    header.arrival_max = 1000;
    header.body_crc = *format::frame_body_crc(body);
  }
  static ForgedFrame control(std::uint32_t shard, const ShardControl& control) {
    ForgedFrame frame;
    frame.header.kind = static_cast<std::uint8_t>(FrameKind::kShard);
    frame.header.stream = key_of(shard).stream.raw();
    frame.header.shard = shard;
    const auto bytes = format::bytes_of(control);
    frame.body.assign(bytes.begin(), bytes.end());
    frame.header.body_crc = base::crc32c(frame.body);
    return frame;
  }
  static ForgedFrame catalogue(std::string_view text) {
    ForgedFrame frame;
    frame.header.kind = static_cast<std::uint8_t>(FrameKind::kCatalogue);
    const auto bytes = std::as_bytes(std::span(text));
    frame.body.assign(bytes.begin(), bytes.end());
    frame.header.body_crc = base::crc32c(frame.body);
    return frame;
  }
};

struct BlockSpec {
  std::vector<ForgedFrame> frames;
  std::uint32_t flags = 0;
  std::uint64_t durable = 0;
};

// Where a forged block lies.
struct Placed {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t lsn = 0;
};

class StoreRig {
 public:
  explicit StoreRig(const FormatOptions& options = {.cells = 1,
                                                    .slot_bytes = kMiB,
                                                    .slots_ahead = 3})
      : storage(time, {}, 1) {
    reboot();
    drivers::SimEntropy entropy(7);
    EXPECT_TRUE(Store::format(*volume, entropy, options).has_value());
  }

  void reboot() {
    store.reset();
    volume.reset();
    if (booted_) {
      if (storage.powered()) storage.cut_power();
      storage.restart();
    }
    booted_ = true;
    volume = std::make_unique<drivers::SimVolume>(storage);
  }

  // Starts anew and takes cell 0.
  Result<> open() {
    reboot();
    auto opened = Store::open(*volume);
    if (!opened) return std::unexpected(opened.error());
    store = std::move(*opened);
    cells = store->take_cells();
    return {};
  }
  [[nodiscard]] RecoveredJournal& journal() { return *cells.at(0).journal; }
  [[nodiscard]] const ShardState* shard(std::uint32_t number) {
    for (const ShardState& state : cells.at(0).shards) {
      if (state.shard == key_of(number)) return &state;
    }
    return nullptr;
  }

  // --- Bytes of files -------------------------------------------------------------------------
  std::vector<std::byte> read(const std::string& name, std::uint64_t offset, std::uint64_t bytes) {
    base::Pages pages(bytes);
    const env::FileId file = *volume->open(name);
    EXPECT_TRUE(volume->read(file, offset, pages.bytes().first(bytes)).has_value());
    volume->close(file);
    return {pages.data(), pages.data() + bytes};
  }
  void write(const std::string& name, std::uint64_t offset, std::span<const std::byte> bytes) {
    base::Pages pages(bytes.size());
    std::ranges::copy(bytes, pages.data());
    const env::FileId file = *volume->open(name);
    EXPECT_TRUE(volume->write(file, offset, pages.bytes().first(bytes.size())).has_value());
    volume->close(file);
  }
  void zero(const std::string& name, std::uint64_t offset, std::uint64_t bytes) {
    write(name, offset, std::vector<std::byte>(bytes));
  }
  void flip(const std::string& name, std::uint64_t offset) {
    const std::uint64_t sector = round_down(offset, format::kSectorBytes);
    auto bytes = read(name, sector, format::kSectorBytes);
    bytes[offset - sector] ^= std::byte{0x10};
    write(name, sector, bytes);
  }

  drivers::SimTime time;
  drivers::SimStorage storage;
  std::unique_ptr<drivers::SimVolume> volume;
  std::unique_ptr<Store> store;
  std::vector<RecoveredCell> cells;

 private:
  bool booted_ = false;
};

// Goes on where recovery said: what a journal would write in this boot.
class Forge {
 public:
  explicit Forge(StoreRig& rig) : rig_(rig), journal_(rig.journal()) {
    lsn_ = journal_.next_lsn.raw();
    chain_ = journal_.chain;
    if (!journal_.segments.empty() && !journal_.segments.back().sealed) {
      const RecoveredSegment& open = journal_.segments.back();
      segment_ = open.number.raw();
      slot_ = open.slot;
      offset_ = open.blocks_end;
    }
  }

  // Opens the next segment in a free slot (the last free one counts first, so that tests reuse).
  void open_segment(std::size_t free_index = 0) {
    format::SlotHeader header;
    segment_ = segment_ == 0 ? journal_.next_segment.raw() : segment_ + 1;
    slot_ = journal_.free.at(free_index).slot;
    journal_.free.erase(journal_.free.begin() + static_cast<std::ptrdiff_t>(free_index));
    header.box = journal_.box;
    header.tag = journal_.tag;
    header.cell = journal_.cell.raw();
    header.slot = slot_;
    header.epoch = journal_.epoch;
    header.segment_no = segment_;
    header.base_lsn = lsn_;
    header.prev_chain = chain_;
    header.durable_lsn = durable_;
    header.slot_bytes = journal_.slot_bytes;
    format::seal(header);
    base_lsn_ = lsn_;
    base_chain_ = chain_;
    rig_.write(name(), 0, format::bytes_of(header));
    offset_ = format::kSectorBytes;
    blocks_ = 0;
  }

  [[nodiscard]] std::vector<std::byte> image(BlockSpec spec) {
    if (first_) spec.flags |= format::kBlockFirstAfterRecovery;
    format::BlockHeader header;
    header.flags = spec.flags;
    header.epoch = journal_.epoch;
    header.cell = journal_.cell.raw();
    header.tag = journal_.tag;
    header.segment_no = segment_;
    header.lsn = lsn_;
    header.durable_lsn = spec.durable;
    header.recovered_lsn = journal_.recovered.raw();
    header.frame_count = static_cast<std::uint32_t>(spec.frames.size());
    header.retention_ms = static_cast<std::int64_t>(lsn_);
    header.wall_ms = 1000;
    header.prev_chain = chain_;
    std::vector<std::byte> payload;
    for (ForgedFrame& frame : spec.frames) {
      frame.header.epoch = header.epoch;
      frame.header.retention_ms = header.retention_ms;
      frame.header.raw_len = static_cast<std::uint32_t>(frame.body.size());
      frame.header.stored_len = frame.header.raw_len;
      frame.header.frame_no = ++frame_no_;
      format::seal(frame.header);
      const auto bytes = format::bytes_of(frame.header);
      header.frames_crc = format::headers_crc(header.frames_crc, frame.header.header_crc);
      payload.insert(payload.end(), bytes.begin(), bytes.end());
      payload.insert(payload.end(), frame.body.begin(), frame.body.end());
      payload.resize(round_up(payload.size(), std::size_t{8}));
    }
    header.payload_len = static_cast<std::uint32_t>(payload.size());
    header.total_len = static_cast<std::uint32_t>(
        round_up(sizeof(header) + payload.size(), std::size_t{format::kSectorBytes}));
    format::seal(header);
    std::vector<std::byte> block(header.total_len);
    format::store(block, 0, header);
    std::ranges::copy(payload, block.begin() + sizeof(header));
    return block;
  }

  // Writes a block; `written` false leaves its place as it was, though the journal goes on.
  Placed block(BlockSpec spec, bool written = true) {
    const auto bytes = image(std::move(spec));
    const auto header = format::load<format::BlockHeader>(bytes);
    if (written) rig_.write(name(), offset_, bytes);
    const Placed placed{offset_, bytes.size(), lsn_};
    first_ = false;
    offset_ += bytes.size();
    chain_ = header.chain;
    ++lsn_;
    ++blocks_;
    return placed;
  }
  Placed data(std::uint32_t shard, std::uint64_t first, std::uint32_t records,
              std::uint64_t durable = 0, bool written = true) {
    return block({{ForgedFrame::data(shard, first, records)}, 0, durable}, written);
  }
  Placed idle() { return block({{}, format::kBlockIdle, lsn_ - 1}); }

  // SEAL block and a footer with one run per entry of `frames` (key, first index, last index).
  struct RunSpec {
    std::uint32_t shard;
    std::uint64_t first;
    std::uint64_t last;
    std::vector<format::FrameEntry> entries;
  };
  void seal(const std::vector<RunSpec>& runs, bool footer = true) {
    block({{}, format::kBlockIdle | format::kBlockSeal, lsn_ - 1});
    durable_ = lsn_ - 1;
    if (footer) write_footer(runs);
  }

  [[nodiscard]] std::string name() const { return slot_name(journal_.cell.raw(), slot_); }
  [[nodiscard]] std::uint64_t lsn() const { return lsn_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::uint64_t segment() const { return segment_; }
  [[nodiscard]] std::uint64_t footer_offset() const { return footer_offset_; }
  void set_durable(std::uint64_t lsn) { durable_ = lsn; }

 private:
  void write_footer(const std::vector<RunSpec>& runs) {
    std::vector<format::FrameEntry> entries;
    for (const RunSpec& run : runs) {
      entries.insert(entries.end(), run.entries.begin(), run.entries.end());
    }
    const auto shape = format::footer_shape(static_cast<std::uint32_t>(entries.size()),
                                            static_cast<std::uint32_t>(runs.size()));
    footer_offset_ = journal_.slot_bytes - shape.bytes();
    std::vector<std::byte> out(shape.bytes());
    const std::span<std::byte> all(out);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      format::store(all.subspan(i / format::kEntriesPerPage * format::kSectorBytes),
                    sizeof(format::PageHeader) + i % format::kEntriesPerPage * 40, entries[i]);
    }
    std::uint32_t begin = 0;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      format::RunEntry run;
      run.stream = key_of(runs[i].shard).stream.raw();
      run.shard = runs[i].shard;
      run.first_index = runs[i].first;
      run.last_index = runs[i].last;
      run.entry_begin = begin;
      run.entry_count = static_cast<std::uint32_t>(runs[i].entries.size());
      begin += run.entry_count;
      format::store(
          all.subspan((shape.entry_pages + i / format::kRunsPerPage) * format::kSectorBytes),
          sizeof(format::PageHeader) + i % format::kRunsPerPage * 80, run);
    }
    for (std::uint32_t p = 0; p < shape.entry_pages + shape.run_pages; ++p) {
      format::seal_page(all.subspan(p * format::kSectorBytes, format::kSectorBytes),
                        p < shape.entry_pages ? format::kEntryPageMagic : format::kRunPageMagic,
                        segment_);
    }
    format::Trailer trailer;
    trailer.cell = journal_.cell.raw();
    trailer.tag = journal_.tag;
    trailer.segment_no = segment_;
    trailer.epoch = journal_.epoch;
    trailer.run_count = static_cast<std::uint32_t>(runs.size());
    trailer.frame_count = static_cast<std::uint32_t>(entries.size());
    trailer.block_count = blocks_;
    trailer.footer_offset = static_cast<std::uint32_t>(footer_offset_);
    trailer.blocks_end = static_cast<std::uint32_t>(offset_);
    trailer.base_lsn = base_lsn_;
    trailer.last_lsn = lsn_ - 1;
    trailer.durable_lsn = lsn_ - 1;
    trailer.base_chain = base_chain_;
    trailer.last_chain = chain_;
    trailer.directory_crc = base::crc32c(all.subspan(shape.entry_pages * format::kSectorBytes,
                                                     shape.run_pages * format::kSectorBytes));
    format::seal(trailer);
    format::store(all, out.size() - format::kSectorBytes, trailer);
    rig_.write(name(), footer_offset_, out);
  }

  StoreRig& rig_;
  RecoveredJournal& journal_;
  std::uint64_t segment_ = 0;
  std::uint32_t slot_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t lsn_ = 1;
  std::uint64_t chain_ = 0;
  std::uint64_t base_lsn_ = 1;
  std::uint64_t base_chain_ = 0;
  std::uint64_t durable_ = 0;
  std::uint64_t frame_no_ = 0;
  std::uint64_t footer_offset_ = 0;
  std::uint32_t blocks_ = 0;
  bool first_ = true;
};

}  // namespace penstock::storage
