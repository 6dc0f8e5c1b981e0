// Goal: puts keep their limits, wait rather than fail for memory, and cost no allocation. Method: the
// service over planes in memory, with `operator new` counted.
#include "http/base64.h"
#include "tests/support/allocation_count.h"
#include "tests/support/kinesis_harness.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace penstock::http {
namespace {

using test::FakeExchange;
using test::KinesisHarness;

std::string data_of(std::size_t bytes) {
  const std::string raw(bytes, 'd');
  std::string text(base64_encoded_bytes(bytes), ' ');
  base64_encode(std::as_bytes(std::span(raw)), text.data());
  return text;
}

std::string record_body(std::size_t data_bytes) {
  return R"({"StreamName":"fleet","PartitionKey":"k","Data":")" + data_of(data_bytes) + "\"}";
}

std::string records_body(std::size_t count, std::size_t data_bytes,
                         const std::string& key = "key") {
  const std::string data = data_of(data_bytes);
  std::string body = R"({"StreamName":"fleet","Records":[)";
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) body += ',';
    body += R"({"Data":")" + data + R"(","PartitionKey":")" + key + std::to_string(i) + "\"}";
  }
  return body + "]}";
}

TEST(KinesisPut, TakesRecordsUpToTheStreamsLimit) {
  KinesisHarness kinesis;
  kinesis.data.add_stream("fleet", 1);
  EXPECT_EQ(kinesis.call("PutRecord", record_body(1'048'576)).status, 200);
  const test::Answer refused = kinesis.call("PutRecord", record_body(1'048'577));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(
      refused.body,
      R"({"__type":"InvalidArgumentException","message":"Data of 1048577 bytes exceeds the maximum record size of 1048576 bytes of stream fleet under account 000000000000."})");
  kinesis.data.change("fleet", [](route::StreamRoute& s) { s.record_bytes_max = 10'485'760; });
  EXPECT_EQ(kinesis.call("PutRecord", record_body(10'485'760)).status, 200);
  EXPECT_EQ(kinesis.data.log("fleet", 0).records.back().data.size(), 10'485'760U);
  const test::Answer invalid = kinesis.call("PutRecord", record_body(10'485'761));
  EXPECT_NE(
      invalid.body.find("'java.nio.HeapByteBuffer[pos=0 lim=10485761 cap=10485761]' at 'data' "
                        "failed to satisfy constraint: Member must have length less than or "
                        "equal to 10485760"),
      std::string::npos)
      << invalid.body;
}

TEST(KinesisPut, RefusesCallsBeyondTenMebibytesWhole) {
  KinesisHarness kinesis;
  kinesis.data.add_stream("fleet", 1);
  const test::Answer answer = kinesis.call("PutRecords", records_body(11, 1'000'000));
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("exceed the limit of 10485760 bytes per PutRecords call"),
            std::string::npos)
      << answer.body;
  EXPECT_TRUE(kinesis.data.log("fleet", 0).records.empty());
}

// Ten bytes less than the limit, and so within it however the keys are written.
TEST(KinesisPut, EscapesDoNotCountTowardsTheLimitOfACall) {
  std::string escaped;
  for (int i = 0; i < 40; ++i) escaped += "\\u0061";
  const std::string plain(40, 'a');
  for (const std::string& key : {escaped, plain}) {
    KinesisHarness kinesis;
    kinesis.data.add_stream("fleet", 1);
    EXPECT_EQ(kinesis.call("PutRecords", records_body(10, 1'048'535 - 1, key)).status, 200);
    EXPECT_EQ(kinesis.call("PutRecords", records_body(10, 1'048'535 + 1, key)).status, 400);
    EXPECT_EQ(kinesis.service.counters().put_general, 0U);
  }
}

TEST(KinesisPut, TellsOfTooManyRecordsAsTheServiceDoes) {
  KinesisHarness kinesis;
  kinesis.data.add_stream("fleet", 1);
  const test::Answer answer = kinesis.call("PutRecords", records_body(501, 0));
  EXPECT_EQ(answer.status, 400);
  const std::string entry = "com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310";
  std::string list = entry;
  for (int i = 1; i < 501; ++i) list += ", " + entry;
  EXPECT_EQ(
      answer.body,
      R"({"__type":"ValidationException","message":"1 validation error detected: Value '[)" + list +
          R"(]' at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"})");
}

TEST(KinesisPut, ARefusalIsNeverMuchLargerThanItsReason) {
  KinesisHarness kinesis;
  const std::string key(1'000'000, 'k');
  const test::Answer answer =
      kinesis.call("PutRecord", R"({"StreamName":"s","Data":"","PartitionKey":")" + key + "\"}");
  EXPECT_EQ(answer.status, 400);
  EXPECT_LT(answer.body.size(), 4096U);
  std::string body = R"({"StreamName":"s","Records":[)";
  for (int i = 0; i < 100'000; ++i) body += i == 0 ? "{}" : ",{}";
  const test::Answer refused = kinesis.call("PutRecords", body + "]}");
  EXPECT_EQ(refused.status, 400);
  EXPECT_LT(refused.body.size(), 100'000U);
  EXPECT_NE(refused.body.find("Member must have length less than or equal to 500"),
            std::string::npos);
}

TEST(KinesisPut, StoresWhatWasSentWithItsHash) {
  KinesisHarness kinesis;
  kinesis.data.add_stream("fleet", 1);
  EXPECT_EQ(kinesis.call("PutRecords", records_body(100, 1000)).status, 200);
  const auto& records = kinesis.data.log("fleet", 0).records;
  ASSERT_EQ(records.size(), 100U);
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].key, "key" + std::to_string(i));
    EXPECT_EQ(records[i].data, std::string(1000, 'd'));
  }
  const KinesisCounters& counters = kinesis.service.counters();
  EXPECT_EQ(counters.records_stored, 100U);
  EXPECT_EQ(counters.record_bytes_stored, 100U * 1000 + 10 * 4 + 90 * 5);
  EXPECT_EQ(counters.put_general, 0U);
}

TEST(KinesisPut, CallsWaitForABlockInOrder) {
  KinesisHarness kinesis({.put_blocks = 2});
  kinesis.data.add_stream("fleet", 1);
  std::vector<std::unique_ptr<FakeExchange>> exchanges;
  for (int i = 0; i < 5; ++i) {
    exchanges.push_back(std::make_unique<FakeExchange>());
    kinesis.prepare(*exchanges.back(), "PutRecords", records_body(50, 10, std::to_string(i) + "-"));
    kinesis.service.handle(*exchanges.back(), kinesis.now, kinesis.data.wall());
  }
  EXPECT_EQ(kinesis.data.waiting(), 2U);
  EXPECT_EQ(kinesis.service.counters().put_waited, 3U);
  for (int turn = 0; turn < 3; ++turn) kinesis.run();
  for (const auto& exchange : exchanges) {
    EXPECT_TRUE(exchange->answered());
    EXPECT_EQ(exchange->status(), 200);
  }
  const auto& records = kinesis.data.log("fleet", 0).records;
  ASSERT_EQ(records.size(), 250U);
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].key, std::to_string(i / 50) + "-" + std::to_string(i % 50));
  }
}

TEST(KinesisPut, ARefusedWaiterDoesNotHoldUpTheNext) {
  KinesisHarness kinesis({.put_blocks = 1});
  kinesis.data.add_stream("fleet", 1);
  FakeExchange first;
  FakeExchange refused;
  FakeExchange last;
  kinesis.prepare(first, "PutRecords", records_body(50, 10));
  kinesis.prepare(refused, "PutRecords",
                  R"({"StreamName":"nobody","Records":[{"PartitionKey":"k","Data":""}]})");
  kinesis.prepare(last, "PutRecords", records_body(50, 10));
  for (FakeExchange* exchange : {&first, &refused, &last}) {
    kinesis.service.handle(*exchange, kinesis.now, kinesis.data.wall());
  }
  EXPECT_FALSE(refused.answered());
  kinesis.run();
  EXPECT_EQ(first.status(), 200);
  EXPECT_EQ(refused.status(), 400);
  kinesis.run();
  EXPECT_EQ(last.status(), 200);
}

// A client that hears nothing sends its call again: the first must not be carried out later.
TEST(KinesisPut, ACallThatWaitedTooLongStoresNothing) {
  KinesisHarness kinesis({.put_blocks = 1});
  kinesis.data.add_stream("fleet", 1);
  FakeExchange first;
  FakeExchange late;
  FakeExchange left;
  FakeExchange timely;
  kinesis.prepare(first, "PutRecords", records_body(50, 10));
  kinesis.prepare(late, "PutRecords", records_body(50, 10));
  for (FakeExchange* exchange : {&first, &late}) {
    kinesis.service.handle(*exchange, kinesis.now, kinesis.data.wall());
  }
  kinesis.advance(4'000);
  kinesis.prepare(left, "PutRecords", records_body(50, 10));
  kinesis.prepare(timely, "PutRecords", records_body(50, 10));
  for (FakeExchange* exchange : {&left, &timely}) {
    kinesis.service.handle(*exchange, kinesis.now, kinesis.data.wall());
  }
  left.gone = true;
  kinesis.advance(1'000);
  kinesis.run();
  EXPECT_EQ(first.status(), 200);
  EXPECT_EQ(late.status(), 503);
  EXPECT_TRUE(left.answered());
  EXPECT_FALSE(timely.answered());
  kinesis.run();
  EXPECT_EQ(timely.status(), 200);
  EXPECT_EQ(kinesis.data.log("fleet", 0).records.size(), 100U);
  EXPECT_EQ(kinesis.service.counters().put_late, 2U);
}

TEST(KinesisPut, PutRecordTellsUnavailableFromUnknown) {
  KinesisHarness kinesis;
  kinesis.data.add_stream("fleet", 1);
  auto& log = kinesis.data.log("fleet", 0);
  log.admit = 0;
  log.refuse_puts = ErrorCode::kOverloaded;
  EXPECT_EQ(kinesis.call("PutRecord", record_body(1)).status, 503);
  log.refuse_puts = ErrorCode::kUnknownOutcome;
  EXPECT_EQ(kinesis.call("PutRecord", record_body(1)).body,
            R"~({"__type":"InternalFailureException",)~"
            R"~("message":"the outcome of the write is unknown (PS-3003)"})~");
  EXPECT_EQ(kinesis.service.counters().answered_with(Operation::kPutRecord, 503), 1U);
  EXPECT_EQ(kinesis.service.counters().answered_with(Operation::kPutRecord, 500), 1U);
}

// The planes' memory of records would hide what the service does.
class DiscardingPlane final : public shard::DataPlane {
 public:
  explicit DiscardingPlane(test::FakeDataPlane& data) : data_(data) {}
  void put(shard::PutRequest& request, Nanos) override { request_ = &request; }
  void read(shard::ReadRequest&, Nanos) override {}
  void open_producer(shard::ProducerRequest&, Nanos) override {}
  const std::shared_ptr<const route::RouteMap>& routes() const override { return data_.routes(); }
  [[nodiscard]] Nanos deadline() const { return request_->deadline; }
  void answer(Nanos now) {
    for (shard::PutEntry& entry : request_->entries) {
      entry.stored = true;
      entry.arrival = WallMillis(KinesisHarness::kStartMillis);
    }
    request_->done(*request_, now);
  }

 private:
  test::FakeDataPlane& data_;
  shard::PutRequest* request_ = nullptr;
};

TEST(KinesisPut, TheDeadlineCountsFromTheLastByte) {
  KinesisHarness kinesis;
  kinesis.data.add_stream("fleet", 1);
  DiscardingPlane plane(kinesis.data);
  KinesisService service(plane, kinesis.control, kinesis.entropy, KinesisHarness::complete({}));
  FakeExchange exchange;
  kinesis.prepare(exchange, "PutRecord", record_body(10));
  kinesis.advance(4'999);
  service.handle(exchange, kinesis.now, kinesis.data.wall());
  EXPECT_EQ(plane.deadline(), exchange.received + 5 * kNanosPerSecond);
}

std::size_t allocations_of_a_warm_call(std::string_view operation, const std::string& body) {
  KinesisHarness kinesis;
  kinesis.data.add_stream("fleet", 4);
  DiscardingPlane plane(kinesis.data);
  KinesisService service(plane, kinesis.control, kinesis.entropy, KinesisHarness::complete({}));
  FakeExchange exchange;
  std::size_t counted = 0;
  for (int round = 0; round < 5; ++round) {
    // The body is overwritten by each call.
    exchange.set_body(body);
    if (round == 0) kinesis.prepare(exchange, operation, body);
    exchange.reset();
    const std::size_t before = test::allocation_count();
    service.handle(exchange, kinesis.now, kinesis.data.wall());
    if (!exchange.answered()) plane.answer(kinesis.now);
    counted = test::allocation_count() - before;
    EXPECT_EQ(exchange.status(), 200) << exchange.text();
  }
  return counted;
}

TEST(KinesisPut, AllocatesNothingOnceWarm) {
  EXPECT_EQ(allocations_of_a_warm_call("PutRecords", records_body(500, 100)), 0U);
  EXPECT_EQ(allocations_of_a_warm_call("PutRecords", records_body(3, 100)), 0U);
  EXPECT_EQ(allocations_of_a_warm_call("PutRecord", record_body(1000)), 0U);
}

}  // namespace
}  // namespace penstock::http
