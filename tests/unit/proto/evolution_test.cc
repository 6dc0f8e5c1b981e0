// Goal: a message of a later version is read here as far as it is known, one of today's is read there, and what is not
// known does no harm. Method: a schema with something added to every table and enum, made of today's.
#include "proto/message.h"
#include "tests/support/newer/newer_tables.h"

#include <gtest/gtest.h>
#include <penstock_generated.h>

#include <cstring>
#include <string>
#include <vector>

namespace penstock::proto {
namespace {

using test::remade;

// 8-aligned, as messages lie.
class Message {
 public:
  Message(MessageKind kind, std::span<const std::byte> table,
          std::span<const std::byte> attachment = {})
      : size_(kMessageHeaderBytes + table.size() + attachment.size()), words_(size_ / 8 + 1) {
    const MessageHeaderBytes head =
        encode({.kind = kind, .table_bytes = static_cast<std::uint32_t>(table.size())});
    auto* at = reinterpret_cast<std::byte*>(words_.data());
    std::ranges::copy(head, at);
    std::ranges::copy(table, at + head.size());
    std::ranges::copy(attachment, at + head.size() + table.size());
  }
  [[nodiscard]] Result<DecodedMessage> decoded() const {
    return decode_message(std::as_bytes(std::span(words_)).first(size_));
  }

 private:
  std::size_t size_;
  std::vector<std::uint64_t> words_;
};

using Builder = flatbuffers::FlatBufferBuilder;

std::vector<std::byte> bytes_of(const Builder& builder) {
  std::vector<std::byte> out((builder.GetSize() + 7) / 8 * 8);
  std::memcpy(out.data(), builder.GetBufferPointer(), builder.GetSize());
  return out;
}

// A table by what makes it.
template <class Make>
std::vector<std::byte> table_of(Make make) {
  Builder builder;
  builder.Finish(make(builder));
  return bytes_of(builder);
}

const HashKey kHash(5, 6);

std::vector<flatbuffers::Offset<Shard>> shards_of(Builder& b, std::uint32_t count) {
  std::vector<flatbuffers::Offset<Shard>> shards;
  for (std::uint32_t n = 0; n < count; ++n) shards.push_back(CreateShard(b, n, &kHash, &kHash));
  return shards;
}

std::vector<std::byte> map_of(std::uint32_t shards) {
  return table_of([&](Builder& b) {
    const auto list = shards_of(b, shards);
    return CreateShardMapDirect(b, "s", 3, 4, StreamState::Active, 1 << 20, 24, &list, true);
  });
}

TEST(Evolution, EveryLaterMessageIsKnownHere) {
  const std::vector<std::uint8_t> nonce(32, 7);
  const Position position(8, 9, From::Time);
  const std::pair<MessageKind, std::vector<std::byte>> tables[] = {
      {MessageKind::kHello, table_of([&](Builder& b) {
         return CreateHelloDirect(b, 1, 2, "c", "AKIA", &nonce, 77, &nonce);
       })},
      {MessageKind::kWelcome,
       table_of([](Builder& b) { return CreateWelcomeDirect(b, 1, 2, "s"); })},
      {MessageKind::kFailed,
       table_of([](Builder& b) { return CreateFailureDirect(b, 3004, "t", 5); })},
      {MessageKind::kGetMap,
       table_of([](Builder& b) { return CreateStreamNameDirect(b, "s", 3); })},
      {MessageKind::kMapChanged,
       table_of([](Builder& b) { return CreateStreamNameDirect(b, "s"); })},
      {MessageKind::kMap, map_of(512)},
      {MessageKind::kAdmin, table_of([](Builder& b) {
         return CreateAdminDirect(b, AdminOperation::SplitShard, "s", 0, 1, 2, &kHash);
       })},
      {MessageKind::kAdminDone, table_of([](Builder& b) { return CreateAdminResult(b); })},
      {MessageKind::kOpenPut,
       table_of([](Builder& b) { return CreateOpenPutDirect(b, "s", 1, 2, 3); })},
      {MessageKind::kPutOpened, table_of([](Builder& b) { return CreatePutOpened(b, 1, 2); })},
      {MessageKind::kPutDone, table_of([](Builder& b) { return CreatePutResult(b, 1, 2, true); })},
      {MessageKind::kSubscribe,
       table_of([&](Builder& b) { return CreateSubscribeDirect(b, "s", 1, &position, 3); })},
      {MessageKind::kSubscribed, table_of([](Builder& b) { return CreateSubscribed(b, 1, 2); })},
      {MessageKind::kDelivery, table_of([](Builder& b) { return CreateDelivered(b, 1, 2, 3); })},
      {MessageKind::kShardEnd, table_of([](Builder& b) {
         const auto list = shards_of(b, 2);
         return CreateShardEndDirect(b, 1, &list);
       })},
      {MessageKind::kGet,
       table_of([&](Builder& b) { return CreateGetDirect(b, "s", 1, &position, 3); })},
      {MessageKind::kGot, table_of([](Builder& b) {
         const auto list = shards_of(b, 2);
         return CreateGotDirect(b, 1, 2, 3, true, &list);
       })},
  };
  for (const auto& [kind, table] : tables) {
    const std::vector<std::byte> later = remade(kind, table);
    EXPECT_GT(later.size(), table.size()) << static_cast<int>(kind);
    const Message message(kind, later);
    const auto decoded = message.decoded();
    ASSERT_TRUE(decoded.has_value()) << static_cast<int>(kind);
    EXPECT_TRUE(decoded->known) << static_cast<int>(kind);
  }
}

TEST(Evolution, WhatIsKnownOfALaterTableIsAsItWas) {
  const Message message(MessageKind::kMap, remade<newer::ShardMap>(map_of(3)));
  const auto decoded = message.decoded();
  ASSERT_TRUE(decoded.has_value());
  const auto& map = *flatbuffers::GetRoot<ShardMap>(decoded->table.data());
  EXPECT_EQ(map.name()->str(), "s");
  EXPECT_EQ(map.stream(), 3U);
  EXPECT_EQ(map.epoch(), 4U);
  EXPECT_EQ(map.state(), StreamState::Active);
  EXPECT_EQ(map.record_bytes_max(), 1U << 20);
  EXPECT_EQ(map.retention_hours(), 24U);
  EXPECT_TRUE(map.more());
  ASSERT_EQ(map.shards()->size(), 3U);
  EXPECT_EQ(map.shards()->Get(2)->number(), 2U);
  EXPECT_EQ(map.shards()->Get(2)->end()->low(), 6U);
  EXPECT_EQ(map.shards()->Get(2)->parent(), UINT32_MAX);
}

TEST(Evolution, ALaterBatchIsABatch) {
  const std::vector<RecordEntry> entries{{0, 1, 2, 1, 0, 5, 6}};
  const std::vector<std::uint8_t> content{'k', 'a', 'b'};
  const std::vector<std::byte> today =
      table_of([&](Builder& b) { return CreateBatchDirect(b, nullptr, &content); });
  const std::vector<std::byte> later = remade<newer::Batch>(
      today, [&](newer::BatchT& batch) { batch.records.emplace_back(0, 1, 2, 1, 0, 5, 6); });
  const Message message(MessageKind::kPut, {}, later);
  const auto decoded = message.decoded();
  ASSERT_TRUE(decoded.has_value());
  const Batch& batch = *GetBatch(decoded->attachment.data());
  ASSERT_EQ(batch.records()->size(), 1U);
  EXPECT_EQ(batch.records()->Get(0)->data_length(), 2U);
  EXPECT_EQ(batch.bytes()->size(), 3U);
}

// As a later side reads it: what it knows besides has its default.
TEST(Evolution, TodaysTableIsReadLater) {
  const std::vector<std::byte> table = map_of(2);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(table.data());
  flatbuffers::Verifier verifier(bytes, table.size());
  ASSERT_TRUE(verifier.VerifyBuffer<newer::ShardMap>(nullptr));
  const auto& map = *flatbuffers::GetRoot<newer::ShardMap>(bytes);
  EXPECT_EQ(map.epoch(), 4U);
  EXPECT_EQ(map.state(), newer::StreamState::Active);
  EXPECT_EQ(map.shards()->Get(1)->begin()->high(), 5U);
  EXPECT_EQ(map.later_number(), 7U);
  EXPECT_EQ(map.later(), nullptr);
  EXPECT_EQ(map.shards()->Get(1)->later_text(), nullptr);
}

TEST(Evolution, AValueOfLaterIsNoneOfTodays) {
  const auto later = remade<newer::ShardMap>(
      map_of(1), [](newer::ShardMapT& map) { map.state = newer::StreamState::Later; });
  const Message message(MessageKind::kMap, later);
  const auto decoded = message.decoded();
  ASSERT_TRUE(decoded.has_value());
  const auto& map = *flatbuffers::GetRoot<ShardMap>(decoded->table.data());
  EXPECT_GT(map.state(), StreamState::MAX);
}

TEST(Evolution, AKindOfLaterIsSaidToBeUnknown) {
  const Message message(static_cast<MessageKind>(20), remade<newer::ShardMap>(map_of(1)),
                        map_of(2));
  const auto decoded = message.decoded();
  ASSERT_TRUE(decoded.has_value());
  EXPECT_FALSE(decoded->known);
}

}  // namespace
}  // namespace penstock::proto
