#include "catalog/codec.h"

#include <bit>
#include <concepts>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::catalog {
namespace {

constexpr std::uint32_t kFrameMagic = 0x46544350;     // "PCTF"
constexpr std::uint32_t kSnapshotMagic = 0x53544350;  // "PCTS"
constexpr std::uint16_t kFormat = 1;
constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kShardBytes = 88;
constexpr std::size_t kStreamBytesMin = 68;
constexpr std::size_t kKeptBytes = 12;
constexpr std::uint16_t kSnapshotKept = 1;
constexpr std::uint8_t kFlagOpen = 1;
constexpr std::uint8_t kFlagOpened = 2;

static_assert(std::endian::native == std::endian::little, "integers are stored as they lie");

class Writer {
 public:
  template <std::integral Int>
  void put(Int value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    out_.insert(out_.end(), bytes, bytes + sizeof value);
  }
  void put(base::HashKey key) {
    put(key.high);
    put(key.low);
  }
  void put(StreamUid uid) { put(uid.raw()); }
  void put(ShardNumber number) { put(number.raw()); }
  void put(const std::string& text) {
    put(static_cast<std::uint16_t>(text.size()));
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    out_.insert(out_.end(), bytes, bytes + text.size());
  }
  void count(std::size_t n) { put(static_cast<std::uint32_t>(n)); }
  void put(const std::vector<ShardNumber>& numbers) {
    count(numbers.size());
    for (const ShardNumber number : numbers) put(number);
  }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

// Reads past the end give zeros and leave `ok` false; whoever reads asks once, at the end.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <std::integral Int>
  [[nodiscard]] Int get() {
    Int value = 0;
    if (bytes_.size() < sizeof value) {
      refuse();
      return 0;
    }
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return value;
  }
  [[nodiscard]] base::HashKey key() {
    base::HashKey key;
    key.high = get<std::uint64_t>();
    key.low = get<std::uint64_t>();
    return key;
  }
  [[nodiscard]] StreamUid uid() {
    const StreamUid uid(get<std::uint64_t>());
    expect(uid.raw() != 0);
    return uid;
  }
  [[nodiscard]] ShardNumber number() { return ShardNumber(get<std::uint32_t>()); }
  [[nodiscard]] std::string text(std::size_t bytes_max) {
    const std::size_t length = get<std::uint16_t>();
    if (length == 0 || length > bytes_max || length > bytes_.size()) {
      refuse();
      return {};
    }
    const std::string_view view(reinterpret_cast<const char*>(bytes_.data()), length);
    bytes_ = bytes_.subspan(length);
    return std::string(view);
  }
  // A count of things of at least `item_bytes_min` each: no more than what is left can hold.
  [[nodiscard]] std::size_t count(std::size_t item_bytes_min) {
    const std::size_t n = get<std::uint32_t>();
    if (n > bytes_.size() / item_bytes_min) {
      refuse();
      return 0;
    }
    return n;
  }
  [[nodiscard]] std::vector<ShardNumber> numbers() {
    std::vector<ShardNumber> out(count(sizeof(std::uint32_t)));
    for (ShardNumber& one : out) one = number();
    return out;
  }
  void expect(bool condition) {
    if (!condition) refuse();
  }
  void refuse() {
    ok_ = false;
    bytes_ = {};
  }
  [[nodiscard]] bool ok() const { return ok_; }
  // Everything was there and nothing is left over.
  [[nodiscard]] bool finished() const { return ok_ && bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
  bool ok_ = true;
};

void put_shard(Writer& out, const ShardEntry& shard, bool in_frame) {
  out.put(shard.number);
  out.put(shard.cell.raw());
  out.put(static_cast<std::uint8_t>((shard.open ? kFlagOpen : 0) |
                                    (shard.opened && !in_frame ? kFlagOpened : 0)));
  out.put(std::uint8_t{0});
  out.put(shard.begin);
  out.put(shard.end);
  out.put(shard.parent);
  out.put(shard.adjacent_parent);
  out.put(shard.created_second);
  out.put(in_frame ? std::uint64_t{0} : shard.decided);
  out.put(shard.closed_ms);
  out.put(shard.closed_retention.raw());
  out.put(shard.final_index);
}

ShardEntry get_shard(Reader& in, bool in_frame) {
  ShardEntry shard;
  shard.number = in.number();
  shard.cell = CellId(in.get<std::uint16_t>());
  const auto flags = in.get<std::uint8_t>();
  in.expect((flags & ~(kFlagOpen | kFlagOpened)) == 0);
  shard.open = (flags & kFlagOpen) != 0;
  shard.opened = (flags & kFlagOpened) != 0;
  in.expect(!in_frame || (shard.open && !shard.opened));
  in.expect(in.get<std::uint8_t>() == 0);
  shard.begin = in.key();
  shard.end = in.key();
  in.expect(shard.begin <= shard.end);
  shard.parent = in.number();
  shard.adjacent_parent = in.number();
  shard.created_second = in.get<std::int64_t>();
  shard.decided = in.get<std::uint64_t>();
  in.expect(!in_frame || shard.decided == 0);
  shard.closed_ms = in.get<std::int64_t>();
  shard.closed_retention = RetentionMillis(in.get<std::int64_t>());
  shard.final_index = in.get<std::uint64_t>();
  return shard;
}

void put_shards(Writer& out, const std::vector<ShardEntry>& shards, bool in_frame) {
  out.count(shards.size());
  for (const ShardEntry& shard : shards) put_shard(out, shard, in_frame);
}

std::vector<ShardEntry> get_shards(Reader& in, bool in_frame) {
  std::vector<ShardEntry> shards;
  const std::size_t n = in.count(kShardBytes);
  shards.reserve(n);
  for (std::size_t i = 0; i < n && in.ok(); ++i) {
    shards.push_back(get_shard(in, in_frame));
    if (i > 0) in.expect(shards[i - 1].number < shards[i].number);
  }
  return shards;
}

void put_stream(Writer& out, const StreamEntry& stream, bool in_frame) {
  out.put(stream.uid);
  out.put(stream.name);
  out.put(static_cast<std::uint8_t>(stream.mode));
  out.put(static_cast<std::uint8_t>(stream.deleting ? 1 : 0));
  out.put(std::uint16_t{0});
  out.put(stream.created_ms);
  out.put(stream.retention_hours);
  out.put(stream.record_bytes_max);
  out.put(stream.limits.write_bytes);
  out.put(stream.limits.write_records);
  out.put(stream.limits.read_bytes);
  out.put(stream.limits.reads);
  out.put(stream.next_shard);
  out.put(static_cast<std::uint8_t>(stream.intent ? 1 : 0));
  if (stream.intent) {
    out.put(stream.intent->version);
    out.put(stream.intent->parent);
    out.put(stream.intent->adjacent_parent);
    out.put(stream.intent->split_key);
  }
  put_shards(out, stream.shards, in_frame);
}

bool get_bool(Reader& in) {
  const auto value = in.get<std::uint8_t>();
  in.expect(value <= 1);
  return value == 1;
}

StreamEntry get_stream(Reader& in, bool in_frame) {
  StreamEntry stream;
  stream.uid = in.uid();
  stream.name = in.text(kNameBytesMax);
  stream.mode = get_bool(in) ? route::StreamMode::kOnDemand : route::StreamMode::kProvisioned;
  stream.deleting = get_bool(in);
  in.expect(in.get<std::uint16_t>() == 0);
  stream.created_ms = in.get<std::int64_t>();
  stream.retention_hours = in.get<std::uint32_t>();
  stream.record_bytes_max = in.get<std::uint32_t>();
  stream.limits.write_bytes = in.get<std::uint64_t>();
  stream.limits.write_records = in.get<std::uint64_t>();
  stream.limits.read_bytes = in.get<std::uint64_t>();
  stream.limits.reads = in.get<std::uint32_t>();
  stream.next_shard = in.get<std::uint32_t>();
  if (get_bool(in)) {
    Intent intent;
    intent.version = in.get<std::uint64_t>();
    intent.parent = in.number();
    intent.adjacent_parent = in.number();
    intent.split_key = in.key();
    stream.intent = intent;
  }
  stream.shards = get_shards(in, in_frame);
  if (!stream.shards.empty()) in.expect(stream.shards.back().number.raw() < stream.next_shard);
  return stream;
}

// One overload pair per kind of change, numbered as in FORMAT.md.
template <class T>
constexpr std::uint16_t kind_of();
template <>
constexpr std::uint16_t kind_of<Create>() {
  return 1;
}
template <>
constexpr std::uint16_t kind_of<Opened>() {
  return 2;
}
template <>
constexpr std::uint16_t kind_of<Delete>() {
  return 3;
}
template <>
constexpr std::uint16_t kind_of<Gone>() {
  return 4;
}
template <>
constexpr std::uint16_t kind_of<Announce>() {
  return 5;
}
template <>
constexpr std::uint16_t kind_of<Commit>() {
  return 6;
}
template <>
constexpr std::uint16_t kind_of<Abort>() {
  return 7;
}
template <>
constexpr std::uint16_t kind_of<SetRetention>() {
  return 8;
}
template <>
constexpr std::uint16_t kind_of<Drop>() {
  return 9;
}

void put_body(Writer& out, const Create& change) { put_stream(out, change.stream, true); }
void put_body(Writer& out, const Opened& change) {
  out.put(change.stream);
  out.put(change.shards);
}
void put_body(Writer& out, const Delete& change) { out.put(change.stream); }
void put_body(Writer& out, const Gone& change) { out.put(change.stream); }
void put_body(Writer& out, const Announce& change) {
  out.put(change.stream);
  out.put(change.intent.parent);
  out.put(change.intent.adjacent_parent);
  out.put(change.intent.split_key);
}
void put_body(Writer& out, const Commit& change) {
  out.put(change.stream);
  out.put(change.map_epoch);
  out.put(change.closed_ms);
  out.put(change.closed_retention.raw());
  out.count(change.parents.size());
  for (const Commit::Parent& parent : change.parents) {
    out.put(parent.number);
    out.put(parent.final_index);
  }
  put_shards(out, change.children, true);
}
void put_body(Writer& out, const Abort& change) { out.put(change.stream); }
void put_body(Writer& out, const SetRetention& change) {
  out.put(change.stream);
  out.put(change.hours);
}
void put_body(Writer& out, const Drop& change) {
  out.put(change.stream);
  out.put(change.shards);
}

Commit get_commit(Reader& in) {
  Commit change;
  change.stream = in.uid();
  change.map_epoch = in.get<std::uint64_t>();
  change.closed_ms = in.get<std::int64_t>();
  change.closed_retention = RetentionMillis(in.get<std::int64_t>());
  change.parents.resize(in.count(sizeof(std::uint32_t) + sizeof(std::uint64_t)));
  for (Commit::Parent& parent : change.parents) {
    parent.number = in.number();
    parent.final_index = in.get<std::uint64_t>();
  }
  change.children = get_shards(in, true);
  return change;
}

Change get_change(Reader& in, std::uint16_t kind) {
  switch (kind) {
    case kind_of<Create>(): {
      Create change{.stream = get_stream(in, true)};
      in.expect(!change.stream.deleting && !change.stream.intent);
      return change;
    }
    case kind_of<Opened>(): {
      Opened change{.stream = in.uid(), .shards = {}};
      change.shards = in.numbers();
      return change;
    }
    case kind_of<Delete>():
      return Delete{.stream = in.uid()};
    case kind_of<Gone>():
      return Gone{.stream = in.uid()};
    case kind_of<Announce>(): {
      Announce change;
      change.stream = in.uid();
      change.intent.parent = in.number();
      change.intent.adjacent_parent = in.number();
      change.intent.split_key = in.key();
      return change;
    }
    case kind_of<Commit>():
      return get_commit(in);
    case kind_of<Abort>():
      return Abort{.stream = in.uid()};
    case kind_of<SetRetention>(): {
      SetRetention change{.stream = in.uid(), .hours = 0};
      change.hours = in.get<std::uint32_t>();
      return change;
    }
    case kind_of<Drop>(): {
      Drop change{.stream = in.uid(), .shards = {}};
      change.shards = in.numbers();
      return change;
    }
    default:
      in.refuse();
      return Abort{};
  }
}

// Magic and format, common to frame and snapshot.
Result<> get_preamble(Reader& in, std::uint32_t magic) {
  if (in.get<std::uint32_t>() != magic) return fail(ErrorCode::kCorrupt);
  const auto format = in.get<std::uint16_t>();
  if (!in.ok() || format == 0) return fail(ErrorCode::kCorrupt);
  if (format > kFormat) return fail(ErrorCode::kNewerFormat, format);
  return {};
}

}  // namespace

std::vector<std::byte> encode_frame(std::uint64_t version, const Change& change) {
  Writer out;
  out.put(kFrameMagic);
  out.put(kFormat);
  std::visit(
      [&]<class T>(const T& one) {
        out.put(kind_of<T>());
        out.put(version);
        put_body(out, one);
      },
      change);
  return out.take();
}

Result<Frame> decode_frame(std::span<const std::byte> bytes) {
  Reader in(bytes);
  if (const Result<> known = get_preamble(in, kFrameMagic); !known) {
    return std::unexpected(known.error());
  }
  const auto kind = in.get<std::uint16_t>();
  Frame frame;
  frame.version = in.get<std::uint64_t>();
  in.expect(frame.version != 0);
  frame.change = get_change(in, kind);
  if (!in.finished()) return fail(ErrorCode::kCorrupt);
  return frame;
}

std::vector<std::byte> encode_snapshot(const State& state) {
  Writer out;
  out.put(kSnapshotMagic);
  out.put(kFormat);
  out.put(state.kept.empty() ? std::uint16_t{0} : kSnapshotKept);
  out.put(state.version);
  out.put(state.next_uid);
  out.count(state.streams.size());
  for (const auto& [uid, stream] : state.streams) put_stream(out, stream, false);
  if (!state.kept.empty()) {
    out.count(state.kept.size());
    for (const ShardKey& key : state.kept) {
      out.put(key.stream.raw());
      out.put(key.shard.raw());
    }
  }
  return out.take();
}

Result<State> decode_snapshot(std::span<const std::byte> bytes) {
  if (bytes.empty()) return State{};
  Reader in(bytes);
  if (const Result<> known = get_preamble(in, kSnapshotMagic); !known) {
    return std::unexpected(known.error());
  }
  const auto flags = in.get<std::uint16_t>();
  in.expect((flags & ~kSnapshotKept) == 0);
  State state;
  state.version = in.get<std::uint64_t>();
  state.next_uid = in.get<std::uint64_t>();
  const std::size_t n = in.count(kStreamBytesMin);
  StreamUid last;
  for (std::size_t i = 0; i < n && in.ok(); ++i) {
    StreamEntry stream = get_stream(in, false);
    in.expect(last < stream.uid);
    in.expect(stream.uid.raw() < state.next_uid);
    in.expect(tiles(stream));
    last = stream.uid;
    state.streams.emplace(stream.uid, std::move(stream));
  }
  if (flags != 0) {
    const std::size_t kept = in.count(kKeptBytes);
    in.expect(kept > 0);
    for (std::size_t i = 0; i < kept && in.ok(); ++i) {
      ShardKey key;
      key.stream = in.uid();
      key.shard = in.number();
      in.expect(state.kept.empty() || *state.kept.rbegin() < key);
      state.kept.insert(state.kept.end(), key);
    }
  }
  if (!in.finished()) return fail(ErrorCode::kCorrupt);
  return state;
}

}  // namespace penstock::catalog
