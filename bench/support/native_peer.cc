#include "bench/support/native_peer.h"

#include "base/assert.h"
#include "penstock_generated.h"
#include "proto/message.h"
#include "route/md5.h"
#include "storage/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <random>

namespace penstock::bench {
namespace {

constexpr std::uint32_t kKeyBytes = 16;
constexpr std::uint16_t kExplicit = 1;

// Header and table in one piece of memory.
std::vector<std::byte> head_of(proto::MessageHeader header, std::span<const std::uint8_t> table) {
  header.table_bytes = static_cast<std::uint32_t>(round_up(table.size(), std::size_t{8}));
  std::vector<std::byte> bytes(proto::kMessageHeaderBytes + header.table_bytes);
  std::ranges::copy(proto::encode(header), bytes.begin());
  if (!table.empty()) {
    std::memcpy(bytes.data() + proto::kMessageHeaderBytes, table.data(), table.size());
  }
  return bytes;
}

}  // namespace

NativePeer::NativePeer(const NativeLoad& load, const proto::Credential& credential,
                       const std::function<base::HashKey(std::uint32_t)>& hash_of, WallMillis wall)
    : load_(load), staging_(64 * kMiB, 16 * kMiB) {
  transport::SessionOptions options;
  session_ = std::make_unique<transport::Session>(options, staging_, Nanos{});
  const std::uint32_t data_bytes = load.record_bytes - kKeyBytes;
  std::mt19937_64 random(1);
  std::string data(data_bytes, 'x');
  for (std::uint32_t shard = 0; shard < load.shards; ++shard) {
    const std::size_t payload = std::size_t{load.per_batch} * load.record_bytes;
    std::vector<std::uint64_t> space(storage::batch_bytes(load.per_batch, payload) / 8);
    const auto out = std::as_writable_bytes(std::span(space));
    storage::BatchWriter writer(out, {}, load.per_batch, payload);
    for (std::uint32_t i = 0; i < load.per_batch; ++i) {
      const std::string key = fmt::format("vehicle-{:08}", i);
      for (char& c : data) c = static_cast<char>(random());
      storage::RecordRef record{.key = reinterpret_cast<const std::byte*>(key.data()),
                                .data = reinterpret_cast<const std::byte*>(data.data()),
                                .data_bytes = data_bytes,
                                .key_bytes = kKeyBytes,
                                .flags = load.md5 ? std::uint16_t{0} : kExplicit,
                                .hash = hash_of(shard)};
      if (load.md5) {
        const route::KeyRef ref{record.key, kKeyBytes};
        route::md5(std::span(&ref, 1), std::span(&record.hash, 1));
      }
      writer.add(record);
    }
    const std::size_t bytes = writer.finish() - storage::kBatchHeaderBytes;
    std::vector<std::uint64_t> flat(bytes / 8);
    std::memcpy(flat.data(), out.data() + storage::kBatchHeaderBytes, bytes);
    batches_.push_back(std::move(flat));
    batch_bytes_.push_back(bytes);
  }
  for (std::uint32_t i = 0; i < load.in_flight; ++i) puts_.push_back(std::make_unique<Outgoing>());
  say_hello(credential, wall);
}

NativePeer::~NativePeer() = default;

void NativePeer::send(Outgoing& out, std::uint32_t lane) {
  out.busy = true;
  out.lane = lane;
  out.message.parts[0] = out.head;
  out.message.part_count = 1;
  if (out.batch != nullptr) {
    out.message.parts[1] = std::as_bytes(std::span(*out.batch));
    out.message.part_count = 2;
  }
  out.message.context = &out;
  out.message.done = [](transport::OutgoingMessage& message, bool) {
    static_cast<Outgoing*>(message.context)->busy = false;
  };
  session_->send(lane, out.message);
}

void NativePeer::say_hello(const proto::Credential& credential, WallMillis wall) {
  const std::vector<std::uint8_t> nonce(proto::kHelloNonceMin, 7);
  proto::Sha256 hash;
  const proto::Sha256Digest proof = proto::hello_proof(hash, credential.secret_access_key, {},
                                                       wall.raw(), std::as_bytes(std::span(nonce)));
  flatbuffers::FlatBufferBuilder table;
  const auto client = table.CreateString("penstock bench");
  const auto key = table.CreateString(credential.access_key_id);
  const auto nonce_at = table.CreateVector(nonce);
  const auto proof_at =
      table.CreateVector(reinterpret_cast<const std::uint8_t*>(proof.data()), proof.size());
  table.Finish(proto::CreateHello(table, 1, 1, client, key, nonce_at, wall.raw(), proof_at));
  control_.push_back(std::make_unique<Outgoing>());
  control_.back()->head = head_of({.kind = proto::MessageKind::kHello, .request = 1},
                                  {table.GetBufferPointer(), table.GetSize()});
  send(*control_.back(), 0);
}

void NativePeer::open_lanes() {
  for (std::uint32_t shard = 0; shard < load_.shards; ++shard) {
    flatbuffers::FlatBufferBuilder table;
    const auto stream = table.CreateString("bench");
    table.Finish(proto::CreateOpenPut(table, stream, shard));
    control_.push_back(std::make_unique<Outgoing>());
    control_.back()->head = head_of({.kind = proto::MessageKind::kOpenPut, .request = shard + 2},
                                    {table.GetBufferPointer(), table.GetSize()});
    lanes_.push_back(session_->open_lane({.priority = transport::Priority::kPut}));
    PENSTOCK_ASSERT(lanes_.back() != 0);
    send(*control_.back(), lanes_.back());
  }
}

void NativePeer::fill() {
  for (const auto& put : puts_) {
    if (put->busy || under_way_ == load_.in_flight) continue;
    const std::uint32_t shard = std::exchange(next_shard_, (next_shard_ + 1) % load_.shards);
    put->batch = &batches_[shard];
    put->head = head_of({.kind = proto::MessageKind::kPut, .request = 1'000'000}, {});
    send(*put, lanes_[shard]);
    ++under_way_;
  }
}

std::vector<std::byte> NativePeer::take_bytes(Nanos now) {
  std::vector<std::byte> bytes;
  for (;;) {
    std::array<std::span<const std::byte>, 64> pieces;
    const std::size_t count = session_->gather(pieces, 16 * kMiB);
    if (count == 0) return bytes;
    for (const auto& piece : std::span(pieces).first(count)) {
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    }
    session_->sent(now);
  }
}

void NativePeer::give_bytes(std::span<const std::byte> bytes, Nanos now) {
  while (!bytes.empty()) {
    const std::span<std::byte> into = session_->destination();
    const std::size_t count = std::min(into.size(), bytes.size());
    PENSTOCK_ASSERT(count > 0);
    std::memcpy(into.data(), bytes.data(), count);
    bytes = bytes.subspan(count);
    session_->arrived(count, now);
    for (;;) {
      transport::SessionEvent event = session_->next_event();
      if (event.kind == transport::SessionEventKind::kNone) break;
      PENSTOCK_ASSERT(event.kind != transport::SessionEventKind::kClosed);
      if (event.kind != transport::SessionEventKind::kMessage) continue;
      on_message(event.message);
      session_->release(event.message);
    }
  }
}

void NativePeer::on_message(const transport::IncomingMessage& message) {
  const auto decoded = proto::decode_message(message.bytes());
  PENSTOCK_ASSERT(decoded.has_value());
  switch (decoded->header.kind) {
    case proto::MessageKind::kWelcome: {
      const auto& welcome = *flatbuffers::GetRoot<proto::Welcome>(decoded->table.data());
      session_->welcome({welcome.credit(), welcome.message_max(), welcome.lanes_max()});
      return open_lanes();
    }
    case proto::MessageKind::kPutOpened:
      ++lanes_open_;
      return;
    case proto::MessageKind::kPutDone:
      --under_way_;
      ++stored_;
      return;
    case proto::MessageKind::kFailed:
      if (under_way_ > 0) --under_way_;
      ++failed_;
      return;
    default:
      return;
  }
}

}  // namespace penstock::bench
