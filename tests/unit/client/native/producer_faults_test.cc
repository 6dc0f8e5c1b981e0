// Goal: whatever fails, each record is stored once, or the producer says truthfully that it is not or may not be, and the
// records of a key keep their order. Without idempotence: at least once, and once more at most for each batch that was
// sent again in doubt. Method: everything that can fail does, by seeds; then nothing does any more, and what the
// producer was told is compared with what the server has.
// PENSTOCK_CLIENT_SEEDS: how many, by default 1,000. PENSTOCK_CLIENT_SEED: that one alone.
#include "tests/unit/client/native/producer_rig.h"

#include <cstdlib>

namespace penstock::client::native {
namespace {

using namespace test;

class World {
 public:
  World(unsigned seed, bool idempotent)
      : random_(seed), idempotent_(idempotent), rig_(seed, settings()) {
    rig_.server.create("s", 1 + below(3));
    rig_.server.answer_delay_nanos = [this] { return below(3) == 0 ? below(40) * kMilli : 0; };
    rig_.server.on_put = [this](const SeenPut& put) { return refusal(put); };
    rig_.server.on_open_put = [this](const proto::OpenPut&) -> std::optional<Refusal> {
      if (calm_ || below(20) > 0) return std::nullopt;
      if (below(2) == 0) return Refusal{.code = ErrorCode::kUnknownOutcome};
      return Refusal{.code = ErrorCode::kProducersFull, .retry_after_ms = 5};
    };
    rig_.begin();
  }

  void run() {
    for (int i = 0; i < 500; ++i) {
      act();
      rig_.step(kMilli);
    }
    calm_ = true;
    rig_.reachable = true;
    rig_.lag = false;
    rig_.server.answer_delay_nanos = nullptr;
    rig_.run(12'000);
    rig_.engine->flush(rig_.now());
    rig_.run(1'000);
    compare();
  }

  std::uint64_t unknown = 0, refused = 0, stored = 0, epochs = 0, cuts = 0, again = 0;

 private:
  static constexpr std::int64_t kMilli = kNanosPerMilli;

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }

  ProducerSettings settings() {
    ProducerSettings settings;
    settings.stream = "s";
    settings.batch_records = 1 + below(5);
    settings.linger_nanos = below(4) * kMilli;
    settings.sequence_max = below(2) == 0 ? 5 + below(20) : UINT32_MAX - 1;
    settings.idempotent = idempotent_;
    return settings;
  }

  // Whether a record is bad is the record's, as it is a server's rule: a late copy is refused, too.
  std::optional<Refusal> refusal(const SeenPut& put) {
    for (std::uint32_t i = 0; i < put.data.size(); ++i) {
      if (put.data[i].starts_with("bad")) {
        return Refusal{.code = ErrorCode::kMalformed,
                       .record = put.data.size() % 2 == 0 ? i : UINT32_MAX};
      }
    }
    if (calm_) return std::nullopt;
    switch (below(40)) {
      case 0:
        return Refusal{.code = ErrorCode::kThrottled, .retry_after_ms = 1 + below(60)};
      case 1:
        return Refusal{.code = ErrorCode::kJournalFull};
      case 2:
        return Refusal{.code = ErrorCode::kUnknownOutcome};
      default:
        return std::nullopt;
    }
  }

  void act() {
    for (std::uint32_t i = below(4); i > 0; --i) put();
    switch (below(60)) {
      case 0:
        ++cuts;
        return rig_.cut(below(2) == 0 ? -1 : static_cast<std::int64_t>(below(400)) * kMilli);
      case 1:
        rig_.reachable = !rig_.reachable;
        return;
      case 2:
      case 3:
        rig_.lag = !rig_.lag;
        return;
      case 4:
        return reshape();
      case 5:
        if (rig_.connection != nullptr && rig_.connection->session().open()) {
          const std::uint32_t lane = 1 + below(12);
          if (rig_.connection->session().has_lane(lane)) rig_.connection->end_lane(lane);
        }
        return;
      default:
        rig_.reachable = rig_.reachable || below(40) == 0;
    }
  }

  void put() {
    const std::string data = (below(60) == 0 ? "bad" : "") + std::to_string(puts_++);
    keys_.push_back("key " + std::to_string(below(9)));
    names_.push_back(data);
    rig_.patience = (below(3) == 0 ? 20 + below(300) : 30'000) * kMilli;
    rig_.put(keys_.back(), data);
  }

  void reshape() {
    if (++reshaped_ > 8) return;
    std::vector<std::pair<base::HashKey, std::uint32_t>> open;
    for (const auto& [number, shard] : rig_.server.streams.at("s").shards) {
      if (shard.route.open) open.emplace_back(shard.route.begin, number);
    }
    std::ranges::sort(open);
    const std::uint32_t at = below(static_cast<std::uint32_t>(open.size()));
    if (below(2) == 0 || open.size() < 2 || at + 1 == open.size()) {
      rig_.server.split("s", open[at].second);
    } else {
      rig_.server.merge("s", open[at].second, open[at + 1].second);
    }
  }

  void compare() {
    std::map<std::string, std::uint64_t> times;
    std::map<std::string, std::int64_t> last;
    for (const auto& [key, data] : rig_.server.streams.at("s").all()) {
      ++times[data];
      const std::int64_t number = std::stoll(data);  // bad ones are never stored
      if (idempotent_) {
        EXPECT_GT(number, last.try_emplace(key, -1).first->second) << key;
      }
      last[key] = number;
    }
    const std::uint64_t most = idempotent_ ? 1 : 1 + rig_.engine->counters().batches_repeated;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const std::string result = rig_.result(names_[i]);
      const std::uint64_t count = times[names_[i]];
      EXPECT_LE(count, most) << names_[i];
      if (count > 1) ++again;
      if (result == "stored") {
        EXPECT_GE(count, 1U) << names_[i];
        const Stored& place = rig_.places[names_[i]];
        const FakeShard& shard = rig_.server.streams.at("s").shards.at(place.shard.raw());
        ASSERT_LT(place.index.raw(), shard.records.size());
        EXPECT_EQ(shard.records[place.index.raw()].second, names_[i]);
        ++stored;
      } else if (result == "kUnknownOutcome") {
        ++unknown;
      } else {
        EXPECT_EQ(count, 0U) << names_[i] << " " << result;
        EXPECT_TRUE(result == "kDeadline" || result == "kMalformed") << names_[i] << " " << result;
        ++refused;
      }
    }
    EXPECT_EQ(rig_.buffered, 0U);
    for (const std::string& line : rig_.server.log) {
      EXPECT_FALSE(line.starts_with("Close kProtocol") || line == "malformed" ||
                   line.starts_with("too many"))
          << line;
      if (line.starts_with("OpenPut") && !line.ends_with("epoch 1")) ++epochs;
    }
    if (idempotent_) return;
    for (const auto& [number, shard] : rig_.server.streams.at("s").shards) {
      EXPECT_TRUE(shard.producers.empty());
    }
  }

  std::mt19937 random_;
  bool idempotent_;
  ProducerRig rig_;
  bool calm_ = false;
  std::uint32_t reshaped_ = 0;
  std::int64_t puts_ = 0;
  std::vector<std::string> keys_;
  std::vector<std::string> names_;
};

class ProducerFaults : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(ByKind, ProducerFaults, testing::Bool(),
                         [](const auto& made) { return made.param ? "Idempotent" : "Plain"; });

TEST_P(ProducerFaults, EachRecordAsOftenAsPromisedOrToldTruthfully) {
  const char* wanted = std::getenv("PENSTOCK_CLIENT_SEEDS");
  const unsigned seeds = wanted == nullptr ? 1'000 : static_cast<unsigned>(std::atoi(wanted));
  const char* only = std::getenv("PENSTOCK_CLIENT_SEED");
  const unsigned first = only == nullptr ? 1 : static_cast<unsigned>(std::atoi(only));
  std::uint64_t unknown = 0, refused = 0, stored = 0, epochs = 0, cuts = 0, again = 0;
  for (unsigned seed = first; seed < first + (only == nullptr ? seeds : 1); ++seed) {
    World world(seed, GetParam());
    world.run();
    unknown += world.unknown;
    refused += world.refused;
    stored += world.stored;
    epochs += world.epochs;
    cuts += world.cuts;
    again += world.again;
    ASSERT_FALSE(testing::Test::HasFailure()) << "PENSTOCK_CLIENT_SEED=" << seed;
  }
  // It has happened.
  if (only != nullptr || seeds < 100) return;
  EXPECT_GT(refused, seeds);
  EXPECT_GT(stored, 100 * seeds);
  if (GetParam()) {
    EXPECT_GT(unknown, seeds);
    EXPECT_GT(epochs, seeds / 2);
  } else {
    EXPECT_GT(again, seeds);
  }
  EXPECT_GT(cuts, seeds);
}

}  // namespace
}  // namespace penstock::client::native
