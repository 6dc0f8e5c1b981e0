#include "storage/snapshot.h"

#include "base/assert.h"

#include <optional>

namespace penstock::storage {
namespace {

constexpr std::uint64_t kMagic = 0x54485350414E5350;  // "PSNAPSHT"

struct Header {
  std::uint64_t magic = kMagic;
  std::uint16_t version = format::kVersion;
  std::uint16_t cells = 0;
  std::uint32_t reserved0 = 0;
  format::Uuid box = {};
  std::uint64_t generation = 0;
  std::uint64_t length = 0;
  std::uint64_t catalogue_offset = 0;
  std::uint64_t catalogue_length = 0;
  std::int64_t retention_ms = 0;
  std::int64_t wall_ms = 0;
  std::uint8_t reserved1[48] = {};
};
static_assert(sizeof(Header) == 128);
static_assert(std::has_unique_object_representations_v<Header>);

struct CellRecord {
  std::uint16_t cell = 0;
  std::uint16_t reserved0 = 0;
  std::uint32_t reserved1 = 0;
  std::uint64_t covered = 0;
  std::uint32_t shard_count = 0;
  std::uint32_t segment_count = 0;
  std::uint64_t producer_count = 0;  // reserved, and so 0, before there were any
};
static_assert(sizeof(CellRecord) == 32);
static_assert(std::has_unique_object_representations_v<CellRecord>);

struct ShardRecord {
  std::uint64_t stream = 0;
  std::uint32_t shard = 0;
  std::uint8_t closed = 0;
  std::uint8_t reserved0[3] = {};
  std::uint64_t next_index = 0;
  std::uint64_t trim_index = 0;
  std::int64_t last_arrival = 0;
  std::uint64_t range_begin[2] = {};
  std::uint64_t range_end[2] = {};
  std::int64_t created_second = 0;
  std::uint64_t catalogue_version = 0;
  std::uint64_t reserved1 = 0;
};
static_assert(sizeof(ShardRecord) == 96);
static_assert(std::has_unique_object_representations_v<ShardRecord>);

struct ProducerRecord {
  std::uint64_t stream = 0;
  std::uint32_t shard = 0;
  std::uint32_t epoch = 0;
  std::uint64_t producer = 0;
  std::uint32_t last_sequence = 0;
  std::uint32_t count = 0;
  std::int64_t last_used = 0;
  struct Entry {
    std::uint64_t first_index = 0;
    std::int64_t arrival = 0;
  };
  Entry window[ProducerState::kWindow] = {};
};
static_assert(sizeof(ProducerRecord) == 168);
static_assert(std::has_unique_object_representations_v<ProducerRecord>);

ShardRecord record_of(const ShardState& state) {
  ShardRecord r;
  r.stream = state.shard.stream.raw();
  r.shard = state.shard.shard.raw();
  r.closed = state.closed;
  r.next_index = state.next_index;
  r.trim_index = state.trim_index;
  r.last_arrival = state.last_arrival;
  for (int i = 0; i < 2; ++i) {
    r.range_begin[i] = state.range_begin[i];
    r.range_end[i] = state.range_end[i];
  }
  r.created_second = state.created_second;
  r.catalogue_version = state.catalogue_version;
  return r;
}

ShardState state_of(const ShardRecord& r) {
  ShardState state;
  state.shard = {StreamUid(r.stream), ShardNumber(r.shard)};
  state.closed = r.closed;
  state.next_index = r.next_index;
  state.trim_index = r.trim_index;
  state.last_arrival = r.last_arrival;
  for (int i = 0; i < 2; ++i) {
    state.range_begin[i] = r.range_begin[i];
    state.range_end[i] = r.range_end[i];
  }
  state.created_second = r.created_second;
  state.catalogue_version = r.catalogue_version;
  return state;
}

ProducerRecord record_of(const ProducerState& state) {
  ProducerRecord r;
  r.stream = state.shard.stream.raw();
  r.shard = state.shard.shard.raw();
  r.epoch = state.epoch;
  r.producer = state.producer;
  r.last_sequence = state.last_sequence;
  r.count = state.count;
  r.last_used = state.last_used.raw();
  for (std::uint32_t i = 0; i < state.count; ++i) {
    r.window[i] = {state.window[i].first.raw(), state.window[i].arrival.raw()};
  }
  return r;
}

std::optional<ProducerState> state_of(const ProducerRecord& r) {
  if (r.count > ProducerState::kWindow || r.count > r.last_sequence) return std::nullopt;
  ProducerState state;
  state.shard = {StreamUid(r.stream), ShardNumber(r.shard)};
  state.epoch = r.epoch;
  state.producer = r.producer;
  state.last_sequence = r.last_sequence;
  state.count = r.count;
  state.last_used = WallMillis(r.last_used);
  for (std::uint32_t i = 0; i < r.count; ++i) {
    state.window[i] = {RecordIndex(r.window[i].first_index), WallMillis(r.window[i].arrival)};
  }
  return state;
}

class Writer {
 public:
  explicit Writer(std::size_t bytes) : out_(bytes) {}
  template <class T>
  void put(const T& value) {
    format::store(out_, at_, value);
    at_ += sizeof(T);
  }
  void put_bytes(std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(out_.data() + at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  std::vector<std::byte> take() {
    PENSTOCK_ASSERT(at_ == out_.size());
    return std::move(out_);
  }

 private:
  std::vector<std::byte> out_;
  std::size_t at_ = 0;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  [[nodiscard]] std::optional<T> take() {
    if (left() < sizeof(T)) return std::nullopt;
    const T value = format::load<T>(bytes_, at_);
    at_ += sizeof(T);
    return value;
  }
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

std::uint64_t cells_bytes(const Snapshot& snapshot) {
  std::uint64_t bytes = 0;
  for (const CellSnapshot& cell : snapshot.cells) {
    bytes += sizeof(CellRecord) + cell.shards.size() * sizeof(ShardRecord) +
             cell.producers.size() * sizeof(ProducerRecord) +
             cell.segments.size() * sizeof(std::uint64_t);
  }
  return bytes;
}

bool take_cell(Reader& in, CellSnapshot& cell) {
  const auto record = in.take<CellRecord>();
  if (!record) return false;
  if (record->shard_count > in.left() / sizeof(ShardRecord)) return false;
  cell.cell = CellId(record->cell);
  cell.covered = Lsn(record->covered);
  cell.shards.reserve(record->shard_count);
  for (std::uint32_t i = 0; i < record->shard_count; ++i) {
    cell.shards.push_back(state_of(*in.take<ShardRecord>()));
  }
  if (record->producer_count > in.left() / sizeof(ProducerRecord)) return false;
  cell.producers.reserve(record->producer_count);
  for (std::uint64_t i = 0; i < record->producer_count; ++i) {
    const auto state = state_of(*in.take<ProducerRecord>());
    if (!state) return false;
    cell.producers.push_back(*state);
  }
  if (record->segment_count > in.left() / sizeof(std::uint64_t)) return false;
  cell.segments.reserve(record->segment_count);
  for (std::uint32_t i = 0; i < record->segment_count; ++i) {
    const SegmentNumber number(*in.take<std::uint64_t>());
    if (!cell.segments.empty() && number <= cell.segments.back()) return false;
    cell.segments.push_back(number);
  }
  return true;
}

}  // namespace

std::vector<std::byte> encode_snapshot(const Snapshot& snapshot, const format::Uuid& box,
                                       std::uint64_t generation) {
  Header header;
  header.cells = static_cast<std::uint16_t>(snapshot.cells.size());
  header.box = box;
  header.generation = generation;
  header.catalogue_offset = sizeof(Header) + cells_bytes(snapshot);
  header.catalogue_length = snapshot.catalogue.size();
  header.length = header.catalogue_offset + header.catalogue_length;
  header.retention_ms = snapshot.clock.retention_ms;
  header.wall_ms = snapshot.clock.wall_ms;

  Writer out(header.length);
  out.put(header);
  for (const CellSnapshot& cell : snapshot.cells) {
    CellRecord record;
    record.cell = cell.cell.raw();
    record.covered = cell.covered.raw();
    record.shard_count = static_cast<std::uint32_t>(cell.shards.size());
    record.segment_count = static_cast<std::uint32_t>(cell.segments.size());
    record.producer_count = cell.producers.size();
    out.put(record);
    for (const ShardState& shard : cell.shards) out.put(record_of(shard));
    for (const ProducerState& producer : cell.producers) out.put(record_of(producer));
    for (const SegmentNumber segment : cell.segments) out.put(segment.raw());
  }
  out.put_bytes(snapshot.catalogue);
  return out.take();
}

Result<Snapshot> decode_snapshot(std::span<const std::byte> bytes, const format::Uuid& box,
                                 std::uint16_t cells) {
  Reader in(bytes);
  const auto header = in.take<Header>();
  if (!header || header->magic != kMagic || header->version != format::kVersion) {
    return fail(ErrorCode::kCorrupt);
  }
  if (header->box != box || header->cells != cells || header->length != bytes.size()) {
    return fail(ErrorCode::kCorrupt);
  }
  Snapshot snapshot;
  for (std::uint16_t i = 0; i < cells; ++i) {
    CellSnapshot cell;
    if (!take_cell(in, cell) || cell.cell != CellId(i)) return fail(ErrorCode::kCorrupt);
    snapshot.cells.push_back(std::move(cell));
  }
  if (header->catalogue_offset != in.at() || header->catalogue_length != in.left()) {
    return fail(ErrorCode::kCorrupt);
  }
  const auto catalogue = bytes.subspan(in.at());
  snapshot.catalogue.assign(catalogue.begin(), catalogue.end());
  snapshot.clock = {header->retention_ms, header->wall_ms};
  return snapshot;
}

}  // namespace penstock::storage
