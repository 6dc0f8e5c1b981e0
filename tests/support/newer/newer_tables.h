// What a side of a later version sends: today's tables with all that newer_schema.py adds to them.
#pragma once

#include "proto/message.h"

#include <newer_generated.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace penstock::test {

template <class Object>
void add_later(Object& object) {
  object.later_number = 4711;
  object.later_text = "said later";
  object.later = std::make_unique<newer::LaterT>();
  object.later->text = "and deeper";
  object.later_list.push_back(std::make_unique<newer::LaterT>());
}

// A table of today as a later side has it. `change` may say more with it.
template <class Table, class Change>
std::vector<std::byte> remade(std::span<const std::byte> table, Change change) {
  const std::unique_ptr<typename Table::NativeTableType> object(
      flatbuffers::GetRoot<Table>(table.data())->UnPack());
  add_later(*object);
  if constexpr (requires { object->shards; }) {
    for (const auto& shard : object->shards) add_later(*shard);
  }
  if constexpr (requires { object->children; }) {
    for (const auto& shard : object->children) add_later(*shard);
  }
  change(*object);
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(Table::Pack(builder, object.get()));
  std::vector<std::byte> out((builder.GetSize() + 7) / 8 * 8);
  std::memcpy(out.data(), builder.GetBufferPointer(), builder.GetSize());
  return out;
}
template <class Table>
std::vector<std::byte> remade(std::span<const std::byte> table) {
  return remade<Table>(table, [](auto&) {});
}

// By the message's kind; one without a table has none.
inline std::vector<std::byte> remade(proto::MessageKind kind, std::span<const std::byte> table) {
  using enum proto::MessageKind;
  switch (kind) {
    case kHello:
      return remade<newer::Hello>(table);
    case kWelcome:
      return remade<newer::Welcome>(table);
    case kFailed:
      return remade<newer::Failure>(table);
    case kGetMap:
    case kMapChanged:
      return remade<newer::StreamName>(table);
    case kMap:
      return remade<newer::ShardMap>(table);
    case kAdmin:
      return remade<newer::Admin>(table);
    case kAdminDone:
      return remade<newer::AdminResult>(table);
    case kOpenPut:
      return remade<newer::OpenPut>(table);
    case kPutOpened:
      return remade<newer::PutOpened>(table);
    case kPutDone:
      return remade<newer::PutResult>(table);
    case kSubscribe:
      return remade<newer::Subscribe>(table);
    case kSubscribed:
      return remade<newer::Subscribed>(table);
    case kDelivery:
      return remade<newer::Delivered>(table);
    case kShardEnd:
      return remade<newer::ShardEnd>(table);
    case kGet:
      return remade<newer::Get>(table);
    case kGot:
      return remade<newer::Got>(table);
    case kPut:
      break;
  }
  return {};
}

}  // namespace penstock::test
