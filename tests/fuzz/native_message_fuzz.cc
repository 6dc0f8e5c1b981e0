// Any bytes as a message, of the kind that they say and of every other: what is let through lies within them, comes
// back from `encode` as it was, and a table that was verified can be read to its end.
#include "proto/message.h"

#include <penstock_generated.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using namespace penstock::proto;

void check(bool condition) {
  if (!condition) std::abort();
}

std::uint64_t sum = 0;  // what was read has to be used

template <class Vector>
void read_bytes(const Vector* vector) {
  if (vector == nullptr) return;
  for (std::size_t i = 0; i < vector->size(); ++i)
    sum += static_cast<std::uint8_t>(vector->Data()[i]);
}

void read_shards(const flatbuffers::Vector<flatbuffers::Offset<Shard>>* shards) {
  if (shards == nullptr) return;
  for (const Shard* shard : *shards) {
    sum += shard->number() + shard->final_index() + shard->core() + (shard->open() ? 1 : 0);
    if (shard->begin() != nullptr) sum += shard->begin()->low();
    if (shard->end() != nullptr) sum += shard->end()->high();
  }
}

template <class T>
const T* root(const DecodedMessage& message) {
  return flatbuffers::GetRoot<T>(message.table.data());
}

void read(const DecodedMessage& message) {
  switch (message.header.kind) {
    case MessageKind::kHello:
      read_bytes(root<Hello>(message)->client());
      read_bytes(root<Hello>(message)->access_key());
      read_bytes(root<Hello>(message)->nonce());
      read_bytes(root<Hello>(message)->proof());
      break;
    case MessageKind::kFailed:
      read_bytes(root<Failure>(message)->text());
      break;
    case MessageKind::kGetMap:
    case MessageKind::kMapChanged:
      read_bytes(root<StreamName>(message)->name());
      break;
    case MessageKind::kMap:
      read_bytes(root<ShardMap>(message)->name());
      read_shards(root<ShardMap>(message)->shards());
      break;
    case MessageKind::kAdminDone:
      if (const auto* streams = root<AdminResult>(message)->streams()) {
        for (const auto* stream : *streams) read_bytes(stream);
      }
      break;
    case MessageKind::kOpenPut:
      read_bytes(root<OpenPut>(message)->stream());
      break;
    case MessageKind::kPut: {
      // Offsets of records may alias; the vectors themselves lie within.
      const Batch* batch = GetBatch(message.attachment.data());
      check(batch->records()->size() * sizeof(RecordEntry) <= message.attachment.size());
      check(batch->bytes()->size() <= message.attachment.size());
      read_bytes(batch->bytes());
      const std::uint8_t* entries = batch->records()->Data();
      for (std::size_t i = 0; i < batch->records()->size() * sizeof(RecordEntry); ++i) {
        sum += entries[i];
      }
      break;
    }
    case MessageKind::kPutDone:
      if (const auto* records = root<PutResult>(message)->records()) sum += records->size();
      break;
    case MessageKind::kSubscribe:
      read_bytes(root<Subscribe>(message)->stream());
      break;
    case MessageKind::kShardEnd:
      read_shards(root<ShardEnd>(message)->children());
      break;
    case MessageKind::kGet:
      read_bytes(root<Get>(message)->stream());
      break;
    case MessageKind::kGot:
      read_shards(root<Got>(message)->children());
      break;
    default:
      break;
  }
}

void look_at(std::span<const std::byte> bytes) {
  const auto message = decode_message(bytes);
  if (!message) return;
  const MessageHeaderBytes header = encode(message->header);
  check(std::memcmp(header.data(), bytes.data(), header.size()) == 0);
  check(message->table.size() == message->header.table_bytes);
  check(message->table.data() == bytes.data() + kMessageHeaderBytes);
  check(message->attachment.data() == message->table.data() + message->table.size());
  check(message->attachment.data() + message->attachment.size() == bytes.data() + bytes.size());
  if (message->known) read(*message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // No byte more than there is, so that the sanitizer sees who reads beyond.
  const std::size_t words = (size + 7) / 8;
  std::vector<std::uint64_t> memory(words);
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(memory)).first(size);
  if (size > 0) std::memcpy(bytes.data(), data, size);
  look_at(bytes);
  if (size < kMessageHeaderBytes) return 0;
  for (const int kind : {1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 18, 19, 32, 33, 34, 35, 48, 49}) {
    bytes[0] = static_cast<std::byte>(kind);
    bytes[1] = std::byte{0};
    look_at(bytes);
  }
  return 0;
}
