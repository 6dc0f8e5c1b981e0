// Goal: a consumer hands on every record of every shard once and in order, parents before children, within its
// credit, over losses and changes. Method: a server in memory, conversation by conversation; then losses, splits and
// merges by seeds, by subscription and by polling.
#include "base/hash_key.h"
#include "client/native/consumer_engine.h"
#include "route/md5.h"
#include "tests/support/newer/newer_tables.h"
#include "tests/unit/client/native/rig.h"

namespace penstock::client::native {
namespace {

using namespace test;

class ConsumerRig : public Rig {
 public:
  explicit ConsumerRig(unsigned seed = 1) : Rig(seed), maps(link) {
    settings.stream = "s";
    on_step = [this](Nanos at) {
      maps.tick(at);
      if (engine != nullptr) engine->tick(at);
    };
  }
  void begin() {
    ConsumerHandlers handlers;
    handlers.on_records = [this](const Records& records) {
      for (const Record& record : records.records) {
        EXPECT_EQ(record.index.raw(),
                  next.try_emplace(records.shard, record.index.raw()).first->second)
            << "shard " << records.shard.raw();
        next[records.shard] = record.index.raw() + 1;
        const std::string data(reinterpret_cast<const char*>(record.data.data()),
                               record.data.size());
        all += (all.empty() ? "" : " ") + data;
        read.emplace_back(std::string(record.key), data);
      }
      EXPECT_EQ(records.next.raw(), next[records.shard]);
      if (on_delivery) on_delivery();
    };
    handlers.on_progress = [this](ShardNumber shard, const Checkpoints::Point& point) {
      points.shards[shard] = point;
    };
    handlers.on_new_stream = [this] {
      points = {};
      next.clear();
    };
    handlers.on_shard_end = [this](ShardNumber shard) { ended.push_back(shard.raw()); };
    handlers.on_caught_up = [this] { caught_up += "after " + std::to_string(read.size()) + ";"; };
    handlers.on_problem = [this](ShardNumber shard, const Error& error) {
      problems.emplace_back(name(error.code));
      told += (shard == route::kNoShard ? "stream" : std::to_string(shard.raw())) + " ";
    };
    engine = std::make_unique<ConsumerEngine>(link, maps, settings, handlers, now());
  }
  // A batch in the shard that takes the key, as a server has stored it.
  void store(const std::string& key, const std::vector<std::string>& records) {
    const base::HashKey hash =
        route::md5_scalar({reinterpret_cast<const std::byte*>(key.data()), key.size()});
    BatchBytes batch;
    for (const std::string& data : records) {
      batch.add({.key = key, .data = std::as_bytes(std::span(data)), .hash = hash});
    }
    std::vector<std::byte> flat;
    const BatchFrame frame = frame_of(batch);
    for (const auto& part : parts_of(batch, frame))
      flat.insert(flat.end(), part.begin(), part.end());
    if (make) flat = make(flat);
    for (auto& [number, shard] : server.streams.at("s").shards) {
      if (!shard.route.open || hash < shard.route.begin || shard.route.end < hash) continue;
      const auto count = static_cast<std::uint32_t>(records.size());
      FakeShard::Batch stored{shard.next, count, {}};
      stored.stored.resize(storage::kBatchHeaderBytes + flat.size());
      storage::write_verbatim_batch(
          stored.stored, {.first = RecordIndex(shard.next), .arrival = WallMillis(7)}, flat, count);
      shard.batches.push_back(std::move(stored));
      shard.next += count;
      for (const std::string& data : records) shard.records.emplace_back(key, data);
    }
  }

  Maps maps;
  ConsumerSettings settings;
  std::unique_ptr<ConsumerEngine> engine;
  std::function<void()> on_delivery;
  std::function<std::vector<std::byte>(std::span<const std::byte>)>
      make;         // what a batch is stored as
  std::string all;  // data that was handed on, joined
  std::vector<std::pair<std::string, std::string>> read;
  std::map<ShardNumber, std::uint64_t> next;
  std::vector<std::uint32_t> ended;
  std::vector<std::string> problems;
  std::string told;  // of which shards
  std::string caught_up;
  Checkpoints points;
};

class Consumers : public testing::TestWithParam<bool> {
 protected:
  Consumers() { rig_.settings.polling = GetParam(); }
  ConsumerRig rig_;
};
INSTANTIATE_TEST_SUITE_P(ByGet, Consumers, testing::Bool(),
                         [](const auto& made) { return made.param ? "Polling" : "Subscribed"; });

TEST_P(Consumers, ReadFromTheHorizonAndOn) {
  rig_.server.create("s", 1);
  rig_.store("k", {"a", "b"});
  rig_.begin();
  rig_.run(10);
  rig_.store("k", {"c"});
  rig_.run(300);
  EXPECT_EQ(rig_.all, "a b c");
  EXPECT_EQ(rig_.points.shards[ShardNumber(0)], (Checkpoints::Point{RecordIndex(3), false}));
}

TEST_P(Consumers, ReadWhatIsLatest) {
  rig_.server.create("s", 1);
  rig_.store("k", {"a"});
  rig_.server.split("s", 0);
  rig_.store("k", {"b"});
  rig_.settings.start.kind = StartAt::Kind::kLatest;
  rig_.begin();
  rig_.run(10);
  rig_.store("k", {"c"});
  // What comes while there is no connection is not missed.
  rig_.run(200);
  rig_.cut();
  rig_.store("k", {"d"});
  rig_.run(500);
  EXPECT_EQ(rig_.all, "c d");
}

TEST_P(Consumers, BeginWithinABatch) {
  rig_.server.create("s", 1);
  rig_.store("k", {"a", "b", "c", "d"});
  rig_.settings.checkpoints.shards[ShardNumber(0)] = {RecordIndex(2), false};
  rig_.begin();
  rig_.run(10);
  EXPECT_EQ(rig_.all, "c d");
}

TEST_P(Consumers, ReadFromAServerOfALaterVersion) {
  rig_.server.rewrite = [](proto::MessageKind kind, std::span<const std::byte> table) {
    return penstock::test::remade(kind, table);
  };
  rig_.server.create("s", 1);
  rig_.store("k", {"a", "b"});
  rig_.server.split("s", 0);
  rig_.store("k", {"c"});
  rig_.begin();
  rig_.run(500);
  rig_.store("k", {"d"});
  rig_.cut();
  rig_.run(500);
  EXPECT_EQ(rig_.all, "a b c d");
  EXPECT_EQ(rig_.ended, std::vector<std::uint32_t>{0});
  EXPECT_TRUE(rig_.problems.empty());
}

TEST_P(Consumers, ReadBatchesOfALaterProducer) {
  rig_.server.create("s", 1);
  rig_.store("k", {"a"});
  rig_.make = [](std::span<const std::byte> batch) {
    return penstock::test::remade<newer::Batch>(batch);
  };
  rig_.store("k", {"b", "c"});
  rig_.begin();
  rig_.run(300);
  EXPECT_EQ(rig_.all, "a b c");
}

TEST_P(Consumers, ReadParentsBeforeTheirChildren) {
  rig_.server.create("s", 2);
  for (int i = 0; i < 20; ++i) rig_.store("key " + std::to_string(i), {"parent"});
  rig_.server.merge("s", 0, 1);
  for (int i = 0; i < 20; ++i) rig_.store("key " + std::to_string(i), {"child"});
  rig_.server.delivery_records = 1;
  rig_.begin();
  rig_.run(GetParam() ? 8'000 : 200);
  ASSERT_EQ(rig_.read.size(), 40U);
  for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(rig_.read[i].second, i < 20 ? "parent" : "child");
  EXPECT_EQ(rig_.ended.size(), 2U);
}

TEST_P(Consumers, FollowASplitThatComesWhileTheyRead) {
  rig_.server.create("s", 1);
  rig_.store("k", {"a"});
  rig_.begin();
  rig_.run(10);
  rig_.server.split("s", 0);
  rig_.store("k", {"b"});
  rig_.run(500);
  EXPECT_EQ(rig_.all, "a b");
  EXPECT_EQ(rig_.ended, std::vector<std::uint32_t>{0});
}

TEST_P(Consumers, WaitForAParentThatTheMapDoesNotHaveYet) {
  rig_.server.create("s", 2);
  rig_.begin();
  rig_.run(10);
  rig_.lag = true;
  rig_.server.tells = false;
  for (int i = 0; i < 50; ++i) rig_.store("of 1", {""});
  rig_.server.split("s", 1);
  for (int i = 0; i < 20; ++i) rig_.store("key " + std::to_string(i), {"parent"});
  rig_.server.merge("s", 0, 2);
  for (int i = 0; i < 20; ++i) rig_.store("key " + std::to_string(i), {"child"});
  // 0 ends long before 1, and tells of 4, the other parent of which is a child of 1.
  rig_.server.delivery_records = 1;
  rig_.run(GetParam() ? 8'000 : 500);
  ASSERT_EQ(rig_.read.size(), 90U);
  std::map<std::string, std::string> of_key;
  for (const auto& [key, data] : rig_.read) of_key[key] += data;
  of_key.erase("of 1");
  for (const auto& [key, all] : of_key) EXPECT_EQ(all, "parentchild") << key;
}

TEST_P(Consumers, GoOnFromCheckpoints) {
  rig_.server.create("s", 1);
  rig_.store("k", {"a", "b"});
  rig_.server.split("s", 0);
  rig_.store("k", {"c", "d"});
  rig_.settings.start.kind = StartAt::Kind::kLatest;
  rig_.settings.checkpoints.shards[ShardNumber(0)] = {RecordIndex(1), false};
  rig_.begin();
  rig_.run(500);
  EXPECT_EQ(rig_.all, "b c d");  // a child of what was read begins at its first
  const auto text = rig_.points.serialize();
  const auto parsed = Checkpoints::parse(text);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->shards, rig_.points.shards);
  ConsumerRig later;
  later.server.streams = rig_.server.streams;
  later.settings.checkpoints = *parsed;
  later.begin();
  later.run(100);
  EXPECT_EQ(later.all, "");
  later.store("k", {"e"});
  later.run(300);
  EXPECT_EQ(later.all, "e");
}

TEST_P(Consumers, SayOnceThatTheyHaveCaughtUp) {
  rig_.server.create("s", 2);
  for (int i = 0; i < 20; ++i) rig_.store("key " + std::to_string(i), {"parent"});
  rig_.server.split("s", 0);
  for (int i = 0; i < 20; ++i) rig_.store("key " + std::to_string(i), {"child"});
  rig_.server.delivery_records = 3;
  rig_.begin();
  rig_.run(GetParam() ? 8'000 : 300);
  EXPECT_EQ(rig_.caught_up, "after 40;");
  rig_.store("k", {"more"});
  rig_.run(300);
  EXPECT_EQ(rig_.read.size(), 41U);
  EXPECT_EQ(rig_.caught_up, "after 40;");
}

TEST_P(Consumers, CatchUpWithNothing) {
  rig_.server.create("s", 2);
  rig_.store("k", {"a"});
  rig_.settings.start.kind = StartAt::Kind::kLatest;
  rig_.begin();
  rig_.run(200);
  EXPECT_EQ(rig_.caught_up, "after 0;");
}

TEST_P(Consumers, BeginWithTheShardsThatAreNamedAndFollowTheirChildren) {
  rig_.server.create("s", 2);
  for (int i = 0; i < 20; ++i) rig_.store("key " + std::to_string(i), {"first"});
  const std::size_t of_one = rig_.server.streams.at("s").shards.at(1).next;
  rig_.settings.shards = {ShardNumber(1)};
  rig_.begin();
  rig_.run(100);
  EXPECT_EQ(rig_.read.size(), of_one);
  EXPECT_EQ(rig_.caught_up, "after " + std::to_string(of_one) + ";");
  rig_.server.split("s", 1);
  rig_.server.split("s", 0);
  for (int i = 0; i < 20; ++i) rig_.store("key " + std::to_string(i), {"second"});
  rig_.run(GetParam() ? 8'000 : 500);
  EXPECT_EQ(rig_.read.size(), 2 * of_one);
  EXPECT_EQ(rig_.ended, std::vector<std::uint32_t>{1});
}

TEST_P(Consumers, SayWhichOfTheNamedShardsAreNotThere) {
  rig_.server.create("s", 2);
  rig_.store("k", {"a"});
  rig_.settings.shards = {ShardNumber(7), ShardNumber(9)};
  rig_.begin();
  rig_.run(900);
  EXPECT_EQ(rig_.told, "");  // the map may be old
  rig_.run(3'000);
  EXPECT_EQ(rig_.told, "7 9 ");
  EXPECT_EQ(rig_.problems, (std::vector<std::string>{"kNotFound", "kNotFound"}));
  EXPECT_EQ(rig_.caught_up, "");
  EXPECT_EQ(rig_.all, "");
}

TEST_P(Consumers, ReadThoseOfTheNamedShardsThatAreThere) {
  rig_.server.create("s", 2);
  for (int i = 0; i < 20; ++i) rig_.store("key " + std::to_string(i), {"first"});
  const std::string of_one = std::to_string(rig_.server.streams.at("s").shards.at(1).next);
  rig_.settings.shards = {ShardNumber(1), ShardNumber(9)};
  rig_.begin();
  rig_.run(500);
  EXPECT_EQ(rig_.caught_up, "");  // not before the other was told
  rig_.run(1'000);
  EXPECT_EQ(rig_.told, "9 ");
  EXPECT_EQ(rig_.caught_up, "after " + of_one + ";");
}

TEST_P(Consumers, ReadANamedShardThatComesLater) {
  rig_.server.create("s", 1);
  rig_.settings.shards = {ShardNumber(1)};
  rig_.begin();
  rig_.run(500);
  rig_.server.split("s", 0);
  for (int i = 0; i < 20; ++i) rig_.store("key " + std::to_string(i), {"child"});
  rig_.run(2'000);
  EXPECT_EQ(rig_.read.size(), rig_.server.streams.at("s").shards.at(1).next);
  EXPECT_EQ(rig_.told, "");
}

// An application that goes on from checkpoints names what it named at first.
TEST_P(Consumers, MissNoShardThatTheyHaveReadBefore) {
  rig_.server.create("s", 1);
  rig_.store("k", {"a"});
  rig_.settings.shards = {ShardNumber(7), ShardNumber(0)};
  rig_.settings.checkpoints.shards[ShardNumber(7)] = {RecordIndex(5), true};
  rig_.begin();
  rig_.run(2'000);
  EXPECT_EQ(rig_.told, "");
  EXPECT_EQ(rig_.caught_up, "after 1;");
}

// Long away: what they have read has expired, and its children, too.
TEST_P(Consumers, SayThatNothingIsLeftOfWhatTheyHaveReadBefore) {
  rig_.server.create("s", 1);
  rig_.settings.shards = {ShardNumber(7)};
  rig_.settings.checkpoints.shards[ShardNumber(7)] = {RecordIndex(5), true};
  rig_.begin();
  rig_.run(5'000);
  EXPECT_EQ(rig_.problems, std::vector<std::string>{"kNotFound"});
  EXPECT_EQ(rig_.caught_up, "");
  rig_.server.reshaped();
  rig_.run(5'000);
  EXPECT_EQ(rig_.problems.size(), 1U) << "told once";
}

TEST_P(Consumers, SayOnceThatThereIsNoSuchStream) {
  rig_.begin();
  rig_.run(900);
  EXPECT_EQ(rig_.told, "");
  rig_.run(5'000);
  EXPECT_EQ(rig_.told, "stream ");
  EXPECT_EQ(rig_.problems, std::vector<std::string>{"kNotFound"});
  EXPECT_EQ(rig_.caught_up, "");
  rig_.server.create("s", 1);
  rig_.store("k", {"a"});
  rig_.run(500);
  EXPECT_EQ(rig_.all, "a");
  EXPECT_EQ(rig_.caught_up, "after 1;");
}

TEST_P(Consumers, ReadAStreamThatIsMadeAnewFromItsBeginning) {
  rig_.server.create("s", 2);
  for (int i = 0; i < 20; ++i) rig_.store("key " + std::to_string(i), {"old"});
  rig_.begin();
  rig_.run(GetParam() ? 500 : 100);
  EXPECT_EQ(rig_.read.size(), 20U);
  rig_.server.streams.erase("s");
  rig_.server.reshaped();
  rig_.run(500);
  EXPECT_EQ(rig_.points.shards.size(), 2U);
  rig_.server.create("s", 1);
  rig_.store("k", {"new"});
  rig_.run(500);
  EXPECT_EQ(rig_.read.size(), 21U);
  EXPECT_EQ(rig_.read.back().second, "new");
  EXPECT_EQ(rig_.points.shards.size(), 1U) << "nothing of the other stream is saved";
}

TEST_P(Consumers, SayWhichShardsHaveNoLane) {
  rig_.server.lanes_max = 3;
  rig_.server.create("s", 5);
  for (int i = 0; i < 50; ++i) rig_.store("key " + std::to_string(i), {"first"});
  rig_.settings.shards = {ShardNumber(0), ShardNumber(1), ShardNumber(2), ShardNumber(3),
                          ShardNumber(4)};
  rig_.begin();
  rig_.run(4'900);
  EXPECT_EQ(rig_.told, "");  // one of the others may end
  rig_.run(5'000);
  EXPECT_EQ(rig_.told, "3 4 ");
  EXPECT_EQ(rig_.problems, (std::vector<std::string>{"kOverloaded", "kOverloaded"}));
  const auto& shards = rig_.server.streams.at("s").shards;
  const std::uint64_t of_three = shards.at(0).next + shards.at(1).next + shards.at(2).next;
  EXPECT_EQ(rig_.read.size(), of_three);
  EXPECT_EQ(rig_.caught_up, "");
  // Two end, and leave a child: one of those that wait is read at least.
  rig_.server.merge("s", 0, 1);
  rig_.run(2'000);
  EXPECT_GT(rig_.read.size(), of_three);
}

TEST(Consumer, ComesAgainLaterWhereTheServerHasNoLaneForIt) {
  ConsumerRig rig;
  rig.server.create("s", 1);
  rig.begin();
  std::uint32_t openings = 0;
  for (int i = 0; i < 80; ++i) {
    rig.run(100);
    if (rig.connection->session().has_lane(1 + openings)) rig.connection->end_lane(1 + openings++);
  }
  EXPECT_GT(openings, 5U);
  EXPECT_LT(openings, 10U);
}

TEST_P(Consumers, SayThatAStreamIsGone) {
  rig_.server.create("s", 1);
  rig_.begin();
  rig_.run(10);
  rig_.server.streams.erase("s");
  rig_.server.reshaped();
  rig_.run(500);
  EXPECT_FALSE(rig_.problems.empty());
  for (const std::string& problem : rig_.problems) EXPECT_EQ(problem, "kNotFound");
}

TEST(Consumer, NeverHasMoreOnItsWayThanItsCredit) {
  ConsumerRig rig;
  rig.server.create("s", 1);
  const std::string large(30'000, 'x');
  for (int i = 0; i < 100; ++i) rig.store("k", {large});
  rig.server.delivery_records = 1;
  rig.settings.credit_bytes = 100'000;
  rig.begin();
  rig.run(400);
  EXPECT_EQ(rig.read.size(), 100U);
  EXPECT_EQ(rig.server.credit_seen, 100'000U);
}

TEST(Consumer, GrantsMoreToABatchThatIsLargerThanItsCredit) {
  ConsumerRig rig;
  rig.server.create("s", 1);
  rig.store("k", {"a"});
  rig.settings.credit_bytes = 40'000;  // the server here sends only with 64 KiB
  rig.begin();
  rig.run(10);
  EXPECT_EQ(rig.all, "");
  rig.connection->session().reset(1, transport::CloseCode::kSlow, "no credit");
  rig.run(200);
  EXPECT_EQ(rig.all, "a");
}

TEST(Consumer, GoesOnBehindLostData) {
  ConsumerRig rig;
  rig.settings.polling = true;
  rig.server.create("s", 1);
  rig.store("k", {"a", "b"});
  rig.store("k", {"c"});
  rig.settings.get_records = 1;
  rig.server.on_get = [](const proto::Get& get) -> std::optional<Refusal> {
    if (get.position()->index() >= 2) return std::nullopt;
    return Refusal{.code = ErrorCode::kDataLoss, .next = 2};
  };
  rig.begin();
  rig.run(500);
  EXPECT_EQ(rig.all, "c");
  EXPECT_EQ(rig.problems, std::vector<std::string>{"kDataLoss"});
}

TEST(Consumer, AStoppedOneHandsOnNothing) {
  ConsumerRig rig;
  rig.server.create("s", 1);
  rig.store("k", {"a"});
  rig.store("k", {"b"});
  rig.server.delivery_records = 1;
  rig.on_delivery = [&rig] { rig.engine->stop(); };
  rig.begin();
  rig.run(100);
  EXPECT_EQ(rig.all, "a");
}

TEST(Consumer, CheckpointsRefuseWhatIsNone) {
  for (const char* text :
       {"", "penstock-checkpoints 2\n", "penstock-checkpoints 1\nx 1\n",
        "penstock-checkpoints 1\n1\n", "penstock-checkpoints 1\n1 2 over\n",
        "penstock-checkpoints 1\n1 2\n1 3\n", "penstock-checkpoints 1\n-1 2\n"}) {
    EXPECT_FALSE(Checkpoints::parse(text)) << text;
  }
  EXPECT_TRUE(Checkpoints::parse("penstock-checkpoints 1\n3 18446744073709551615 end\n"));
}

TEST(ConsumerFaults, EachRecordOnceAndInOrder) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&random](std::uint32_t n) {
      return static_cast<std::uint32_t>(random() % n);
    };
    ConsumerRig rig(seed);
    rig.settings.polling = below(2) == 0;
    rig.server.create("s", 1 + below(3));
    rig.server.delivery_records = 1 + below(20);
    rig.begin();
    int number = 0;
    for (int i = 0; i < 400; ++i) {
      if (below(2) == 0) {
        std::vector<std::string> records;
        for (std::uint32_t n = 1 + below(4); n > 0; --n)
          records.push_back(std::to_string(number++));
        rig.store("key " + std::to_string(below(9)), records);
      }
      if (below(60) == 0) rig.cut();
      if (below(30) == 0) rig.lag = !rig.lag;
      if (below(100) == 0) {
        const auto& shards = rig.server.streams.at("s").shards;
        const std::uint32_t at = below(static_cast<std::uint32_t>(shards.size()));
        if (shards.at(at).route.open) rig.server.split("s", at);
      }
      rig.step(kNanosPerMilli);
    }
    rig.lag = false;
    rig.run(12'000);
    ASSERT_EQ(rig.read.size(), static_cast<std::size_t>(number)) << seed;
    std::map<std::string, int> last;
    for (const auto& [key, data] : rig.read) {
      ASSERT_GT(std::stoi(data) + 1, last[key]) << seed;
      last[key] = std::stoi(data) + 1;
    }
    ASSERT_TRUE(rig.problems.empty()) << seed;
  }
}

}  // namespace
}  // namespace penstock::client::native
