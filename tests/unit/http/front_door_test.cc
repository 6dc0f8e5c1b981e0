// Goal: what scripts cannot say: TLS, memory that runs out, peers that vanish or stall, too many of
// them, and hardly any work for a warm connection. Method: a front door over fake sockets, turned by
// hand.
#include "http/front_door.h"

#include "tests/support/echo_service.h"
#include "tests/support/fake_socket.h"
#include "tests/support/test_certificate.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::http {
namespace {

constexpr std::uint32_t kTlsTag = 7;

std::string post(std::string_view target, const std::string& body) {
  return "POST " + std::string(target) +
         " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

class FrontDoorTest : public testing::Test {
 protected:
  void start(const FrontDoorOptions& options, std::vector<TlsListener> tls = {}) {
    door_ = std::make_unique<FrontDoor>(socket_, service_, options, std::move(tls));
  }
  void turn() {
    while (door_->poll(now_, WallMillis(0)) > 0) now_ = now_ + 1000;
  }
  void wait(std::int64_t seconds) {
    now_ = now_ + seconds * kNanosPerSecond;
    turn();
  }
  env::ConnectionId connect(std::uint32_t tag = 0) {
    const env::ConnectionId id = socket_.connect(tag);
    turn();
    return id;
  }
  void give(env::ConnectionId id, const std::string& bytes) {
    socket_.give(id, bytes);
    turn();
  }
  // The body of the one answer that came, "" if none did.
  std::string answer(env::ConnectionId id) {
    const std::string out = socket_.taken(id);
    const std::size_t head = out.find("\r\n\r\n");
    return head == std::string::npos ? "" : out.substr(head + 4);
  }

  test::FakeSocket socket_;
  test::EchoService service_;
  std::unique_ptr<FrontDoor> door_;
  Nanos now_{kNanosPerSecond};
};

TEST_F(FrontDoorTest, BodiesWaitInOrderForMemory) {
  FrontDoorOptions options;
  options.body_bytes_max = 100'000;
  options.body_bytes_budget = 300'000;  // one of 196,608 and a small one
  start(options);
  const env::ConnectionId first = connect(), second = connect(), third = connect();
  const std::string large(100'000, 'x');
  const std::string target = "/hold" + std::string(10, 'x');
  give(first, post(target, large));
  give(second, post(target, large));
  give(third, post(target, large));
  EXPECT_EQ(service_.held.size(), 2U);
  EXPECT_EQ(door_->counters().memory_waits, 1U);
  EXPECT_GT(socket_.unread(third), 0U);
  EXPECT_FALSE(socket_.reading(third));

  // A body that fits beside its head needs no memory and is not held up.
  const env::ConnectionId small = connect();
  give(small, post("/", "small"));
  EXPECT_EQ(answer(small), "POST / small");

  service_.let_go(now_);
  EXPECT_LE(door_->next_deadline(), now_);
  turn();
  EXPECT_EQ(answer(first), "POST " + target + " 100000 bytes");
  EXPECT_EQ(service_.held.size(), 2U);
  EXPECT_EQ(socket_.unread(third), 0U);
  service_.let_go(now_);
  service_.let_go(now_);
  turn();
  EXPECT_EQ(answer(second), "POST " + target + " 100000 bytes");
  EXPECT_EQ(answer(third), "POST " + target + " 100000 bytes");
  EXPECT_EQ(door_->body_bytes_used(), 0U);
}

TEST_F(FrontDoorTest, WhoWaitsTooLongForMemoryIsToldSo) {
  FrontDoorOptions options;
  options.body_bytes_max = 100'000;
  options.body_bytes_budget = 140'000;
  start(options);
  const env::ConnectionId first = connect(), second = connect();
  const std::string large(100'000, 'x');
  give(first, post("/hold", large));
  give(second, post("/hold", large));
  EXPECT_EQ(service_.held.size(), 1U);
  wait(29);
  EXPECT_EQ(socket_.taken(second), "");
  wait(2);
  EXPECT_TRUE(socket_.taken(second).starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(door_->counters().rejected[static_cast<std::size_t>(Rejection::kOverloaded)], 1U);
  service_.let_go(now_);
  turn();
}

TEST_F(FrontDoorTest, ChunkedBodiesWaitForMemoryHalfWay) {
  FrontDoorOptions options;
  options.body_bytes_max = 200'000;
  options.body_bytes_budget = 300'000;
  start(options);
  const env::ConnectionId first = connect(), second = connect();
  const auto chunked = [](std::string_view target, char fill) {
    return "POST " + std::string(target) +
           " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n" +
           std::string(200'000, fill) + "\r\n0\r\n\r\n";
  };
  give(first, chunked("/hold", 'x'));
  EXPECT_EQ(service_.held.size(), 1U);
  // Both have begun, and the first may end beyond the budget.
  give(second, chunked("/", 'y'));
  EXPECT_EQ(answer(second), "");
  EXPECT_EQ(door_->counters().memory_waits, 1U);
  service_.let_go(now_);
  turn();
  EXPECT_EQ(answer(second), "POST / 200000 bytes");
  EXPECT_EQ(door_->body_bytes_used(), 0U);
}

TEST_F(FrontDoorTest, AnAnnouncementReservesLittleAndASlowBodyIsNotWaitedFor) {
  FrontDoorOptions options;
  options.body_bytes_budget = 192 * kMiB;
  start(options);
  std::vector<env::ConnectionId> slow;
  for (int i = 0; i < 12; ++i) {
    slow.push_back(connect());
    give(slow.back(), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 16777216\r\n\r\nx");
  }
  EXPECT_LT(door_->body_bytes_used(), 20 * kMiB);
  const env::ConnectionId honest = connect();
  give(honest, post("/", std::string(100'000, 'h')));
  EXPECT_EQ(answer(honest), "POST / 100000 bytes");
  for (int i = 0; i < 3; ++i) {
    wait(4);
    for (const env::ConnectionId id : slow) give(id, "x");
  }
  for (const env::ConnectionId id : slow) {
    EXPECT_TRUE(socket_.taken(id).starts_with("HTTP/1.1 408 "));
  }
  EXPECT_EQ(door_->body_bytes_used(), 0U);
}

TEST_F(FrontDoorTest, BodiesThatGrowTogetherAllEnd) {
  FrontDoorOptions options;
  options.body_bytes_budget = 32 * kMiB;
  start(options);
  const std::string half(5 * kMiB, 'x');
  std::vector<env::ConnectionId> peers;
  for (int i = 0; i < 6; ++i) {
    peers.push_back(connect());
    give(peers.back(), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10485760\r\n\r\n" + half);
  }
  std::uint64_t most = 0;
  for (const env::ConnectionId id : peers) {
    give(id, half);
    most = std::max(most, door_->body_bytes_used());
  }
  for (const env::ConnectionId id : peers) EXPECT_EQ(answer(id), "POST / 10485760 bytes");
  EXPECT_GT(door_->counters().memory_waits, 0U);
  EXPECT_LE(most,
            options.body_bytes_budget + base::BufferPool::class_bytes(options.body_bytes_max + 64));
  EXPECT_EQ(door_->body_bytes_used(), 0U);
}

TEST_F(FrontDoorTest, LargeBodiesThatWaitDoNotHoldUpUsualOnes) {
  FrontDoorOptions options;
  options.body_bytes_budget = 32 * kMiB;
  start(options);
  const std::string begun(6 * kMiB, 'x');
  for (int i = 0; i < 6; ++i) {
    const env::ConnectionId id = connect();
    give(id, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10485760\r\n\r\n" + begun);
  }
  EXPECT_GT(door_->counters().memory_waits, 0U);
  const env::ConnectionId usual = connect();
  give(usual, post("/", std::string(900'000, 'h')));
  EXPECT_EQ(answer(usual), "POST / 900000 bytes");
}

TEST_F(FrontDoorTest, LongHeadsCountAgainstTheBudgetToo) {
  FrontDoorOptions options;
  options.body_bytes_max = 100'000;
  options.body_bytes_budget = 140'000;
  start(options);
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nA: " + std::string(20'000, 'x');
  const env::ConnectionId first = connect(), second = connect();
  give(first, head);
  EXPECT_EQ(socket_.taken(first), "");
  EXPECT_GT(door_->body_bytes_used(), 0U);
  give(second, head);
  EXPECT_TRUE(socket_.taken(second).starts_with("HTTP/1.1 503 "));
  give(first, "\r\n\r\n");
  EXPECT_EQ(answer(first), "POST /");
  EXPECT_EQ(door_->body_bytes_used(), 0U);
}

// Reserves 8 MiB for what is asked of "/read", answers it with 6 MiB and anything else with a word. At
// "/page" a half MiB will do.
class Reader final : public Service {
 public:
  void handle(Exchange& exchange, Nanos now, WallMillis) override {
    ++handled;
    if (exchange.target == "/read") {
      if (exchange.reserve_answer(kMost, kMost, now) == 0) return;
      exchange.response().append(std::string(6 * kMiB, 'r'));
    } else if (exchange.target == "/page") {
      const std::size_t room = exchange.reserve_answer(kLeast, kMost, now);
      if (room == 0) return;
      EXPECT_TRUE(room == kLeast || room == kMost);
      exchange.response().append(std::string(room, 'p'));
    } else if (exchange.target == "/large") {
      exchange.response().append(std::string(15 * kMiB, 'l'));
    } else if (exchange.target == "/hold") {
      if (exchange.reserve_answer(kMost, kMost, now) == 0) return;
      held = &exchange;
      return;
    } else {
      exchange.response().append("word");
    }
    exchange.respond(200, {}, {}, now);
  }
  void let_go(Nanos now) {
    held->response().append("word");
    held->respond(200, {}, {}, now);
  }
  static constexpr std::size_t kLeast = 512 * kKiB - 1024;
  static constexpr std::size_t kMost = 8 * kMiB - 1024;
  int handled = 0;
  Exchange* held = nullptr;
};

class FrontDoorAnswers : public FrontDoorTest {
 protected:
  FrontDoorAnswers() {
    FrontDoorOptions options;
    options.answer_bytes_budget = 32 * kMiB;
    door_ = std::make_unique<FrontDoor>(socket_, reader_, options);
  }
  Reader reader_;
};

TEST_F(FrontDoorAnswers, TakeNoMoreThanTheirBudgetHoweverManyAreNotRead) {
  socket_.set_stalled(true);
  std::vector<env::ConnectionId> peers;
  for (int i = 0; i < 100; ++i) {
    peers.push_back(connect());
    give(peers.back(), post("/read", ""));
  }
  EXPECT_EQ(door_->answer_bytes_used(), 24 * kMiB);
  EXPECT_EQ(door_->counters().answer_waits, 97U);
  EXPECT_EQ(door_->answers_owed(), 100U);
  // Reads leave room for others.
  const env::ConnectionId other = connect();
  give(other, post("/", ""));
  socket_.set_stalled(false);
  turn();
  EXPECT_EQ(answer(other), "word");
  for (const env::ConnectionId id : peers) EXPECT_EQ(answer(id), std::string(6 * kMiB, 'r'));
  EXPECT_EQ(door_->answer_bytes_used(), 0U);
}

TEST_F(FrontDoorAnswers, ThatAreNotTakenAreCutOnceOthersWait) {
  socket_.set_stalled(true);
  std::vector<env::ConnectionId> slow;
  for (int i = 0; i < 3; ++i) {
    slow.push_back(connect());
    give(slow.back(), post("/read", ""));
    wait(1);
  }
  const env::ConnectionId small = connect();
  give(small, post("/", ""));
  // Nobody waits: they have their 30 s.
  wait(9);
  for (const env::ConnectionId id : slow) EXPECT_TRUE(socket_.open(id));
  // The first two have taken nothing for long, the last took a piece just now. One is enough.
  socket_.take(slow[2]);
  turn();
  const env::ConnectionId honest = connect();
  const int handled = reader_.handled;
  give(honest, post("/read", ""));
  EXPECT_FALSE(socket_.open(slow[0]));
  EXPECT_TRUE(socket_.open(slow[1]));
  EXPECT_TRUE(socket_.open(slow[2]));
  EXPECT_EQ(reader_.handled, handled + 2);  // it asked, waited and was let in
  EXPECT_EQ(door_->counters().answer_waits, 1U);
  EXPECT_EQ(door_->counters().write_evicted, 1U);
  EXPECT_EQ(door_->counters().write_stalled, 0U);
  // An answer in the connection's own memory is in nobody's way, and nobody waits any more.
  EXPECT_TRUE(socket_.open(small));
  wait(10);
  EXPECT_TRUE(socket_.open(slow[1]));
  EXPECT_TRUE(socket_.open(slow[2]));
  EXPECT_TRUE(socket_.open(small));
  socket_.set_stalled(false);
  turn();
  EXPECT_EQ(answer(honest), std::string(6 * kMiB, 'r'));
  EXPECT_EQ(door_->answer_bytes_used(), 0U);
}

TEST_F(FrontDoorAnswers, AreSmallWhileThereIsLittleRoom) {
  socket_.set_stalled(true);
  std::vector<env::ConnectionId> peers;
  for (int i = 0; i < 2; ++i) {
    peers.push_back(connect());
    give(peers.back(), post("/page", ""));
  }
  EXPECT_EQ(door_->answer_bytes_used(), 16 * kMiB);
  give(connect(), post("/page", ""));  // the last of 24 MiB
  const env::ConnectionId waits = connect();
  give(waits, post("/page", ""));
  EXPECT_EQ(door_->counters().answer_waits, 1U);
  socket_.take(peers[0]);
  turn();
  wait(1);
  // Eight MiB come back, and two ask for them: the first takes little, since another waits.
  const env::ConnectionId second = connect();
  give(second, post("/page", ""));
  socket_.vanish(peers[0]);
  turn();
  EXPECT_EQ(door_->answer_bytes_used(), (16 + 1) * kMiB);
  EXPECT_EQ(door_->counters().write_evicted, 0U);
}

// Three at first, then 48 small ones at a time: two rounds of two seconds for all before it, and a third.
TEST_F(FrontDoorAnswers, AReaderIsNotHeldUpByAHundredThatTakeNothing) {
  socket_.set_stalled(true);
  for (int i = 0; i < 100; ++i) give(connect(), post("/page", ""));
  const env::ConnectionId honest = connect();
  give(honest, post("/page", ""));
  const Nanos asked = now_;
  std::size_t got = 0;
  while (got < Reader::kLeast && now_ < asked + 20 * kNanosPerSecond) {
    now_ = now_ + kNanosPerSecond / 10;
    turn();
    socket_.take(honest);
    got += socket_.taken(honest).size();
  }
  EXPECT_LE(now_, asked + 7 * kNanosPerSecond);
}

// Who asks again at once, and who comes now, do not take what came back to those who wait.
TEST_F(FrontDoorAnswers, AreReservedInOrder) {
  socket_.set_stalled(true);
  std::vector<env::ConnectionId> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(connect());
    give(peers.back(), post("/read", "") + post("/page", ""));
  }
  const env::ConnectionId large = connect();
  give(large, post("/read", ""));
  const env::ConnectionId small = connect();
  give(small, post("/page", ""));
  EXPECT_EQ(door_->counters().answer_waits, 2U);
  // The last piece of an answer leaves and the next request is served in one turn.
  for (int pieces = 0; pieces < 25; ++pieces) {
    socket_.take(peers[0]);
    turn();
  }
  EXPECT_EQ(door_->counters().answer_waits, 3U);
  EXPECT_EQ(door_->answer_bytes_used(), 24 * kMiB);
  // `large` has the room, `small` does not pass it, and the one that asked again stands behind both.
  for (int pieces = 0; pieces < 25; ++pieces) {
    socket_.take(large);
    turn();
  }
  EXPECT_TRUE(answer(large) == std::string(6 * kMiB, 'r'));
  EXPECT_EQ(door_->answer_bytes_used(), (16 + 1) * kMiB);
  EXPECT_EQ(door_->answers_owed(), 4U);
}

// When the first in the queue gives up, who stands behind it may have had room all the time.
TEST_F(FrontDoorAnswers, GoToTheNextWhenTheFirstOfThoseWhoWaitLeaves) {
  FrontDoorOptions options;
  options.answer_bytes_budget = 33 * kMiB;  // three large ones for reads and half a MiB
  door_ = std::make_unique<FrontDoor>(socket_, reader_, options);
  socket_.set_stalled(true);
  for (int i = 0; i < 3; ++i) give(connect(), post("/read", ""));
  const env::ConnectionId first = connect();
  give(first, post("/read", ""));
  give(connect(), post("/page", ""));
  EXPECT_EQ(door_->counters().answer_waits, 2U);
  EXPECT_EQ(door_->answer_bytes_used(), 24 * kMiB);
  socket_.vanish(first);
  turn();
  EXPECT_EQ(door_->answer_bytes_used(), 24 * kMiB + 512 * kKiB);
}

// Who was let in after a wait has had its turn: its next request waits like anybody's.
TEST_F(FrontDoorAnswers, AreInTurnOnceForEachWait) {
  socket_.set_stalled(true);
  std::vector<env::ConnectionId> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(connect());
    give(peers.back(), post("/read", ""));
  }
  const env::ConnectionId twice = connect();
  give(twice, post("/page", "") + post("/page", ""));
  for (int i = 0; i < 20; ++i) give(connect(), post("/read", ""));
  socket_.vanish(peers[0]);
  turn();
  // 7.5 MiB are left over: not enough for the next in line, and nobody passes it.
  EXPECT_EQ(door_->answer_bytes_used(), 16 * kMiB + 512 * kKiB);
  for (int pieces = 0; pieces < 3; ++pieces) {
    socket_.take(twice);
    turn();
  }
  // Its first answer has left; the room goes to who waits, not to its second request.
  EXPECT_EQ(door_->answer_bytes_used(), 24 * kMiB);
  EXPECT_EQ(door_->counters().answer_waits, 22U);
}

// Answers whose size nobody knew beforehand can take all of the budget. Then even requests that need
// little wait for the service, in order, and late takers are cut for them, too.
TEST_F(FrontDoorAnswers, OfUnknownSizeHoldTheServiceBackWhileTheyTakeAll) {
  socket_.set_stalled(true);
  std::vector<env::ConnectionId> peers;
  for (int i = 0; i < 2; ++i) {
    peers.push_back(connect());
    give(peers.back(), post("/large", ""));
  }
  EXPECT_GE(door_->answer_bytes_used(), 32 * kMiB);
  const int handled = reader_.handled;
  const env::ConnectionId first = connect(), second = connect();
  give(first, post("/", ""));
  give(second, post("/read", ""));
  wait(1);
  EXPECT_EQ(reader_.handled, handled);
  EXPECT_EQ(door_->counters().answer_waits, 2U);
  wait(2);
  EXPECT_EQ(door_->counters().write_evicted, 1U);
  EXPECT_FALSE(socket_.open(peers[0]));
  socket_.set_stalled(false);
  turn();
  EXPECT_EQ(answer(first), "word");
  EXPECT_EQ(answer(second), std::string(6 * kMiB, 'r'));
}

// What was given back outside of `poll` makes the next turn due at once.
TEST_F(FrontDoorAnswers, ThatBecomeFreeWakeWhoWaits) {
  socket_.set_stalled(true);
  const env::ConnectionId held = connect();
  give(held, post("/hold", ""));
  for (int i = 0; i < 2; ++i) give(connect(), post("/read", ""));
  give(connect(), post("/read", ""));
  EXPECT_EQ(door_->counters().answer_waits, 1U);
  EXPECT_GT(door_->next_deadline(), now_);
  reader_.let_go(now_);  // 8 MiB were reserved for an answer of a word
  EXPECT_LE(door_->next_deadline(), now_);
  turn();
  EXPECT_EQ(door_->answer_bytes_used(), 24 * kMiB);
}

// What those want who have left by a refusal, an end or a grant is wanted no more.
TEST_F(FrontDoorAnswers, AreHurriedForThoseAloneWhoStillWait) {
  socket_.set_stalled(true);
  std::vector<env::ConnectionId> slow;
  for (int i = 0; i < 3; ++i) {
    slow.push_back(connect());
    give(slow.back(), post("/read", ""));
  }
  for (int i = 0; i < 3; ++i) {
    const env::ConnectionId gone = connect();
    give(gone, post("/read", ""));
    socket_.vanish(gone);
    turn();
  }
  wait(10);
  EXPECT_EQ(door_->counters().write_evicted, 0U);
  give(connect(), post("/page", ""));
  EXPECT_EQ(door_->counters().write_evicted, 1U);
}

TEST_F(FrontDoorAnswers, AsManyAreCutAsManyNeed) {
  socket_.set_stalled(true);
  for (int i = 0; i < 3; ++i) give(connect(), post("/read", ""));
  wait(3);  // they are late, and nobody waits
  const auto ask_together = [this](int count) {
    std::vector<env::ConnectionId> pages(static_cast<std::size_t>(count));
    for (env::ConnectionId& id : pages) id = connect();
    for (const env::ConnectionId id : pages) socket_.give(id, post("/page", ""));
    turn();
  };
  ask_together(48);
  EXPECT_EQ(door_->counters().write_evicted, 3U);
  EXPECT_EQ(door_->answer_bytes_used(), 24 * kMiB);
  wait(3);
  // Each holds half a MiB, and 17 more need exactly as many of them.
  ask_together(17);
  EXPECT_EQ(door_->counters().write_evicted, 3U + 17U);
}

TEST_F(FrontDoorAnswers, ThatAreTakenSlowlyAreNotCut) {
  socket_.set_stalled(true);
  std::vector<env::ConnectionId> steady;
  for (int i = 0; i < 3; ++i) {
    steady.push_back(connect());
    give(steady.back(), post("/read", ""));
  }
  const env::ConnectionId waiting = connect();
  give(waiting, post("/read", ""));
  for (int i = 0; i < 20; ++i) {
    wait(1);
    for (const env::ConnectionId id : steady) socket_.take(id);
    turn();
  }
  for (const env::ConnectionId id : steady) EXPECT_TRUE(socket_.open(id));
  EXPECT_EQ(door_->counters().write_evicted, 0U);
  // From their last piece on they have two seconds, and the loop that waits for it knows.
  EXPECT_LE(door_->next_deadline(), now_ + 2 * kNanosPerSecond);
  now_ = now_ + 2 * kNanosPerSecond - 100'000;
  turn();
  EXPECT_EQ(door_->counters().write_evicted, 0U);
  now_ = now_ + 100'000;
  turn();
  EXPECT_EQ(door_->counters().write_evicted, 1U);
  EXPECT_EQ(door_->answers_owed(), 3U);
  socket_.set_stalled(false);
  turn();
  EXPECT_EQ(answer(waiting), std::string(6 * kMiB, 'r'));
}

TEST_F(FrontDoorAnswers, ThatMakeRoomInTimeSaveTheOthers) {
  socket_.set_stalled(true);
  std::vector<env::ConnectionId> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(connect());
    give(peers.back(), post("/read", ""));
  }
  wait(1);
  give(connect(), post("/read", ""));
  // In one turn the first one leaves, which lets in who waits, and the time of the others is over.
  now_ = now_ + kNanosPerSecond;
  socket_.vanish(peers[0]);
  turn();
  EXPECT_TRUE(socket_.open(peers[1]));
  EXPECT_TRUE(socket_.open(peers[2]));
  EXPECT_EQ(door_->counters().write_evicted, 0U);
}

TEST_F(FrontDoorAnswers, ThatFindNoRoomInTimeAreRefused) {
  FrontDoorOptions options;
  options.answer_bytes_budget = 32 * kMiB;
  options.write_contended_nanos = options.write_nanos;
  door_ = std::make_unique<FrontDoor>(socket_, reader_, options);
  socket_.set_stalled(true);
  for (int i = 0; i < 3; ++i) give(connect(), post("/read", ""));
  wait(10);
  const env::ConnectionId last = connect();
  give(last, post("/read", ""));
  const int handled = reader_.handled;
  // Those who take nothing are closed after 30 s; until then nobody asks in vain.
  wait(19);
  EXPECT_EQ(reader_.handled, handled);
  wait(2);
  EXPECT_EQ(reader_.handled, handled + 1);
  for (int i = 0; i < 2; ++i) give(connect(), post("/read", ""));
  const env::ConnectionId late = connect();
  give(late, post("/read", ""));
  EXPECT_EQ(door_->counters().answer_waits, 2U);
  socket_.vanish(late);
  turn();
  EXPECT_EQ(door_->counters().aborted, 1U);
}

TEST_F(FrontDoorAnswers, WaitThirtySecondsAtMost) {
  FrontDoorOptions options;
  options.answer_bytes_budget = 32 * kMiB;
  options.write_nanos = options.write_contended_nanos = 60 * kNanosPerSecond;
  door_ = std::make_unique<FrontDoor>(socket_, reader_, options);
  socket_.set_stalled(true);
  for (int i = 0; i < 3; ++i) give(connect(), post("/read", ""));
  const env::ConnectionId last = connect();
  give(last, post("/read", ""));
  wait(31);
  EXPECT_EQ(door_->counters().rejected[static_cast<std::size_t>(Rejection::kOverloaded)], 1U);
  socket_.set_stalled(false);
  turn();
  EXPECT_TRUE(socket_.taken(last).starts_with("HTTP/1.1 503 "));
}

TEST_F(FrontDoorTest, KeepsAnExchangeWhosePeerIsGoneUntilTheServiceIsDone) {
  start({});
  const env::ConnectionId id = connect();
  give(id, post("/hold", std::string(50'000, 'x')));
  ASSERT_EQ(service_.held.size(), 1U);
  socket_.vanish(id);
  turn();
  door_->begin_drain();
  turn();
  EXPECT_FALSE(door_->drained());
  EXPECT_EQ(service_.held.front()->body.size(), 50'000U);
  EXPECT_EQ(service_.held.front()->body[49'999], 'x');
  service_.let_go(now_);
  turn();
  EXPECT_TRUE(door_->drained());
  EXPECT_EQ(door_->counters().aborted, 1U);
  EXPECT_EQ(door_->body_bytes_used(), 0U);
}

TEST_F(FrontDoorTest, ClosesOnAPeerThatTakesNothing) {
  start({});
  const env::ConnectionId id = connect();
  socket_.set_stalled(true);
  give(id, post("/large", ""));
  wait(29);
  EXPECT_TRUE(socket_.open(id));
  wait(2);
  EXPECT_FALSE(socket_.open(id));
  EXPECT_EQ(door_->counters().write_stalled, 1U);
  turn();
  EXPECT_EQ(door_->body_bytes_used(), 0U);
}

TEST_F(FrontDoorTest, RefusesConnectionsBeyondItsNumberAndUsesOldOnesAgain) {
  FrontDoorOptions options;
  options.connections_max = 2;
  start(options);
  const env::ConnectionId a = connect(), b = connect(), c = connect();
  EXPECT_TRUE(socket_.open(a));
  EXPECT_TRUE(socket_.open(b));
  EXPECT_FALSE(socket_.open(c));
  EXPECT_EQ(door_->counters().connections_refused, 1U);
  socket_.end(a);
  turn();
  const env::ConnectionId d = connect();
  give(d, post("/", "again"));
  EXPECT_EQ(answer(d), "POST / again");
  EXPECT_EQ(door_->counters().connections_open, 2U);
}

TEST_F(FrontDoorTest, GivesTheServiceWhatItNeedsToKnow) {
  class Looks final : public Service {
   public:
    void handle(Exchange& exchange, Nanos now, WallMillis wall) override {
      EXPECT_EQ(exchange.listener, 3U);
      EXPECT_FALSE(exchange.secure);
      EXPECT_EQ(exchange.received, now);
      EXPECT_EQ(wall, WallMillis(0));
      EXPECT_EQ(exchange.header("x-a"), "b");
      EXPECT_EQ(exchange.header("x-c").data(), nullptr);
      EXPECT_GE(exchange.service_storage().size(), Exchange::kServiceBytes);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(exchange.service_storage().data()) % 64, 0U);
      const proto::Sha256Digest digest =
          proto::sha256({exchange.body.data(), exchange.body.size()});
      EXPECT_TRUE(std::equal(digest.begin(), digest.end(), exchange.body_sha256));
      sizes.push_back(exchange.body.size());
      exchange.respond(200, {}, {}, now);
    }
    std::vector<std::size_t> sizes;
  } looks;
  FrontDoor door(socket_, looks, {});
  const env::ConnectionId id = socket_.connect(3);
  for (const std::size_t size : {0U, 1U, 100U, 20'000U, 1'000'000U}) {
    socket_.give(id, "POST / HTTP/1.1\r\nHost: h\r\nX-A: b\r\nContent-Length: " +
                         std::to_string(size) + "\r\n\r\n" + std::string(size, 'z'));
    while (door.poll(now_, WallMillis(0)) > 0) now_ = now_ + 1;
  }
  EXPECT_EQ(looks.sizes, (std::vector<std::size_t>{0, 1, 100, 20'000, 1'000'000}));
}

class FrontDoorTls : public FrontDoorTest {
 protected:
  FrontDoorTls() {
    start({}, {{kTlsTag,
                transport::TlsContext::server(certificate_.certificate_pem, certificate_.key_pem)
                    .value()}});
    id_ = connect(kTlsTag);
    client_.start();
    exchange();
    exchange();
  }

  // Carries both ways until nothing moves; returns plaintext that came.
  std::string exchange() {
    std::string plain;
    for (int i = 0; i < 200; ++i) {
      const std::span<const std::byte> out = client_.take_output();
      if (!out.empty()) {
        socket_.give(id_, {reinterpret_cast<const char*>(out.data()), out.size()});
      }
      turn();
      const std::string in = socket_.taken(id_);
      if (in.empty() && out.empty()) break;
      if (in.empty()) continue;
      client_.feed(std::as_bytes(std::span(in)));
      char buffer[4096];
      while (const std::size_t n = client_.read(std::as_writable_bytes(std::span(buffer)))) {
        plain.append(buffer, n);
      }
    }
    return plain;
  }
  void write(const std::string& text) { client_.write(std::as_bytes(std::span(text))); }

  test::TestCertificate certificate_ = test::make_test_certificate();
  transport::TlsSession client_{transport::TlsContext::client(certificate_.certificate_pem).value(),
                                "localhost"};
  env::ConnectionId id_ = env::ConnectionId::kNone;
};

TEST_F(FrontDoorTls, ServesRequestsOfEverySize) {
  ASSERT_EQ(client_.state(), transport::TlsState::kOpen) << client_.failure();
  EXPECT_EQ(door_->counters().tls_handshakes, 1U);
  for (const std::size_t size : {0U, 5U, 30'000U, 2'000'000U}) {
    write(post("/", std::string(size, 'q')));
    const std::string plain = exchange();
    EXPECT_TRUE(plain.starts_with("HTTP/1.1 200 OK\r\n"));
    if (size > 100) {
      EXPECT_TRUE(plain.ends_with("POST / " + std::to_string(size) + " bytes"));
    }
  }
  write(post("/large", ""));
  EXPECT_TRUE(exchange().ends_with("0123456789abcdef0123456789abcdef"));
}

TEST_F(FrontDoorTls, ServesRequestsSentAheadInOneRecord) {
  write(post("/1", "a") + post("/hold", "b") + post("/3", "c"));
  EXPECT_TRUE(exchange().ends_with("POST /1 a"));
  service_.let_go(now_);
  const std::string plain = exchange();
  EXPECT_NE(plain.find("POST /hold b"), std::string::npos);
  EXPECT_TRUE(plain.ends_with("POST /3 c"));
}

TEST_F(FrontDoorTls, EndsWithANotificationWhenAskedToClose) {
  write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(exchange().ends_with("GET /"));
  EXPECT_EQ(client_.state(), transport::TlsState::kEnded);
  EXPECT_FALSE(socket_.open(id_));
}

TEST_F(FrontDoorTls, AnswersAClientThatHasSaidItIsDone) {
  write(post("/", "last"));
  client_.end();
  const std::span<const std::byte> out = client_.take_output();
  socket_.give(id_, {reinterpret_cast<const char*>(out.data()), out.size()});
  turn();
  EXPECT_EQ(door_->counters().requests, 1U);
  EXPECT_GT(socket_.taken(id_).size(), 0U);
  EXPECT_FALSE(socket_.open(id_));
}

TEST_F(FrontDoorTls, AsksForABodyOfWhomWaitsEvenAtTheEnd) {
  // The request and the peer's end in one flight: there is no body to come, and nobody to ask.
  write("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  client_.end();
  exchange();
  EXPECT_FALSE(socket_.open(id_));
}

TEST_F(FrontDoorTls, ClosesOnPlainHttpAndOnGarbage) {
  const env::ConnectionId plain = connect(kTlsTag);
  give(plain, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_FALSE(socket_.open(plain));
  EXPECT_EQ(door_->counters().tls_failures, 1U);
  give(id_, std::string(100, 'x'));
  EXPECT_FALSE(socket_.open(id_));
  EXPECT_EQ(door_->counters().tls_failures, 2U);
}

TEST_F(FrontDoorTls, GivesAHandshakeItsTime) {
  const env::ConnectionId slow = connect(kTlsTag);
  give(slow, "\x16\x03\x01");
  wait(9);
  EXPECT_TRUE(socket_.open(slow));
  wait(2);
  EXPECT_FALSE(socket_.open(slow));
}

}  // namespace
}  // namespace penstock::http
