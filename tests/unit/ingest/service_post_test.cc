// Goal: a publication is done when every data core has its map, and they are done in their order; the
// clock of expiry reaches every cell. Method: cores are turned one by one.
#include "two_cores.h"

namespace penstock::ingest {
namespace {

// What the service core saw when it was told that a map is everywhere.
struct Publication {
  TwoCores* rig;
  std::vector<int>* order;
  int name;
  std::vector<std::uint64_t> epochs;

  static void done(void* context, Nanos) {
    auto& self = *static_cast<Publication*>(context);
    self.order->push_back(self.name);
    for (std::uint16_t core = 0; core < TwoCores::kCores; ++core) {
      self.epochs.push_back(self.rig->core(core).routes()->epoch);
    }
  }
};

TEST(ServicePost, IsDoneOnceEveryCoreHasTheMapInTheOrderOfPublications) {
  TwoCores rig;
  std::vector<int> order;
  Publication first{&rig, &order, 1, {}};
  Publication second{&rig, &order, 2, {}};
  const auto publish = [&](Publication& publication) {
    rig.service().publish(rig.next_map(), &Publication::done, &publication, rig.time.now());
  };
  publish(first);
  EXPECT_EQ(rig.core(0).routes()->epoch, 0U) << "by mail, never inside publish";
  rig.turn_core(0);
  rig.turn_service();
  EXPECT_TRUE(order.empty()) << "core 1 has not turned";
  publish(second);
  rig.turn_core(1);  // both at once
  EXPECT_TRUE(order.empty()) << "on the service core alone";
  rig.turn_service();
  EXPECT_EQ(order, std::vector{1});
  EXPECT_EQ(first.epochs, (std::vector<std::uint64_t>{1, 2}));
  rig.turn_core(1);
  rig.turn_service();
  EXPECT_EQ(order, std::vector{1}) << "core 0 has the first one alone";
  rig.turn_core(0);
  rig.turn_service();
  EXPECT_EQ(order, (std::vector{1, 2}));
  EXPECT_EQ(second.epochs, (std::vector<std::uint64_t>{2, 2}));
  rig.pass(300 * kNanosPerMilli);
  EXPECT_EQ(order, (std::vector{1, 2})) << "once each";
}

// The acknowledgements of both arrive in one turn of the service core.
TEST(ServicePost, APublicationMayBeginWhereOneEnds) {
  TwoCores rig;
  std::vector<int> order;
  Publication last{&rig, &order, 3, {}};
  Publication middle{&rig, &order, 2, {}};
  struct Chain {
    TwoCores& rig;
    std::vector<int>& order;
    Publication& then;
  } chain{rig, order, last};
  rig.service().publish(
      rig.next_map(),
      [](void* context, Nanos now) {
        auto& self = *static_cast<Chain*>(context);
        self.order.push_back(1);
        self.rig.service().publish(self.rig.next_map(), &Publication::done, &self.then, now);
      },
      &chain, rig.time.now());
  rig.service().publish(rig.next_map(), &Publication::done, &middle, rig.time.now());
  rig.turn();
  EXPECT_EQ(order, (std::vector{1, 2}));
  rig.turn();
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
  EXPECT_EQ(last.epochs, (std::vector<std::uint64_t>{3, 3}));
}

TEST(ServicePost, NobodyKeepsAMapThatEveryCoreHasReplaced) {
  TwoCores rig;
  auto map = rig.next_map();
  const std::weak_ptr<const route::RouteMap> seen = map;
  rig.publish(std::move(map));
  EXPECT_FALSE(seen.expired());
  rig.publish();
  EXPECT_TRUE(seen.expired());
}

TEST(ServicePost, ACommandGoesToTheCoreOfItsCellAndIsDoneOnTheServiceCore) {
  TwoCores rig;
  shard::CellCommand describe;
  rig.start(describe, 0, 1);
  rig.turn_core(0);
  rig.turn_service();
  EXPECT_NE(describe.context, nullptr);
  rig.turn_core(1);
  EXPECT_NE(describe.context, nullptr) << "on the service core alone";
  rig.turn_service();
  EXPECT_EQ(describe.context, nullptr);
  EXPECT_EQ(describe.snapshot.cell, CellId(1));
}

// Blocks are stamped with the clock of expiry as last told, on every core.
TEST(ServicePost, ExpiryGoesByTheClockThatEveryCoreWasTold) {
  TwoCores rig;
  rig.open_quarters();
  rig.service().tell_retention(RetentionMillis(1000));
  Call old("old", {0, 1});
  rig.put(old, 0);
  rig.run(old);
  rig.service().tell_retention(RetentionMillis(5000));
  rig.turn();
  Call young("young", {0, 1});
  rig.put(young, 0);
  rig.run(young);
  for (std::uint16_t cell = 0; cell < TwoCores::kCores; ++cell) {
    shard::CellCommand expire;
    expire.kind = shard::CommandKind::kExpire;
    expire.horizons = {{kStream, RetentionMillis(3000)}};
    ASSERT_TRUE(rig.order(expire, cell, cell).has_value());
    const std::vector<Stored> left = rig.read(cell);
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0].text, young.texts[cell]);
    EXPECT_EQ(left[0].index, RecordIndex(1));
  }
}

}  // namespace
}  // namespace penstock::ingest
