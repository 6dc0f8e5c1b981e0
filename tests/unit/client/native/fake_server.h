// A server of the native protocol in memory, spoken to through transport::Session: it keeps PROTOCOL.md §4 to §6 with
// one core, stores batches in order, and can be told to refuse, to be late, to forget, and to reshard.
#pragma once

#include "base/hash_key.h"
#include "penstock/result.h"
#include "proto/credentials.h"
#include "proto/message.h"
#include "route/map.h"
#include "storage/batch.h"
#include "transport/session.h"
#include "transport/staging.h"

#include <penstock_generated.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace penstock::client::native::test {

struct Refusal {
  ErrorCode code = ErrorCode::kThrottled;
  std::uint32_t retry_after_ms = 0;
  std::uint32_t record = UINT32_MAX;
  std::uint64_t next = 0;  // kDataLoss
};

// A batch that has come in, before anything is decided.
struct SeenPut {
  std::uint32_t shard = 0;
  std::uint64_t producer = 0;
  std::uint32_t epoch = 0;
  std::uint32_t sequence = 0;
  std::vector<std::string> data;  // of its records
};

struct FakeShard {
  struct Batch {
    std::uint64_t first = 0;
    std::uint32_t count = 0;
    std::vector<std::byte> stored;  // header and FlatBuffer
  };
  struct Entry {
    std::uint64_t first = 0;
    std::int64_t arrival = 0;
  };
  struct Producer {
    std::uint32_t epoch = 0;
    std::uint32_t last = 0;
    std::deque<Entry> window;
  };
  route::ShardRoute route;
  std::uint64_t next = 0;
  std::vector<Batch> batches;
  std::vector<std::pair<std::string, std::string>> records;  // key, data
  std::map<std::uint64_t, Producer> producers;
};

struct FakeStream {
  StreamUid uid;
  std::uint32_t record_bytes_max = 1'048'576;
  std::map<std::uint32_t, FakeShard> shards;
  // Shard after shard by its number, parents before children.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> all() const;
};

class FakeConnection;

class FakeServer {
 public:
  static constexpr const char* kKey = "AKIATEST";
  static constexpr const char* kSecret = "the secret";

  FakeServer();
  ~FakeServer();
  FakeStream& create(const std::string& name, std::uint32_t shards);
  void split(const std::string& name, std::uint32_t shard);
  void merge(const std::string& name, std::uint32_t shard, std::uint32_t adjacent);
  void forget_producers();

  std::map<std::string, FakeStream> streams;
  std::uint64_t epoch = 1;
  std::uint32_t shards_per_map = 2;  // so that maps come in pages
  std::int64_t wall_ms = 1'700'000'000'000;
  std::uint32_t lanes_max = 1024;
  std::size_t delivery_records = 1'000'000;  // of one Delivery

  bool full = false;  // connections are turned away
  bool tells = true;  // clients of a new epoch; otherwise it is as if that were on its way for long

  std::uint64_t credit_seen = 0;  // the most that a subscription ever had

  // Told of each batch; a refusal is answered and nothing stored.
  std::function<std::optional<Refusal>(const SeenPut&)> on_put;
  std::function<std::optional<Refusal>(const proto::OpenPut&)> on_open_put;
  std::function<std::optional<Refusal>(const proto::Get&)> on_get;
  // How long an answer to a batch waits, though the batch is stored.
  std::function<std::int64_t()> answer_delay_nanos;
  // It is of a later version: its tables are these, and a message of a kind that nobody knows goes in front of each.
  std::function<std::vector<std::byte>(proto::MessageKind, std::span<const std::byte>)> rewrite;
  std::vector<std::string> log;  // kinds of messages that came in

  void reshaped();  // a new epoch; clients are told
  transport::Staging staging{256 * kMiB, 16 * kMiB};
  std::vector<FakeConnection*> connections;
};

// One connection's server side.
class FakeConnection {
 public:
  FakeConnection(FakeServer& server, Nanos now);
  ~FakeConnection();
  // Bytes of the client. What is left over was not taken.
  void feed(std::span<const std::byte> bytes, Nanos now);
  std::vector<std::byte> take(Nanos now);
  void tick(Nanos now);
  transport::Session& session() { return *session_; }
  void map_changed();
  void end_lane(std::uint32_t lane);  // by a RESET
  proto::HelloChannel channel{};      // of TLS
  bool mute =
      false;  // what it would answer goes nowhere: the connection is gone, its bytes are not

 private:
  struct PutLane {
    std::string stream;
    std::uint32_t shard = 0;
    std::uint64_t producer = 0;
    std::uint32_t epoch = 0;
    std::uint32_t waiting = 0;
    bool open = false;
  };
  struct Subscription {
    std::string stream;
    std::uint32_t shard = 0;
    std::uint64_t next = 0;
    bool told = false;  // that there is nothing to begin with, or was something
  };
  struct Late {
    Nanos at;
    std::uint32_t lane = 0;
    std::function<void()> answer;
  };

  void drain(Nanos now);
  void on_message(std::uint32_t lane, const proto::DecodedMessage& message, Nanos now);
  void hello(const proto::DecodedMessage& message);
  void get_map(const proto::DecodedMessage& message);
  void admin(const proto::DecodedMessage& message);
  void open_put(std::uint32_t lane, const proto::DecodedMessage& message);
  void put(std::uint32_t lane, const proto::DecodedMessage& message, Nanos now);
  void subscribe(std::uint32_t lane, const proto::DecodedMessage& message);
  void deliver(std::uint32_t lane);
  void get(std::uint32_t lane, const proto::DecodedMessage& message);
  void done(std::uint32_t lane, std::uint64_t request, const FakeShard::Entry& entry,
            bool duplicate);
  void fail(std::uint32_t lane, std::uint64_t request, const Refusal& refusal);
  void reply(std::uint32_t lane, proto::MessageKind kind, std::uint64_t request,
             const flatbuffers::FlatBufferBuilder& table,
             const std::vector<std::byte>& attachment = {});
  void send(std::uint32_t lane, proto::MessageKind kind, std::uint64_t request,
            std::span<const std::byte> table, std::span<const std::byte> attachment);

  FakeServer& server_;
  std::unique_ptr<transport::Session> session_;
  bool greeted_ = false;
  std::map<std::uint32_t, PutLane> puts_;
  std::map<std::uint32_t, Subscription> subscriptions_;
  std::vector<Late> late_;
};

}  // namespace penstock::client::native::test
