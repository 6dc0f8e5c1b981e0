#include "proto/message.h"

#include "base/assert.h"

#include <penstock_generated.h>

#include <bit>
#include <cstring>

namespace penstock::proto {
namespace {

static_assert(std::endian::native == std::endian::little);

struct Wire {
  std::uint16_t kind = 0;
  std::uint16_t flags = 0;
  std::uint32_t table_bytes = 0;
  std::uint64_t request = 0;
  std::uint64_t map_epoch = 0;
  std::uint32_t sequence = 0;
  std::uint32_t zero = 0;
};
static_assert(sizeof(Wire) == kMessageHeaderBytes);

constexpr std::uint32_t kDepthMax = 4;
constexpr std::uint32_t kTablesMax = 64;

template <class T>
bool verifies(std::span<const std::byte> table, std::uint32_t tables_max = kTablesMax) {
  const auto* flat = reinterpret_cast<const std::uint8_t*>(table.data());
  flatbuffers::Verifier verifier(flat, table.size(), kDepthMax, tables_max);
  return verifier.VerifyBuffer<T>(nullptr);
}

// A server names every shard of a stream in a table of its own. They are flat, and each takes 4 bytes of a vector at
// the least: the length bounds the work.
template <class T>
bool verifies_with_shards(std::span<const std::byte> table) {
  return verifies<T>(table, kTablesMax + static_cast<std::uint32_t>(table.size() / 4));
}

bool verifies_as_batch(std::span<const std::byte> attachment) {
  if (!verifies<Batch>(attachment)) return false;
  const Batch* batch = GetBatch(attachment.data());
  return batch->records() != nullptr && batch->bytes() != nullptr;
}

enum class Outcome : std::uint8_t { kGood, kBad, kUnknown };

Outcome verify(MessageKind kind, std::span<const std::byte> table,
               std::span<const std::byte> attachment) {
  const auto outcome = [](bool good) { return good ? Outcome::kGood : Outcome::kBad; };
  switch (kind) {
    case MessageKind::kHello:
      return outcome(verifies<Hello>(table));
    case MessageKind::kWelcome:
      return outcome(verifies<Welcome>(table));
    case MessageKind::kFailed:
      return outcome(verifies<Failure>(table));
    case MessageKind::kGetMap:
    case MessageKind::kMapChanged:
      return outcome(verifies<StreamName>(table));
    case MessageKind::kMap:
      return outcome(verifies_with_shards<ShardMap>(table));
    case MessageKind::kAdmin:
      return outcome(verifies<Admin>(table));
    case MessageKind::kAdminDone:
      return outcome(verifies<AdminResult>(table));
    case MessageKind::kOpenPut:
      return outcome(verifies<OpenPut>(table));
    case MessageKind::kPutOpened:
      return outcome(verifies<PutOpened>(table));
    case MessageKind::kPut:
      return outcome(table.empty() && verifies_as_batch(attachment));
    case MessageKind::kPutDone:
      return outcome(verifies<PutResult>(table));
    case MessageKind::kSubscribe:
      return outcome(verifies<Subscribe>(table));
    case MessageKind::kSubscribed:
      return outcome(verifies<Subscribed>(table));
    case MessageKind::kDelivery:
      return outcome(verifies<Delivered>(table));
    case MessageKind::kShardEnd:
      return outcome(verifies_with_shards<ShardEnd>(table));
    case MessageKind::kGet:
      return outcome(verifies<Get>(table));
    case MessageKind::kGot:
      return outcome(verifies_with_shards<Got>(table));
  }
  return Outcome::kUnknown;
}

// Only these have something behind their table.
bool may_have_attachment(MessageKind kind) {
  return kind == MessageKind::kPut || kind == MessageKind::kDelivery || kind == MessageKind::kGot;
}

}  // namespace

MessageHeaderBytes encode(const MessageHeader& header) {
  PENSTOCK_ASSERT(header.table_bytes % 8 == 0);
  Wire wire;
  wire.kind = static_cast<std::uint16_t>(header.kind);
  wire.table_bytes = header.table_bytes;
  wire.request = header.request;
  wire.map_epoch = header.map_epoch;
  wire.sequence = header.sequence;
  return std::bit_cast<MessageHeaderBytes>(wire);
}

Result<DecodedMessage> decode_message(std::span<const std::byte> bytes) {
  PENSTOCK_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 == 0);
  if (bytes.size() < kMessageHeaderBytes) return fail(ErrorCode::kMalformed);
  Wire wire;
  std::memcpy(&wire, bytes.data(), sizeof wire);
  if (wire.flags != 0 || wire.zero != 0) return fail(ErrorCode::kMalformed, 0, 1);
  const std::span<const std::byte> rest = bytes.subspan(kMessageHeaderBytes);
  if (wire.table_bytes > rest.size() || wire.table_bytes % 8 != 0) {
    return fail(ErrorCode::kMalformed, 0, 2);
  }
  DecodedMessage message;
  message.header = {static_cast<MessageKind>(wire.kind), wire.table_bytes, wire.request,
                    wire.map_epoch, wire.sequence};
  message.table = rest.first(wire.table_bytes);
  message.attachment = rest.subspan(wire.table_bytes);
  const Outcome outcome = verify(message.header.kind, message.table, message.attachment);
  if (outcome == Outcome::kBad) return fail(ErrorCode::kMalformed, 0, 3);
  message.known = outcome == Outcome::kGood;
  if (message.known && !message.attachment.empty() && !may_have_attachment(message.header.kind)) {
    return fail(ErrorCode::kMalformed, 0, 4);
  }
  return message;
}

}  // namespace penstock::proto
