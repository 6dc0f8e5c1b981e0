// Goal: frames and snapshots come back as they were written, and no bytes whatever do harm.
// Method: round trips of every kind of change, then every truncation, every single-bit flip and
// appended bytes of valid encodings.
#include "catalog/codec.h"

#include "catalog/placement.h"

#include <gtest/gtest.h>

#include <vector>

namespace penstock::catalog {
namespace {

StreamEntry sample_stream() {
  StreamEntry stream;
  stream.uid = StreamUid(7);
  stream.name = "fleet";
  stream.mode = route::StreamMode::kOnDemand;
  stream.created_ms = 1'700'000'000'123;
  stream.retention_hours = 48;
  stream.record_bytes_max = 10'485'760;
  stream.limits = {.write_bytes = 1, .write_records = 2, .read_bytes = 3, .reads = 4};
  for (const Range& range : initial_ranges(3)) {
    ShardEntry shard;
    shard.number = ShardNumber(stream.next_shard++);
    shard.begin = range.begin;
    shard.end = range.end;
    shard.cell = CellId(2);
    shard.created_second = 1'700'000'000;
    stream.shards.push_back(shard);
  }
  return stream;
}

State sample_state() {
  State state;
  StreamEntry stream = sample_stream();
  EXPECT_TRUE(state.apply(3, Create{.stream = stream}).has_value());
  EXPECT_TRUE(
      state.apply(4, Opened{.stream = stream.uid, .shards = {ShardNumber(0), ShardNumber(2)}})
          .has_value());
  Intent intent{.parent = ShardNumber(0), .adjacent_parent = ShardNumber(1), .split_key = {}};
  EXPECT_TRUE(state.apply(6, Announce{.stream = stream.uid, .intent = intent}).has_value());
  return state;
}

std::vector<Change> every_change() {
  StreamEntry stream = sample_stream();
  Commit commit;
  commit.stream = stream.uid;
  commit.map_epoch = 99;
  commit.closed_ms = -5;
  commit.closed_retention = RetentionMillis(17);
  commit.parents = {{.number = ShardNumber(1), .final_index = 1000}};
  commit.children = {stream.shards[1]};
  Intent intent{.parent = ShardNumber(1), .split_key = {1, 2}};
  return {Create{.stream = stream},
          Opened{.stream = stream.uid, .shards = {ShardNumber(0), ShardNumber(1)}},
          Delete{.stream = stream.uid},
          Gone{.stream = stream.uid},
          Announce{.stream = stream.uid, .intent = intent},
          commit,
          Abort{.stream = stream.uid},
          SetRetention{.stream = stream.uid, .hours = 8760},
          Drop{.stream = stream.uid, .shards = {ShardNumber(5)}}};
}

TEST(Codec, FramesComeBack) {
  for (const Change& change : every_change()) {
    const std::vector<std::byte> bytes = encode_frame(42, change);
    const Result<Frame> frame = decode_frame(bytes);
    ASSERT_TRUE(frame.has_value()) << change.index();
    EXPECT_EQ(frame->version, 42U);
    EXPECT_EQ(frame->change.index(), change.index());
    EXPECT_EQ(encode_frame(42, frame->change), bytes);
  }
}

TEST(Codec, ACommitKeepsItsFields) {
  const Result<Frame> frame = decode_frame(encode_frame(1, every_change()[5]));
  ASSERT_TRUE(frame.has_value());
  const auto& commit = std::get<Commit>(frame->change);
  EXPECT_EQ(commit.map_epoch, 99U);
  EXPECT_EQ(commit.closed_ms, -5);
  EXPECT_EQ(commit.closed_retention, RetentionMillis(17));
  ASSERT_EQ(commit.parents.size(), 1U);
  EXPECT_EQ(commit.parents[0].final_index, 1000U);
  ASSERT_EQ(commit.children.size(), 1U);
  EXPECT_EQ(commit.children[0], sample_stream().shards[1]);
}

TEST(Codec, TheSnapshotComesBack) {
  const State state = sample_state();
  const Result<State> again = decode_snapshot(encode_snapshot(state));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, state);
}

TEST(Codec, KeptShardsComeBack) {
  State state = sample_state();
  state.kept = {{StreamUid(7), ShardNumber(9)}, {StreamUid(8), ShardNumber(0)}};
  const std::vector<std::byte> bytes = encode_snapshot(state);
  const Result<State> again = decode_snapshot(bytes);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, state);
  for (std::size_t length = 1; length < bytes.size(); ++length) {
    EXPECT_FALSE(decode_snapshot(std::span(bytes).first(length)).has_value()) << length;
  }
}

TEST(Codec, NoSnapshotIsANewDirectory) {
  const Result<State> state = decode_snapshot({});
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(*state, State{});
}

TEST(Codec, TruncatedOrProlongedIsCorrupt) {
  for (const Change& change : every_change()) {
    std::vector<std::byte> bytes = encode_frame(1, change);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      const Result<Frame> frame = decode_frame(std::span(bytes).first(length));
      ASSERT_FALSE(frame.has_value()) << change.index() << " at " << length;
      EXPECT_EQ(frame.error().code, ErrorCode::kCorrupt);
    }
    bytes.push_back(std::byte{0});
    EXPECT_FALSE(decode_frame(bytes).has_value());
  }
  const std::vector<std::byte> snapshot = encode_snapshot(sample_state());
  for (std::size_t length = 1; length < snapshot.size(); ++length) {
    EXPECT_FALSE(decode_snapshot(std::span(snapshot).first(length)).has_value()) << length;
  }
}

TEST(Codec, AFlippedBitIsRefusedOrReadBackTheSame) {
  for (const Change& change : every_change()) {
    const std::vector<std::byte> good = encode_frame(1, change);
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
      std::vector<std::byte> bad = good;
      bad[bit / 8] ^= std::byte{1} << (bit % 8);
      const Result<Frame> frame = decode_frame(bad);
      if (!frame) continue;
      EXPECT_EQ(encode_frame(frame->version, frame->change), bad);
    }
  }
}

TEST(Codec, ANewerFormatSaysSo) {
  std::vector<std::byte> frame = encode_frame(1, Delete{.stream = StreamUid(1)});
  frame[4] = std::byte{2};
  EXPECT_EQ(decode_frame(frame).error().code, ErrorCode::kNewerFormat);
  std::vector<std::byte> snapshot = encode_snapshot(State{});
  snapshot[4] = std::byte{2};
  EXPECT_EQ(decode_snapshot(snapshot).error().code, ErrorCode::kNewerFormat);
}

TEST(Codec, AHugeCountAllocatesNothing) {
  // OPENED that claims 2^32 - 1 shards in four bytes.
  std::vector<std::byte> frame = encode_frame(1, Opened{.stream = StreamUid(1), .shards = {}});
  for (std::size_t i = frame.size() - 4; i < frame.size(); ++i) frame[i] = std::byte{0xff};
  EXPECT_FALSE(decode_frame(frame).has_value());
}

TEST(State, AChangeAppliedTwiceCountsOnce) {
  State state = sample_state();
  const State before = state;
  EXPECT_TRUE(state.apply(6, Delete{.stream = StreamUid(7)}).has_value());
  EXPECT_EQ(state, before);
}

TEST(State, AChangeThatCannotFollowIsCorrupt) {
  State state = sample_state();
  EXPECT_FALSE(state.apply(7, Delete{.stream = StreamUid(8)}).has_value());
  EXPECT_FALSE(state.apply(7, Gone{.stream = StreamUid(7)}).has_value());
  EXPECT_FALSE(state.apply(7, Create{.stream = sample_stream()}).has_value());
  Commit commit;
  commit.stream = StreamUid(7);
  commit.parents = {{.number = ShardNumber(1), .final_index = 0}};
  EXPECT_FALSE(state.apply(7, commit).has_value()) << "a hole in the key space";
  EXPECT_EQ(state.version, 6U);
}

TEST(Ranges, AreTheServices) {
  const std::vector<Range> three = initial_ranges(3);
  EXPECT_EQ(three[0].begin.decimal(), "0");
  EXPECT_EQ(three[0].end.decimal(), "113427455640312821154458202477256070484");
  EXPECT_EQ(three[1].begin.decimal(), "113427455640312821154458202477256070485");
  EXPECT_EQ(three[2].begin.decimal(), "226854911280625642308916404954512140970");
  EXPECT_EQ(three[2].end, base::kHashKeyMax);
  EXPECT_EQ(initial_ranges(1)[0].end, base::kHashKeyMax);
  EXPECT_EQ(initial_ranges(2)[1].begin, (base::HashKey{1ULL << 63, 0}));
  for (const std::uint32_t n : {1U, 2U, 5U, 7U, 64U, 1000U, 4096U}) {
    StreamEntry stream;
    for (const Range& range : initial_ranges(n)) {
      ShardEntry shard;
      shard.number = ShardNumber(stream.next_shard++);
      shard.begin = range.begin;
      shard.end = range.end;
      stream.shards.push_back(shard);
    }
    EXPECT_TRUE(tiles(stream)) << n;
  }
}

}  // namespace
}  // namespace penstock::catalog
