// Goal: a subscription gives what is stored, in order, without a gap, once, under credit; and nothing stays of it
// when it ends. Method: a real data core under the door, its shard on the same core or the other; time by hand.
#include "tests/unit/net/reading_server.h"

#include <set>

namespace penstock::test {
namespace {

using proto::MessageKind;
using Texts = std::vector<std::string>;

class Subscriptions : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  [[nodiscard]] static std::uint32_t shard() { return GetParam(); }
  static Texts numbered(int count, std::size_t bytes = 1) {
    Texts texts;
    for (int i = 0; i < count; ++i) {
      texts.push_back(std::to_string(i));
      texts.back().resize(std::max(bytes, texts.back().size()), '.');
    }
    return texts;
  }

  ReadingServer server_;
  Reader client_{server_};
};

TEST_P(Subscriptions, GiveWhatIsThereAndWhatComes) {
  client_.store(shard(), {"a", "b"});
  const std::uint32_t horizon = client_.subscribe(shard(), kHorizon);
  const std::uint32_t latest = client_.subscribe(shard(), kLatest);
  const std::uint32_t middle = client_.subscribe(shard(), at(1));
  const std::uint32_t beyond = client_.subscribe(shard(), at(3));
  const std::uint32_t time = client_.subscribe(shard(), since(server_.wall().raw() + 1000));
  client_.settle();
  client_.wait(100);
  EXPECT_EQ(client_.texts(horizon), (Texts{"a", "b"}));
  EXPECT_EQ(client_.texts(middle), Texts{"b"});
  for (const std::uint32_t lane : {horizon, latest, middle, beyond, time}) {
    EXPECT_EQ(client_.all(lane, MessageKind::kSubscribed).size(), 1U);
  }
  EXPECT_EQ(client_.all(latest, MessageKind::kSubscribed)[0]->as<proto::Subscribed>().next(), 2U);
  client_.store(shard(), {"c"});
  client_.store(shard(), {"d"});
  client_.wait(2000);
  client_.store(shard(), {"e"});
  client_.wait(100);
  EXPECT_EQ(client_.texts(horizon), (Texts{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(client_.texts(latest), (Texts{"c", "d", "e"}));
  EXPECT_EQ(client_.texts(beyond), (Texts{"d", "e"}));
  EXPECT_EQ(client_.texts(time), Texts{"e"});
  EXPECT_EQ(client_.told, "");
}

TEST_P(Subscriptions, SayWhereTheyBeginThatThereIsNothing) {
  client_.store(shard(), {"a"});
  const std::uint32_t horizon = client_.subscribe(shard(), kHorizon);
  const std::uint32_t latest = client_.subscribe(shard(), kLatest);
  client_.settle();
  client_.wait(100);
  const auto told = client_.all(latest, MessageKind::kDelivery);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(told[0]->message.attachment.empty());
  EXPECT_EQ(told[0]->as<proto::Delivered>().from(), 1U);
  EXPECT_EQ(told[0]->as<proto::Delivered>().next(), 1U);
  EXPECT_EQ(told[0]->as<proto::Delivered>().millis_behind(), 0);
  // Also where the credit comes later than that.
  const std::uint32_t later = client_.subscribe(shard(), kLatest, 0);
  client_.wait(100);
  EXPECT_TRUE(client_.all(later, MessageKind::kDelivery).empty());
  client_.session().grant(later, 64 * kKiB);
  client_.settle();
  EXPECT_EQ(client_.all(later, MessageKind::kDelivery).size(), 1U);
  // Where there is something, that tells it.
  EXPECT_EQ(client_.all(horizon, MessageKind::kDelivery).size(), 1U);
}

TEST_P(Subscriptions, OfTwoGetTheSameBytes) {
  Reader other(server_);
  const std::uint32_t one = client_.subscribe(shard(), kHorizon);
  const std::uint32_t two = other.subscribe(shard(), kHorizon, UINT32_MAX, 16 * kKiB);
  client_.store(shard(), numbered(100, 2'000));
  for (int i = 0; i < 10; ++i) {
    client_.wait(50);
    other.wait(50);
  }
  const auto bytes = [](const Reader& reader, std::uint32_t lane) {
    std::vector<std::byte> all;
    for (const Heard* each : reader.all(lane, MessageKind::kDelivery)) {
      const auto span = each->message.attachment;
      all.insert(all.end(), span.begin(), span.end());
    }
    return all;
  };
  EXPECT_EQ(client_.texts(one), numbered(100, 2'000));
  EXPECT_TRUE(bytes(client_, one) == bytes(other, two));
}

TEST_P(Subscriptions, AimAtTheirSizeAgainBehindALargeBatch) {
  const Texts large(3, std::string(1'000'000, 'l'));
  client_.store_batch(shard(), batch_in(shard(), large));
  client_.store(shard(), numbered(100, 1'000));
  const std::uint32_t lane = client_.subscribe(shard(), kHorizon, UINT32_MAX, 16 * kKiB);
  client_.settle();
  client_.wait(1000);
  EXPECT_EQ(client_.texts(lane).size(), 103U);
  const auto deliveries = client_.all(lane, MessageKind::kDelivery);
  for (std::size_t i = 1; i < deliveries.size(); ++i) {
    EXPECT_LE(deliveries[i]->message.attachment.size(), 16 * kKiB);
  }
}

TEST_P(Subscriptions, AreUrgentAtTheTailAndGoBehindOthersWhileTheyCatchUp) {
  ingest::TwoCores::Options storage = roomy(64 * kMiB);
  storage.journal.tail_bytes = 16 * kMiB;
  ReadingServer server({}, storage);
  const Texts old = numbered(50, 10'000);
  Reader(server).store(shard(), old);
  server.cut_and_restart();  // nothing is in memory any more
  Reader again(server);
  const std::uint64_t window = 2 * kMiB;
  const std::uint32_t lane = again.subscribe(shard(), kHorizon, window, 64 * kKiB);
  again.settle();
  again.wait(500);
  EXPECT_EQ(again.texts(lane), old);
  EXPECT_EQ(again.priorities(lane), "1 3 ") << "where it begins, then what is on the device";
  again.store(shard(), {"new"});
  again.wait(100);
  EXPECT_EQ(again.priorities(lane), "1 3 1 ");
  // More than the tail window holds, and no credit for it: it falls behind, and comes back.
  for (int i = 0; i < 24; ++i) {
    again.store_batch(shard(), batch_in(shard(), Texts(10, std::string(100'000, 'x'))));
  }
  again.wait(100);
  EXPECT_LT(again.texts(lane).size(), 51U + 240U);
  EXPECT_EQ(again.priorities(lane), "1 3 1 ");
  again.session().grant(lane, UINT32_MAX);
  again.wait(5'000);
  EXPECT_EQ(again.texts(lane).size(), 51U + 240U);
  EXPECT_EQ(again.priorities(lane), "1 3 1 3 1 ");
  EXPECT_EQ(again.told, "");
}

TEST_P(Subscriptions, ThatCatchUpLeaveAnswersTheirPriority) {
  client_.store(shard(), numbered(50, 10'000));
  server_.cut_and_restart();
  Reader again(server_);
  const std::uint32_t lane = again.session().open_lane({});
  again.get(lane, shard(), kHorizon);
  again.settle();
  EXPECT_EQ(again.count(MessageKind::kGot), 1U);
  EXPECT_EQ(again.priorities(lane), "0 ") << "a result";
}

// --- Heartbeats and credit ------------------------------------------------------------------------

TEST_P(Subscriptions, TellEveryFiveSecondsThatThereIsNothing) {
  client_.store(shard(), {"a"});
  const std::uint32_t lane = client_.subscribe(shard(), kHorizon);
  client_.settle();
  client_.wait(21'000);
  const auto deliveries = client_.all(lane, MessageKind::kDelivery);
  ASSERT_EQ(deliveries.size(), 1U + 4U);
  for (std::size_t i = 1; i < deliveries.size(); ++i) {
    EXPECT_TRUE(deliveries[i]->message.attachment.empty());
    EXPECT_EQ(deliveries[i]->as<proto::Delivered>().from(), 1U);
    EXPECT_EQ(deliveries[i]->as<proto::Delivered>().next(), 1U);
    EXPECT_EQ(deliveries[i]->as<proto::Delivered>().millis_behind(), 0);
  }
}

TEST_P(Subscriptions, AreSilentWithoutCredit) {
  const std::uint32_t lane = client_.subscribe(shard(), kLatest, 0);
  client_.settle();
  client_.wait(60'000);
  EXPECT_TRUE(client_.all(lane, MessageKind::kDelivery).empty());
  EXPECT_EQ(client_.told, "") << "nothing waits for credit";
  client_.session().grant(lane, 4096);
  client_.wait(6'000);
  EXPECT_FALSE(client_.all(lane, MessageKind::kSubscribed).empty());
  EXPECT_FALSE(client_.all(lane, MessageKind::kDelivery).empty());
}

TEST_P(Subscriptions, NeverGiveBeyondCreditHoweverItComes) {
  client_.store(shard(), numbered(60, 500));
  const std::uint32_t lane = client_.subscribe(shard(), kHorizon, 8, 16 * kKiB);
  std::uint64_t granted = 8;
  for (; granted < 60'000 && client_.texts(lane).size() < 60; granted += 104) {
    client_.session().grant(lane, granted);
    client_.settle();
  }
  EXPECT_EQ(client_.texts(lane), numbered(60, 500));
  EXPECT_EQ(client_.told, "") << "the client's session closes when there is too much";
}

TEST_P(Subscriptions, WithoutCreditAreEndedThirtySecondsAfterARecord) {
  const std::uint32_t lane = client_.subscribe(shard(), kLatest, 0);
  client_.settle();
  client_.wait(40'000);
  client_.store(shard(), {"a"});
  client_.wait(29'000);
  EXPECT_EQ(client_.told, "");
  client_.wait(2'000);
  EXPECT_EQ(client_.told, "reset " + std::to_string(lane) + " kSlow; ");
  EXPECT_EQ(server_.door->counters().readers_slow, 1U);
}

TEST_P(Subscriptions, ThatHoldMemoryHaveTheirTimeFromThenOn) {
  // Credit for what says that there is nothing is lacking, too: that is no reason to end it.
  const std::uint32_t lane = client_.subscribe(shard(), kLatest, 72);
  client_.settle();
  client_.wait(40'000);
  EXPECT_EQ(client_.told, "");
  client_.store(shard(), {"a"});
  client_.wait(29'000);
  EXPECT_EQ(client_.told, "") << "its patience counts from when there was something";
  client_.session().grant(lane, 4096);
  client_.wait(1'000);
  EXPECT_EQ(client_.texts(lane), Texts{"a"});
}

// --- Limits ---------------------------------------------------------------------------------------

TEST_P(Subscriptions, KeepToTheShardsLimitAndAreNotRefused) {
  for (int i = 0; i < 28; ++i) {
    client_.store_batch(shard(), batch_in(shard(), Texts(10, std::string(100'000, 'x'))));
  }
  server_.cores.limits = {0, 0, 2 * kMiB, 5};
  server_.cores.publish();
  const std::uint32_t lane = client_.subscribe(shard(), kHorizon, UINT32_MAX);
  client_.settle();
  const auto bytes = [&] {
    std::size_t sum = 0;
    for (const Heard* one : client_.all(lane, MessageKind::kDelivery)) {
      sum += one->message.attachment.size();
    }
    return static_cast<double>(sum);
  };
  client_.wait(2'000);
  const double before = bytes();
  client_.wait(10'000);
  EXPECT_NEAR(bytes() - before, 10.0 * 2 * kMiB, 2.0 * kMiB);
  client_.wait(5'000);
  EXPECT_EQ(client_.texts(lane).size(), 280U);
  EXPECT_EQ(client_.told, "");
  EXPECT_EQ(client_.count(MessageKind::kFailed), 0U);
}

// --- Ends -----------------------------------------------------------------------------------------

TEST_P(Subscriptions, GoOnBehindWhatIsLost) {
  client_.store(shard(), {"before", "a record that is lost", "behind"});
  server_.cut_and_restart();
  server_.spoil("a record that is lost");
  Reader again(server_);
  const std::uint32_t lane = again.subscribe(shard(), kHorizon);
  again.settle();
  again.wait(500);
  const auto lost = again.all(lane, MessageKind::kFailed);
  ASSERT_EQ(lost.size(), 1U);
  EXPECT_EQ(lost[0]->as<proto::Failure>().code(), static_cast<std::uint32_t>(ErrorCode::kDataLoss));
  EXPECT_EQ(lost[0]->as<proto::Failure>().from(), 1U);
  EXPECT_EQ(lost[0]->as<proto::Failure>().next(), 2U);
  const auto deliveries = again.all(lane, MessageKind::kDelivery);
  ASSERT_EQ(deliveries.size(), 2U);
  EXPECT_EQ(deliveries[0]->as<proto::Delivered>().next(), 1U);
  EXPECT_EQ(deliveries[1]->as<proto::Delivered>().from(), 2U);
  EXPECT_EQ(again.told, "");
}

TEST_P(Subscriptions, ReadNoFurtherThanWhatIsLostIsTold) {
  constexpr int kLost = 20;
  for (int i = 0; i < kLost; ++i) client_.store(shard(), {"lost " + std::to_string(100 + i)});
  server_.cut_and_restart();
  for (int i = 0; i < kLost; ++i) server_.spoil("lost " + std::to_string(100 + i));
  Reader again(server_);
  // Something is granted, and it is too little for any message but the first.
  const std::uint32_t lane = again.subscribe(shard(), kHorizon, 72);
  const std::uint64_t reads = server_.cores.core(0).counters().reads;
  again.settle();
  again.wait(1'000);
  EXPECT_LE(server_.cores.core(0).counters().reads - reads, 5U);
  again.session().grant(lane, 100'000);
  again.wait(1'000);
  EXPECT_EQ(again.all(lane, MessageKind::kFailed).size(), kLost);
  again.session().reset(lane, transport::CloseCode::kDone, "");
  const std::uint32_t slow = again.subscribe(shard(), kHorizon, 72);
  again.wait(31'000);
  EXPECT_EQ(again.told, "reset " + std::to_string(slow) + " kSlow; ");
}

TEST_P(Subscriptions, GoOnWhereACloseIsTakenBack) {
  client_.store(shard(), {"a"});
  const std::uint32_t lane = client_.subscribe(shard(), kHorizon);
  client_.settle();
  server_.cores.close(shard());
  client_.wait(1'000);
  EXPECT_EQ(client_.texts(lane), Texts{"a"});
  server_.cores.reopen(shard());
  client_.store(shard(), {"b"});
  client_.wait(1'000);
  EXPECT_EQ(client_.texts(lane), (Texts{"a", "b"}));
  EXPECT_TRUE(client_.all(lane, MessageKind::kShardEnd).empty());
}

TEST_P(Subscriptions, OfADeletedStreamAreEnded) {
  client_.store(shard(), {"a"});
  const std::uint32_t tail = client_.subscribe(shard(), kLatest);
  const std::uint32_t wants_credit = client_.subscribe(shard(), kHorizon, 0);
  client_.settle();
  server_.cores.publish(server_.cores.empty_map());
  client_.wait(6'000);
  EXPECT_NE(client_.told.find("reset " + std::to_string(tail) + " kGone"), std::string::npos);
  EXPECT_EQ(client_.told.find("reset " + std::to_string(wants_credit)), std::string::npos);
  client_.session().grant(wants_credit, 4096);
  client_.wait(1'000);
  EXPECT_NE(client_.told.find("reset " + std::to_string(wants_credit) + " kGone"),
            std::string::npos);
}

TEST_P(Subscriptions, MayBeResetInAnyState) {
  client_.store(shard(), numbered(50, 10'000));
  server_.pass(100);
  // With other credit it is found resolving, reading, queued, wanting credit, at the tip.
  for (const std::uint64_t credit : {0U, 8U, 80U, 1'000U, 20'000U, 100'000U, 1'000'000U}) {
    for (int steps = 0; steps < 8; ++steps) {
      const std::uint32_t lane = client_.subscribe(shard(), kHorizon, credit, 16 * kKiB);
      client_.carry();
      for (int i = 0; i < steps; ++i) {
        server_.cores.step();
        server_.poll();
      }
      client_.session().reset(lane, transport::CloseCode::kDone, "");
      client_.carry();
    }
  }
  client_.wait(6'000);
  EXPECT_EQ(client_.told, "");
  EXPECT_EQ(client_.session().lanes(), 1U) << "that of the puts";
  EXPECT_EQ(server_.door->delivery_used(), 0U);
  server_.cores.expect_nothing_left();
}

TEST_P(Subscriptions, MayLoseTheirConnectionInAnyState) {
  client_.store(shard(), numbered(50, 10'000));
  for (const std::uint64_t credit : {0U, 80U, 1'000U, 20'000U, 1'000'000U}) {
    for (int steps = 0; steps < 8; ++steps) {
      Reader gone(server_);
      gone.subscribe(shard(), kHorizon, credit, 16 * kKiB);
      gone.subscribe(shard(), kLatest, credit, 16 * kKiB);
      gone.carry();
      for (int i = 0; i < steps; ++i) server_.cores.step();
      steps % 2 == 0 ? server_.socket.vanish(gone.id()) : server_.socket.end(gone.id());
    }
  }
  client_.wait(6'000);
  EXPECT_EQ(server_.door->delivery_used(), 0U);
  client_.wait(6'000);
  server_.cores.expect_nothing_left();
  server_.begin_drain();
  server_.socket.vanish(client_.id());
  server_.pass(1'000);
  EXPECT_TRUE(server_.door->drained()) << "somebody who is gone has still something";
}

TEST_P(Subscriptions, AThousandFitIntoASession) {
  std::vector<std::uint32_t> lanes;
  client_.store(shard(), {"a"});  // on a lane of its own
  for (int i = 0; i < 1023; ++i) {
    lanes.push_back(client_.subscribe(shard(), kHorizon, 100'000, 16 * kKiB));
    ASSERT_NE(lanes.back(), 0U);
    if (i % 100 == 0) client_.carry();
  }
  client_.settle();
  client_.wait(200);
  client_.store(shard(), {"b"});
  client_.wait(200);
  for (const std::uint32_t lane : lanes) ASSERT_EQ(client_.texts(lane), (Texts{"a", "b"})) << lane;
  EXPECT_EQ(client_.told, "");
}

INSTANTIATE_TEST_SUITE_P(OnBothCores, Subscriptions, ::testing::Values(0U, 1U));

}  // namespace
}  // namespace penstock::test
