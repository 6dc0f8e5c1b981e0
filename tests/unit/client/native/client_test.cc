// Goal: what threads see of the library: connections over real sockets, plain and TLS; results, back-pressure, and
// ends at any moment. Method: the server in memory behind a loopback socket.
#include "penstock/client.h"

#include "penstock/admin.h"
#include "penstock/consumer.h"
#include "penstock/producer.h"
#include "tests/support/test_certificate.h"
#include "tests/unit/client/native/loopback.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <future>
#include <map>

namespace penstock {
namespace {

using client::native::test::FakeServer;
using client::native::test::Loopback;

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

ClientOptions options_for(const Loopback& loopback) {
  ClientOptions options;
  options.endpoints = {loopback.endpoint()};
  options.access_key = FakeServer::kKey;
  options.secret_key = FakeServer::kSecret;
  return options;
}

// Four threads, each with keys of its own, whose records are numbered.
void put_from_threads(Client& client, Loopback& loopback, int records,
                      const std::function<void(int)>& meanwhile = {}) {
  ProducerOptions options;
  options.batch_bytes = 4096;
  const auto producer = client.producer("s", options);
  std::atomic<int> stored = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < records; ++i) {
        const std::string key = "thread " + std::to_string(t) + " " + std::to_string(i % 3);
        const std::string data = std::to_string(i);
        const auto taken = producer->put(key, bytes(data), [&stored](const Result<Stored>& result) {
          if (result) ++stored;
        });
        EXPECT_TRUE(taken);
        if (t == 0 && meanwhile) meanwhile(i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  producer->flush();
  EXPECT_EQ(stored, 4 * records);
  EXPECT_EQ(producer->counters().records_stored, static_cast<std::uint64_t>(4 * records));
  EXPECT_EQ(producer->counters().buffered_bytes, 0U);
  loopback.with([&](FakeServer& server) {
    std::map<std::string, int> last;
    std::size_t count = 0;
    for (const auto& [key, data] : server.streams.at("s").all()) {
      ++count;
      EXPECT_GT(std::stoi(data) + 1, last[key]) << key;
      last[key] = std::stoi(data) + 1;
    }
    EXPECT_EQ(count, static_cast<std::size_t>(4 * records));
  });
}

TEST(Client, StoresWhatThreadsPut) {
  Loopback loopback;
  loopback.with([](FakeServer& server) { server.create("s", 3); });
  const auto client = Client::connect(options_for(loopback));
  ASSERT_TRUE(client);
  EXPECT_TRUE((*client)->connected());
  put_from_threads(**client, loopback, 1'000);
}

TEST(Client, StoresThroughTls) {
  const auto certificate = penstock::test::make_test_certificate();
  auto context = transport::TlsContext::server(certificate.certificate_pem, certificate.key_pem,
                                               transport::TlsProtocol::kNative);
  ASSERT_TRUE(context);
  Loopback loopback(*context);
  loopback.with([](FakeServer& server) { server.create("s", 3); });
  const std::string file = testing::TempDir() + "penstock_ca_" + std::to_string(::getpid());
  std::ofstream(file) << certificate.certificate_pem;
  ClientOptions options = options_for(loopback);
  options.ca_file = file;
  const auto client = Client::connect(options);
  ASSERT_TRUE(client);
  put_from_threads(**client, loopback, 300);
  // Over TLS, too, one hears that there is no room.
  loopback.with([](FakeServer& server) { server.full = true; });
  options.connect_timeout = std::chrono::milliseconds(500);
  const auto turned_away = Client::connect(options);
  ASSERT_FALSE(turned_away);
  EXPECT_EQ(turned_away.error().code, ErrorCode::kOverloaded);
  // Who trusts others does not connect.
  options.ca_file.clear();
  options.connect_timeout = std::chrono::milliseconds(300);
  EXPECT_FALSE(Client::connect(options));
  std::remove(file.c_str());
}

TEST(Client, LosesNothingWithItsConnectionsAndShards) {
  Loopback loopback;
  loopback.with([](FakeServer& server) { server.create("s", 2); });
  const auto client = Client::connect(options_for(loopback));
  ASSERT_TRUE(client);
  put_from_threads(**client, loopback, 1'000, [&](int i) {
    if (i % 250 == 100) loopback.drop_connections();
    if (i == 500) loopback.with([](FakeServer& server) { server.split("s", 1); });
  });
}

TEST(Client, SaysWhyItDoesNotConnect) {
  Loopback loopback;
  ClientOptions options = options_for(loopback);
  options.secret_key = "wrong";
  const auto denied = Client::connect(options);
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, ErrorCode::kDenied);
  options.endpoints = {"http://localhost"};
  EXPECT_EQ(Client::connect(options).error().code, ErrorCode::kConfig);
  options.endpoints = {"tcp://localhost:99999"};
  EXPECT_EQ(Client::connect(options).error().code, ErrorCode::kConfig);
  options.endpoints = {};
  EXPECT_EQ(Client::connect(options).error().code, ErrorCode::kConfig);
  options = options_for(loopback);
  options.ca_file = "/nowhere";
  EXPECT_EQ(Client::connect(options).error().code, ErrorCode::kConfig);
  options = options_for(loopback);
  options.access_key.clear();
  options.profile_file = "/nowhere";
  EXPECT_EQ(Client::connect(options).error().code, ErrorCode::kConfig);
}

TEST(Client, PutWaitsForRoomAndTryPutDoesNot) {
  Loopback loopback;
  loopback.with([](FakeServer& server) {
    server.create("s", 1);
    server.answer_delay_nanos = [] { return 20 * kNanosPerMilli; };
  });
  const auto client = Client::connect(options_for(loopback));
  ASSERT_TRUE(client);
  ProducerOptions options;
  options.linger = std::chrono::microseconds(0);
  options.buffered_bytes_max = 100;
  const auto producer = (*client)->producer("s", options);
  const std::string data(60, 'x');
  EXPECT_TRUE(producer->try_put("k", bytes(data), nullptr));
  const Result<> refused = producer->try_put("k", bytes(data), nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  EXPECT_TRUE(producer->put("k", bytes(data), nullptr));
  // One that is larger than all of the room goes alone.
  const std::string large(1'000, 'y');
  const auto stored = producer->put("k", bytes(large)).get();
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->index, RecordIndex(2));
  EXPECT_EQ(stored->sequence_number().size(), 56U);
}

// A record that nobody calls the thread for would wait for its linger, or for ever: then this does not end.
TEST(Client, CallsItsThreadForWhatMustNotWait) {
  Loopback loopback;
  loopback.with([](FakeServer& server) { server.create("s", 3); });
  const auto client = Client::connect(options_for(loopback));
  ASSERT_TRUE(client);
  ProducerOptions at_once;
  at_once.linger = std::chrono::microseconds(0);
  ProducerOptions soon;
  soon.linger = std::chrono::microseconds(100);
  ProducerOptions full_by_records;
  full_by_records.linger = std::chrono::hours(1);
  full_by_records.batch_records = 1;
  ProducerOptions full_by_bytes = full_by_records;
  full_by_bytes.batch_records = 1'000;
  full_by_bytes.batch_bytes = 64;
  for (const ProducerOptions& options : {at_once, soon, full_by_records, full_by_bytes}) {
    const auto producer = (*client)->producer("s", options);
    const std::string data(64, 'x');
    for (int i = 0; i < 300; ++i) {
      EXPECT_TRUE(producer->put("key " + std::to_string(i), bytes(data)).get());
    }
    // Some with answers under way, some without.
    std::vector<std::future<Result<Stored>>> results;
    for (int i = 0; i < 300; ++i) {
      results.push_back(producer->put("key " + std::to_string(i), bytes(data)));
      if (i % 7 == 0) std::this_thread::sleep_for(std::chrono::microseconds(i));
      if (i % 3 == 0) results.back().wait();
    }
    for (auto& result : results) EXPECT_TRUE(result.get());
  }
}

// One record in the batch, the others in the box: nobody sees a full batch but the thread.
TEST(Client, FillsBatchesThatTheThreadHasBegun) {
  Loopback loopback;
  loopback.with([](FakeServer& server) { server.create("s", 1); });
  const auto client = Client::connect(options_for(loopback));
  ASSERT_TRUE(client);
  ProducerOptions options;
  options.linger = std::chrono::hours(1);
  options.deadline = std::chrono::hours(1);
  options.batch_records = 10;
  const auto producer = (*client)->producer("s", options);
  const std::string data(20, 'x');
  for (int batch = 0; batch < 20; ++batch) {
    std::vector<std::future<Result<Stored>>> results;
    results.push_back(producer->put("k", bytes(data)));
    std::this_thread::sleep_for(std::chrono::milliseconds(batch));
    for (int i = 0; i < 9; ++i) results.push_back(producer->put("k", bytes(data)));
    for (auto& result : results) EXPECT_TRUE(result.get());
  }
}

// Batches that are larger than what the box takes before the thread has looked.
TEST(Client, FillsLargeBatchesThatLinger) {
  Loopback loopback;
  loopback.with([](FakeServer& server) { server.create("s", 1); });
  const auto client = Client::connect(options_for(loopback));
  ASSERT_TRUE(client);
  ProducerOptions options;
  options.linger = std::chrono::hours(1);
  options.batch_bytes = 4 * kMiB;
  const auto producer = (*client)->producer("s", options);
  const std::string data(100 * kKiB, 'x');
  std::atomic<int> stored = 0;
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(producer->put("k", bytes(data), [&stored](const Result<Stored>& result) {
      if (result) ++stored;
    }));
  }
  producer->flush();
  EXPECT_EQ(stored, 50);
}

TEST(Client, RefusesWhatNoBatchMayHave) {
  Loopback loopback;
  const auto client = Client::connect(options_for(loopback));
  ASSERT_TRUE(client);
  const auto producer = (*client)->producer("s", {});
  EXPECT_EQ(producer->try_put("", {}, nullptr).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(producer->try_put(std::string(257, 'k'), {}, nullptr).error().code,
            ErrorCode::kMalformed);
  const std::vector<std::byte> much(11 * kMiB);
  EXPECT_EQ(producer->try_put("k", much, nullptr).error().code, ErrorCode::kTooLarge);
}

TEST(Client, EndsInACallback) {
  Loopback loopback;
  loopback.with([](FakeServer& server) { server.create("s", 1); });
  auto connected = Client::connect(options_for(loopback));
  ASSERT_TRUE(connected);
  std::shared_ptr<Client> client = *connected;
  connected = fail(ErrorCode::kStopping);
  std::shared_ptr<Producer> producer = client->producer("s", {});
  std::promise<void> over;
  ASSERT_TRUE(producer->put("k", {}, [&](const Result<Stored>&) {
    producer->flush();
    EXPECT_EQ(client->admin().list_streams().error().code, ErrorCode::kOverloaded);
    client->close();
    producer.reset();
    client.reset();
    over.set_value();
  }));
  over.get_future().wait();
}

TEST(Client, GivesEverythingAResultWhenItCloses) {
  Loopback loopback;
  loopback.with([](FakeServer& server) {
    server.create("s", 1);
    server.answer_delay_nanos = [] { return 60 * kNanosPerSecond; };
  });
  const auto client = Client::connect(options_for(loopback));
  ASSERT_TRUE(client);
  const auto producer = (*client)->producer("s", {});
  std::vector<std::future<Result<Stored>>> results;
  for (int i = 0; i < 100; ++i) results.push_back(producer->put("k", {}));
  (*client)->close();
  for (auto& result : results) {
    const Result<Stored> stored = result.get();
    ASSERT_FALSE(stored);
    EXPECT_TRUE(stored.error().code == ErrorCode::kUnknownOutcome ||
                stored.error().code == ErrorCode::kStopping);
  }
  EXPECT_EQ(producer->put("k", {}).get().error().code, ErrorCode::kStopping);
  EXPECT_EQ((*client)->admin().list_streams().error().code, ErrorCode::kStopping);
}

TEST(Client, ReadsWhatItPuts) {
  Loopback loopback;
  loopback.with([](FakeServer& server) { server.create("s", 2); });
  const auto client = Client::connect(options_for(loopback));
  ASSERT_TRUE(client);
  constexpr int kRecords = 2'000;
  std::promise<void> all;
  std::map<std::string, std::vector<std::string>> read;
  int count = 0;
  ConsumerOptions options;
  options.on_records = [&](const Records& records) {
    for (const Record& record : records.records) {
      read[std::string(record.key)].emplace_back(reinterpret_cast<const char*>(record.data.data()),
                                                 record.data.size());
      EXPECT_EQ(records.sequence_number(record).size(), 56U);
    }
    count += static_cast<int>(records.records.size());
    if (count == kRecords) all.set_value();
  };
  const auto consumer = (*client)->consumer("s", options);
  const auto producer = (*client)->producer("s", {});
  for (int i = 0; i < kRecords; ++i) {
    const std::string data = std::to_string(i);
    EXPECT_TRUE(producer->put("key " + std::to_string(i % 5), bytes(data), nullptr));
    if (i == 700) loopback.drop_connections();
    if (i == 900) loopback.with([](FakeServer& server) { server.split("s", 0); });
  }
  producer->flush();
  all.get_future().wait();
  consumer->stop();
  for (int i = 0; i < kRecords; ++i) {
    const auto& of_key = read["key " + std::to_string(i % 5)];
    ASSERT_GT(of_key.size(), static_cast<std::size_t>(i / 5));
    EXPECT_EQ(of_key[static_cast<std::size_t>(i / 5)], std::to_string(i));
  }
  EXPECT_EQ(consumer->counters().records, static_cast<std::uint64_t>(kRecords));
  std::uint64_t next = 0;
  for (const auto& [shard, point] : consumer->checkpoints().shards) next += point.next.raw();
  EXPECT_EQ(next, static_cast<std::uint64_t>(kRecords));
}

TEST(Client, AConsumerMayEndInItsOwnCallback) {
  Loopback loopback;
  loopback.with([](FakeServer& server) { server.create("s", 1); });
  const auto client = Client::connect(options_for(loopback));
  ASSERT_TRUE(client);
  std::shared_ptr<Consumer> consumer;
  std::promise<void> over;
  ConsumerOptions options;
  options.on_records = [&](const Records&) {
    consumer->stop();
    consumer.reset();
    over.set_value();
  };
  consumer = (*client)->consumer("s", options);
  EXPECT_TRUE((*client)->producer("s", {})->put("k", {}).get());
  over.get_future().wait();
}

TEST(Client, Administers) {
  Loopback loopback;
  const auto client = Client::connect(options_for(loopback));
  ASSERT_TRUE(client);
  Admin admin = (*client)->admin();
  EXPECT_TRUE(admin.create_stream("a", 2));
  EXPECT_TRUE(admin.create_stream("b", 1));
  EXPECT_EQ(admin.list_streams(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(admin.describe("c").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(admin.split_shard("a", ShardNumber(1), 1ULL << 63, 5));
  EXPECT_TRUE(admin.merge_shards("a", ShardNumber(2), ShardNumber(3)));
  const auto described = admin.describe("a");
  ASSERT_TRUE(described);
  ASSERT_EQ(described->shards.size(), 5U);
  EXPECT_FALSE(described->shards[1].open);
  EXPECT_EQ(described->shards[4].parents, (std::vector{ShardNumber(2), ShardNumber(3)}));
  EXPECT_TRUE(admin.delete_stream("a"));
  EXPECT_EQ(admin.delete_stream("a").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace penstock
