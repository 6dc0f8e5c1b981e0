// What the service keeps of a put while the data cores have it.
//
// Shape      a PutContext lies in the exchange's own storage, with room for kInlineEntries entries;
//            calls of more borrow a PutBlock
// Owner      KinesisService, on one core
#pragma once

#include "http/kinesis_service.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace penstock::http {

inline constexpr std::size_t kInlineEntries = 24;

struct KinesisService::PutBlock {
  std::array<shard::PutEntry, kPutRecordsMax> entries;
  PutBlock* next = nullptr;
};

struct KinesisService::PutContext {
  KinesisService* service = nullptr;
  Exchange* exchange = nullptr;
  PutBlock* block = nullptr;  // null: the entries are inline
  PutCall kind = PutCall::kPutRecord;
  shard::PutRequest request;
  std::array<char, kStreamNameMax> name_text{};
  std::size_t name_size = 0;
  std::array<shard::PutEntry, kInlineEntries> inline_entries;

  [[nodiscard]] std::string_view name() const { return {name_text.data(), name_size}; }
};

// A call that waits for a block, in the exchange's storage too: it is read again from its start.
struct KinesisService::PutWaiter {
  Exchange* exchange = nullptr;
  PutWaiter* next = nullptr;
};

}  // namespace penstock::http
