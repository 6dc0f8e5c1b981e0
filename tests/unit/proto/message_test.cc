// Goal: a message of every kind comes back as it was written, and nothing that does not verify is let through.
// Method: tables built with FlatBuffers' own builder, each header field and length changed in turn.
#include "proto/message.h"

#include <gtest/gtest.h>
#include <penstock_generated.h>

#include <cstring>
#include <random>
#include <vector>

namespace penstock::proto {
namespace {

// 8-aligned, with padding behind the table.
struct Written {
  explicit Written(MessageKind kind, flatbuffers::FlatBufferBuilder* table = nullptr,
                   std::span<const std::uint8_t> attachment = {}) {
    const std::size_t used = table == nullptr ? 0 : table->GetSize();
    header.kind = kind;
    header.table_bytes = static_cast<std::uint32_t>((used + 7) / 8 * 8);
    header.request = 0x1122334455667788;
    header.map_epoch = 42;
    header.sequence = 7;
    size = kMessageHeaderBytes + header.table_bytes + attachment.size();
    words.resize(size / 8 + 1);
    const MessageHeaderBytes first = encode(header);
    std::memcpy(words.data(), first.data(), first.size());
    if (used > 0) std::memcpy(data() + kMessageHeaderBytes, table->GetBufferPointer(), used);
    if (attachment.empty()) return;
    std::memcpy(data() + kMessageHeaderBytes + header.table_bytes, attachment.data(),
                attachment.size());
  }
  std::byte* data() { return reinterpret_cast<std::byte*>(words.data()); }
  std::span<const std::byte> bytes() { return {data(), size}; }
  MessageHeader header;
  std::vector<std::uint64_t> words;
  std::size_t size = 0;
};

flatbuffers::FlatBufferBuilder batch_of(std::uint32_t records) {
  flatbuffers::FlatBufferBuilder b;
  const std::vector<std::uint8_t> bytes(std::size_t{records} * 10, 7);
  std::vector<RecordEntry> entries;
  for (std::uint32_t i = 0; i < records; ++i) {
    entries.emplace_back(i * 10, i * 10 + 4, 6, 4, 0, 1, 2);
  }
  const auto all = b.CreateVectorOfStructs(entries);
  const auto data = b.CreateVector(bytes);
  b.Finish(CreateBatch(b, all, data));
  return b;
}

TEST(Message, ComesBackAsItWasWritten) {
  flatbuffers::FlatBufferBuilder b;
  b.Finish(CreateGetDirect(b, "telemetry", 3, nullptr, 1000, 10, 5));
  Written written(MessageKind::kGet, &b);
  const auto message = decode_message(written.bytes());
  ASSERT_TRUE(message.has_value());
  EXPECT_TRUE(message->known);
  EXPECT_EQ(message->header.kind, MessageKind::kGet);
  EXPECT_EQ(message->header.request, 0x1122334455667788U);
  EXPECT_EQ(message->header.map_epoch, 42U);
  EXPECT_EQ(message->header.sequence, 7U);
  EXPECT_TRUE(message->attachment.empty());
  const auto* get = flatbuffers::GetRoot<Get>(message->table.data());
  EXPECT_EQ(get->stream()->str(), "telemetry");
  EXPECT_EQ(get->bytes_max(), 1000U);
}

TEST(Message, HasAVerifierForEveryKind) {
  flatbuffers::FlatBufferBuilder b;
  b.Finish(CreateStreamName(b, b.CreateString("s")));
  flatbuffers::FlatBufferBuilder plain;
  plain.Finish(CreateDelivered(plain, 1, 2, 3));
  for (const auto kind :
       {MessageKind::kHello, MessageKind::kWelcome, MessageKind::kFailed, MessageKind::kGetMap,
        MessageKind::kMap, MessageKind::kMapChanged, MessageKind::kAdmin, MessageKind::kAdminDone,
        MessageKind::kOpenPut, MessageKind::kPutOpened, MessageKind::kPutDone,
        MessageKind::kSubscribe, MessageKind::kSubscribed, MessageKind::kDelivery,
        MessageKind::kShardEnd, MessageKind::kGet, MessageKind::kGot}) {
    Written none(kind);
    EXPECT_FALSE(decode_message(none.bytes()).has_value()) << static_cast<int>(kind);
    flatbuffers::FlatBufferBuilder empty;
    empty.Finish(flatbuffers::Offset<void>(empty.EndTable(empty.StartTable())));
    Written nothing_said(kind, &empty);  // every field has a default
    EXPECT_TRUE(decode_message(nothing_said.bytes()).has_value()) << static_cast<int>(kind);
  }
}

TEST(Message, APutIsABatchAlone) {
  flatbuffers::FlatBufferBuilder b = batch_of(3);
  Written put(MessageKind::kPut, nullptr, b.GetBufferSpan());
  const auto message = decode_message(put.bytes());
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(GetBatch(message->attachment.data())->records()->size(), 3U);
  Written with_table(MessageKind::kPut, &b, b.GetBufferSpan());
  EXPECT_FALSE(decode_message(with_table.bytes()).has_value());
  Written nothing(MessageKind::kPut);
  EXPECT_FALSE(decode_message(nothing.bytes()).has_value());
  flatbuffers::FlatBufferBuilder half;
  half.Finish(CreateBatch(half, 0, half.CreateVector(std::vector<std::uint8_t>(8))));
  Written without_records(MessageKind::kPut, nullptr, half.GetBufferSpan());
  EXPECT_FALSE(decode_message(without_records.bytes()).has_value());
}

TEST(Message, OnlyThreeKindsHaveAnAttachment) {
  const std::vector<std::uint8_t> bytes(16, 1);
  flatbuffers::FlatBufferBuilder b;
  b.Finish(CreateDelivered(b, 1, 2, 3));
  Written delivery(MessageKind::kDelivery, &b, bytes);
  const auto message = decode_message(delivery.bytes());
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->attachment.size(), 16U);
  Written subscribed(MessageKind::kSubscribed, &b, bytes);
  EXPECT_FALSE(decode_message(subscribed.bytes()).has_value());
}

TEST(Message, OfAKindThatIsNotKnownIsGivenUnread) {
  const std::vector<std::uint8_t> bytes(24, 0xee);
  Written later(static_cast<MessageKind>(999), nullptr, bytes);
  const auto message = decode_message(later.bytes());
  ASSERT_TRUE(message.has_value());
  EXPECT_FALSE(message->known);
  EXPECT_EQ(message->header.request, 0x1122334455667788U);
}

TEST(Message, IsRefusedWhereItsHeaderIsWrong) {
  flatbuffers::FlatBufferBuilder b;
  b.Finish(CreateStreamName(b, b.CreateString("stream")));
  for (const std::size_t at : {2U, 3U, 28U, 31U}) {
    Written written(MessageKind::kGetMap, &b);
    written.data()[at] = std::byte{1};
    EXPECT_FALSE(decode_message(written.bytes()).has_value()) << at;
  }
  Written written(MessageKind::kGetMap, &b);
  for (std::size_t size = 0; size < written.size; ++size) {
    EXPECT_FALSE(decode_message(written.bytes().first(size)).has_value()) << size;
  }
}

TEST(Message, AMapMayHaveEveryShardOfAStream) {
  flatbuffers::FlatBufferBuilder b;
  std::vector<flatbuffers::Offset<Shard>> shards;
  for (std::uint32_t i = 0; i < 1000; ++i) shards.push_back(CreateShard(b, i));
  const auto all = b.CreateVector(shards);
  b.Finish(CreateShardMap(b, 0, 1, 2, StreamState::Active, 0, 24, all));
  Written map(MessageKind::kMap, &b);
  EXPECT_TRUE(decode_message(map.bytes()).has_value());
}

TEST(Message, ChangedAnywhereIsRefusedOrStillReadable) {
  std::mt19937 random(11);
  flatbuffers::FlatBufferBuilder b = batch_of(20);
  int good = 0;
  for (int i = 0; i < 20'000; ++i) {
    Written put(MessageKind::kPut, nullptr, b.GetBufferSpan());
    for (int n = 0; n < 3; ++n) {
      const std::size_t at = kMessageHeaderBytes + random() % (put.size - kMessageHeaderBytes);
      put.data()[at] = static_cast<std::byte>(random());
    }
    const auto message = decode_message(put.bytes());
    if (!message) continue;
    ++good;
    const Batch* batch = GetBatch(message->attachment.data());
    ASSERT_LE(batch->records()->size() * sizeof(RecordEntry), message->attachment.size());
    ASSERT_LE(batch->bytes()->size(), message->attachment.size());
  }
  EXPECT_GT(good, 100);
}

}  // namespace
}  // namespace penstock::proto
