// Goal: a Get is answered once, with whole batches, for any position and any aims, or waits as long as it asked.
// Method: a real data core under the door, its shard on the same core or the other; time by hand.
#include "tests/unit/net/reading_server.h"

#include <numeric>

namespace penstock::test {
namespace {

using proto::MessageKind;
using Texts = std::vector<std::string>;

class Gets : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  [[nodiscard]] static std::uint32_t shard() { return GetParam(); }
  // A Got's; with what was read, when it is to be looked at, too.
  const proto::Got& got(const Place& place, Aims aims = {}, Texts* texts = nullptr) {
    last_ = client_.got(shard(), place, aims);
    if (last_ == nullptr || last_->kind() != MessageKind::kGot) throw std::runtime_error("no Got");
    if (texts != nullptr) *texts = Reader::texts_of(*last_);
    return last_->as<proto::Got>();
  }
  Texts texts(const Place& place, Aims aims = {}) {
    Texts texts;
    got(place, aims, &texts);
    return texts;
  }
  // A batch of records "0", "1", …
  void store_many(int count) {
    Texts texts;
    for (int i = 0; i < count; ++i) texts.push_back(std::to_string(i));
    client_.store_batch(shard(), batch_in(shard(), texts));
  }

  ReadingServer server_;
  Reader client_{server_};
  const Heard* last_ = nullptr;
};

TEST_P(Gets, BeginWhereTheirPositionSays) {
  const std::int64_t before = server_.wall().raw();
  client_.store(shard(), {"a", "b"});
  server_.pass(1000);
  const std::int64_t between = server_.wall().raw();
  client_.store(shard(), {"c"});
  server_.pass(1000);
  const std::int64_t after = server_.wall().raw();
  EXPECT_EQ(texts(kHorizon), (Texts{"a", "b", "c"}));
  EXPECT_EQ(texts(at(0)), (Texts{"a", "b", "c"}));
  EXPECT_EQ(texts(at(2)), (Texts{"c"}));
  EXPECT_EQ(texts(since(INT64_MIN)), (Texts{"a", "b", "c"}));
  EXPECT_EQ(texts(since(before)), (Texts{"a", "b", "c"}));
  EXPECT_EQ(texts(since(between)), (Texts{"c"}));
  for (const Place& place : {kLatest, at(3), since(after), since(INT64_MAX)}) {
    const proto::Got& nothing = got(place);
    EXPECT_EQ(nothing.from(), 3U);
    EXPECT_EQ(nothing.next(), 3U);
    EXPECT_EQ(nothing.millis_behind(), 0);
    EXPECT_FALSE(nothing.end());
    EXPECT_TRUE(last_->message.attachment.empty());
  }
}

TEST_P(Gets, BeyondTheTipGiveNothing) {
  client_.store(shard(), {"a"});
  for (const std::uint64_t index : {std::uint64_t{2}, std::uint64_t{1} << 40, UINT64_MAX}) {
    EXPECT_EQ(got(at(index)).next(), index);
    EXPECT_TRUE(last_->message.attachment.empty());
    const std::uint64_t waits =
        client_.get(client_.session().open_lane({}), shard(), at(index), {.wait_ms = 100});
    client_.wait(500);
    ASSERT_NE(client_.answer(waits), nullptr);
    EXPECT_EQ(client_.answer(waits)->as<proto::Got>().next(), index);
  }
}

TEST_P(Gets, BelowTheTrimBeginBehindIt) {
  client_.store(shard(), {"a", "b", "c"});
  server_.trim(shard(), 2);
  Texts read;
  EXPECT_EQ(got(at(0), {}, &read).from(), 2U);
  EXPECT_EQ(read, Texts{"c"});
  EXPECT_EQ(texts(kHorizon), Texts{"c"});
  EXPECT_EQ(texts(since(0)), Texts{"c"});
}

TEST_P(Gets, WithinABatchGiveItWholeAndSayWhatIsMeant) {
  store_many(10);
  Texts read;
  const proto::Got& middle = got(at(4), {.records = 1}, &read);
  EXPECT_EQ(middle.from(), 4U);
  EXPECT_EQ(middle.next(), 5U);
  EXPECT_EQ(read, (Texts{"4"}));
  const auto batches = Reader::batches(*last_);
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(batches[0].first(), RecordIndex(0));
  EXPECT_EQ(batches[0].count(), 10U);
}

TEST_P(Gets, GiveBatchesByteForByteAsTheyWerePut) {
  const std::vector<std::byte> batch =
      batch_in(shard(), {"first", std::string(5'000, 'x'), "", "last"});
  client_.store_batch(shard(), batch);
  for (int life = 0; life < 2; ++life) {
    Reader again(server_);
    const Heard* one = again.got(shard(), kHorizon);
    ASSERT_NE(one, nullptr);
    const auto batches = Reader::batches(*one);
    ASSERT_EQ(batches.size(), 1U);
    EXPECT_TRUE(std::ranges::equal(batches[0].stored().subspan(storage::kBatchHeaderBytes), batch));
    if (life == 0) server_.cut_and_restart();
  }
}

TEST_P(Gets, TakeAsManyBatchesAsTheirAimsAllow) {
  Texts all;
  for (int i = 0; i < 40; ++i) all.push_back(std::to_string(i) + std::string(1'000, '.'));
  client_.store(shard(), all);
  EXPECT_EQ(texts(kHorizon, {.bytes = 0, .records = 0}), all);
  EXPECT_EQ(texts(kHorizon, {.bytes = UINT32_MAX, .records = UINT32_MAX}), all);
  EXPECT_EQ(texts(kHorizon, {.records = 1}).size(), 1U);
  EXPECT_EQ(texts(kHorizon, {.records = 39}).size(), 39U);
  EXPECT_EQ(texts(kHorizon, {.bytes = 1}).size(), 1U) << "one batch is always given";
  const std::size_t few = texts(kHorizon, {.bytes = 16 * kKiB}).size();
  EXPECT_GE(few, 10U);
  EXPECT_LE(last_->message.attachment.size(), 16 * kKiB);
  EXPECT_EQ(last_->as<proto::Got>().next(), few);
  EXPECT_GT(last_->as<proto::Got>().millis_behind(), 0);
  // From one to the next, all.
  Texts read;
  for (std::uint64_t next = 0; next < all.size(); next = last_->as<proto::Got>().next()) {
    Texts some;
    got(at(next), {.bytes = 1}, &some);
    ASSERT_FALSE(some.empty());
    read.insert(read.end(), some.begin(), some.end());
  }
  EXPECT_EQ(read, all);
}

TEST_P(Gets, GiveOneBatchHoweverLargeItIs) {
  const Texts large(3, std::string(1'000'000, 'l'));
  client_.store(shard(), {"a"});
  client_.store_batch(shard(), batch_in(shard(), large));
  client_.store(shard(), {"b"});
  EXPECT_TRUE(texts(at(1), {.bytes = 1}) == large);
  EXPECT_EQ(texts(at(0), {.bytes = 1}), Texts{"a"});
  EXPECT_EQ(texts(at(4), {.bytes = 1}), Texts{"b"});
}

TEST_P(Gets, AreAskedManyAtOnceAndEachIsAnswered) {
  client_.store(shard(), {"a"});
  const std::uint32_t lane = client_.session().open_lane({});
  std::vector<std::uint64_t> requests;
  for (int i = 0; i < 64; ++i) requests.push_back(client_.get(lane, shard(), kHorizon));
  client_.settle();
  for (const std::uint64_t request : requests) {
    ASSERT_NE(client_.answer(request), nullptr);
    EXPECT_EQ(Reader::texts_of(*client_.answer(request)), Texts{"a"});
  }
  for (int i = 0; i < 65; ++i) client_.get(lane, shard(), kLatest, {.wait_ms = 20'000});
  client_.carry();
  EXPECT_EQ(client_.told, "closed kProtocol too many gets without an answer on one lane; ");
}

// --- Waiting --------------------------------------------------------------------------------------

TEST_P(Gets, WaitForARecord) {
  const std::uint32_t lane = client_.session().open_lane({});
  const std::uint64_t latest = client_.get(lane, shard(), kLatest, {.wait_ms = 20'000});
  const std::uint64_t index = client_.get(lane, shard(), at(1), {.wait_ms = 20'000});
  const std::uint64_t time =
      client_.get(lane, shard(), since(server_.wall().raw() + 9'000), {.wait_ms = 20'000});
  client_.settle();
  client_.wait(7'000);
  EXPECT_EQ(client_.answer(latest), nullptr) << "longer than one wait of the cell";
  client_.store(shard(), {"first"});
  ASSERT_NE(client_.answer(latest), nullptr);
  EXPECT_EQ(Reader::texts_of(*client_.answer(latest)), Texts{"first"});
  EXPECT_EQ(client_.answer(index), nullptr);
  EXPECT_EQ(client_.answer(time), nullptr);
  client_.store(shard(), {"second"});
  ASSERT_NE(client_.answer(index), nullptr);
  EXPECT_EQ(Reader::texts_of(*client_.answer(index)), Texts{"second"});
  client_.wait(3'000);
  EXPECT_EQ(client_.answer(time), nullptr) << "what came earlier is not meant";
  client_.store(shard(), {"third"});
  ASSERT_NE(client_.answer(time), nullptr);
  EXPECT_EQ(Reader::texts_of(*client_.answer(time)), Texts{"third"});
}

TEST_P(Gets, WaitInVainAsLongAsTheyAsked) {
  const std::uint32_t lane = client_.session().open_lane({});
  struct Case {
    std::uint32_t asked;
    std::int64_t not_before;
    std::int64_t by;
  };
  for (const Case& c : {Case{0, 0, 10}, Case{1, 0, 400}, Case{3'000, 2'900, 3'400},
                        Case{20'000, 19'900, 20'400}, Case{UINT32_MAX, 19'900, 20'400}}) {
    const std::uint64_t request = client_.get(lane, shard(), kLatest, {.wait_ms = c.asked});
    client_.carry();
    std::int64_t passed = 0;
    for (; client_.answer(request) == nullptr && passed < 30'000; passed += 10) {
      server_.pass(10);
      client_.carry();
    }
    EXPECT_GE(passed, c.not_before) << c.asked;
    EXPECT_LE(passed, c.by) << c.asked;
    ASSERT_NE(client_.answer(request), nullptr);
    ASSERT_EQ(client_.answer(request)->kind(), MessageKind::kGot);
    EXPECT_EQ(client_.answer(request)->as<proto::Got>().next(), 0U);
  }
  server_.cores.expect_nothing_left();
}

TEST_P(Gets, ThatWaitAndAreForgottenDisturbNobody) {
  const std::uint32_t reset = client_.session().open_lane({});
  client_.get(reset, shard(), kLatest, {.wait_ms = 20'000});
  client_.settle();
  client_.session().reset(reset, transport::CloseCode::kDone, "");
  client_.carry();
  {
    Reader gone(server_);
    gone.get(gone.session().open_lane({}), shard(), kLatest, {.wait_ms = 20'000});
    gone.settle();
    server_.socket.vanish(gone.id());
  }
  client_.store(shard(), {"a"});
  EXPECT_EQ(client_.count(MessageKind::kGot), 0U);
  EXPECT_EQ(texts(kHorizon), Texts{"a"});
  EXPECT_EQ(client_.told, "");
}

// --- Refusals -------------------------------------------------------------------------------------

TEST_P(Gets, AreRefusedForWhatDoesNotExist) {
  const Heard* missing = client_.got(7, kHorizon);
  ASSERT_NE(missing, nullptr);
  ASSERT_EQ(missing->kind(), MessageKind::kFailed);
  EXPECT_EQ(missing->as<proto::Failure>().code(), static_cast<std::uint32_t>(ErrorCode::kNotFound));
  const Place nowhere{.from = static_cast<proto::From>(9)};
  const Heard* malformed = client_.got(shard(), nowhere);
  ASSERT_NE(malformed, nullptr);
  ASSERT_EQ(malformed->kind(), MessageKind::kFailed);
  EXPECT_EQ(malformed->as<proto::Failure>().code(),
            static_cast<std::uint32_t>(ErrorCode::kMalformed));
}

TEST_P(Gets, AreFiveASecondOfAShard) {
  client_.store(shard(), {"a"});
  client_.store_batch(shard(), batch_in(shard(), Texts(3, std::string(1'000'000, 'l'))));
  server_.cores.limits = {0, 0, 2 * kMiB, 5};
  server_.cores.publish();
  const std::uint32_t lane = client_.session().open_lane({});
  // Its batch has no room at first: it is read twice, and one transaction all the same.
  const std::uint64_t large = client_.get(lane, shard(), at(1), {.bytes = 1});
  for (int i = 0; i < 5; ++i) client_.get(lane, shard(), at(0), {.records = 1});
  client_.settle();
  EXPECT_EQ(client_.answer(large)->kind(), MessageKind::kGot);
  EXPECT_EQ(client_.count(MessageKind::kGot), 5U);
  const auto refused = client_.all(lane, MessageKind::kFailed);
  ASSERT_EQ(refused.size(), 1U);
  const auto& failure = refused[0]->as<proto::Failure>();
  EXPECT_EQ(failure.code(), static_cast<std::uint32_t>(ErrorCode::kThrottled));
  EXPECT_GT(failure.retry_after_ms(), 0U);
  client_.wait(failure.retry_after_ms());
  EXPECT_EQ(client_.got(shard(), at(0))->kind(), MessageKind::kFailed) << "of 2 MiB a second";
}

// --- What is lost, and what ends ------------------------------------------------------------------

TEST_P(Gets, NameWhatIsLostAndGoOnBehindIt) {
  client_.store(shard(), {"before", "a record that is lost", "behind"});
  server_.cut_and_restart();
  server_.spoil("a record that is lost");
  Reader again(server_);
  const Heard* first = again.got(shard(), kHorizon);
  ASSERT_NE(first, nullptr);
  ASSERT_EQ(first->kind(), MessageKind::kGot);
  EXPECT_EQ(Reader::texts_of(*first), Texts{"before"});
  const Heard* lost = again.got(shard(), at(1));
  ASSERT_NE(lost, nullptr);
  ASSERT_EQ(lost->kind(), MessageKind::kFailed);
  const auto& failure = lost->as<proto::Failure>();
  EXPECT_EQ(failure.code(), static_cast<std::uint32_t>(ErrorCode::kDataLoss));
  EXPECT_EQ(failure.from(), 1U);
  EXPECT_EQ(failure.next(), 2U);
  const Heard* behind = again.got(shard(), at(failure.next()));
  ASSERT_NE(behind, nullptr);
  ASSERT_EQ(behind->kind(), MessageKind::kGot);
  EXPECT_EQ(Reader::texts_of(*behind), Texts{"behind"});
}

TEST_P(Gets, TellTheEndOfAShardWithItsChildren) {
  client_.store(1, {"a"});
  const std::uint32_t lane = client_.session().open_lane({});
  const std::uint64_t waiting = client_.get(lane, 1, kLatest, {.wait_ms = 20'000});
  client_.settle();
  server_.cores.close(1);
  client_.settle();
  ASSERT_NE(client_.answer(waiting), nullptr) << "nothing will come";
  EXPECT_FALSE(client_.answer(waiting)->as<proto::Got>().end()) << "no children are known";
  server_.cores.open_children();
  server_.cores.publish();
  const Heard* end = client_.got(1, kHorizon);
  ASSERT_NE(end, nullptr);
  ASSERT_EQ(end->kind(), MessageKind::kGot);
  EXPECT_EQ(Reader::texts_of(*end), Texts{"a"});
  ASSERT_TRUE(end->as<proto::Got>().end());
  ASSERT_EQ(end->as<proto::Got>().children()->size(), 2U);
  EXPECT_EQ(end->as<proto::Got>().children()->Get(0)->number(), 2U);
  EXPECT_EQ(end->as<proto::Got>().children()->Get(1)->number(), 3U);
}

INSTANTIATE_TEST_SUITE_P(OnBothCores, Gets, ::testing::Values(0U, 1U));

}  // namespace
}  // namespace penstock::test
