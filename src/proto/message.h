// A message of the native protocol: its header, its table, its attachment.
//
// Units      bytes
// Shape      header of 32 bytes, a FlatBuffer by kind, then the attachment up to the end
// Owner      a DecodedMessage points into the bytes that it was decoded from
// Allocates  never
// Errors     decode_message is total against any bytes: kMalformed
// Source     src/proto/PROTOCOL.md §4
#pragma once

#include "penstock/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace penstock::proto {

enum class MessageKind : std::uint16_t {
  kHello = 1,
  kWelcome = 2,
  kFailed = 3,
  kGetMap = 4,
  kMap = 5,
  kMapChanged = 6,
  kAdmin = 7,
  kAdminDone = 8,
  kOpenPut = 16,
  kPutOpened = 17,
  kPut = 18,
  kPutDone = 19,
  kSubscribe = 32,
  kSubscribed = 33,
  kDelivery = 34,
  kShardEnd = 35,
  kGet = 48,
  kGot = 49,
};

inline constexpr std::size_t kMessageHeaderBytes = 32;

struct MessageHeader {
  MessageKind kind = MessageKind::kHello;  // or any other number
  std::uint32_t table_bytes = 0;           // a multiple of 8
  std::uint64_t request = 0;
  std::uint64_t map_epoch = 0;
  std::uint32_t sequence = 0;
};
using MessageHeaderBytes = std::array<std::byte, kMessageHeaderBytes>;
[[nodiscard]] MessageHeaderBytes encode(const MessageHeader& header);

struct DecodedMessage {
  MessageHeader header;
  bool known = false;  // the kind; else its table is as it came
  // Verified: flatbuffers::GetRoot<T> of the kind's T may be used. Empty for kPut.
  std::span<const std::byte> table;
  // kPut: verified as `Batch`, with both its fields; what it says of its records is not looked at.
  std::span<const std::byte> attachment;
};
// REQUIRES: `bytes` begin at a multiple of 8.
[[nodiscard]] Result<DecodedMessage> decode_message(std::span<const std::byte> bytes);

}  // namespace penstock::proto
