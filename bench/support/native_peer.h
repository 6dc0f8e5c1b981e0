// A native client without I/O, for measuring a server: batches made before the run, a lane for each shard,
// and as many batches under way as asked for.
//
// Owner      one thread
// Allocates  in the constructor; the session as it grows
#pragma once

#include "base/hash_key.h"
#include "proto/credentials.h"
#include "transport/session.h"
#include "transport/staging.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace penstock::bench {

struct NativeLoad {
  std::uint32_t record_bytes = 116;  // key of 16 bytes included
  std::uint32_t per_batch = 500;
  std::uint32_t in_flight = 1;  // batches
  std::uint32_t shards = 1;
  bool md5 = false;  // else explicit hashes
};

class NativePeer {
 public:
  // `hash_of`: one that the shard takes. With `md5` the keys decide, and there must be one shard.
  NativePeer(const NativeLoad& load, const proto::Credential& credential,
             const std::function<base::HashKey(std::uint32_t)>& hash_of, WallMillis wall);
  ~NativePeer();

  // Bytes to give to the server; what it has sent.
  [[nodiscard]] std::vector<std::byte> take_bytes(Nanos now);
  void give_bytes(std::span<const std::byte> bytes, Nanos now);

  // Every lane is open.
  [[nodiscard]] bool ready() const { return lanes_open_ == load_.shards; }
  // Sends what is not under way.
  void fill();
  [[nodiscard]] std::uint32_t under_way() const { return under_way_; }
  [[nodiscard]] std::uint64_t records() const { return stored_ * load_.per_batch; }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }

 private:
  struct Outgoing {
    transport::OutgoingMessage message;
    std::vector<std::byte> head;
    const std::vector<std::uint64_t>* batch = nullptr;
    std::uint32_t lane = 0;
    std::uint32_t sequence = 0;
    bool busy = false;
  };
  void on_message(const transport::IncomingMessage& message);
  void send(Outgoing& out, std::uint32_t lane);
  void open_lanes();
  void say_hello(const proto::Credential& credential, WallMillis wall);

  NativeLoad load_;
  transport::Staging staging_;
  std::unique_ptr<transport::Session> session_;
  std::vector<std::vector<std::uint64_t>> batches_;  // a shard's, as FlatBuffers
  std::vector<std::size_t> batch_bytes_;
  std::vector<std::uint32_t> lanes_;
  std::vector<std::unique_ptr<Outgoing>> control_;
  std::vector<std::unique_ptr<Outgoing>> puts_;
  std::uint32_t lanes_open_ = 0;
  std::uint32_t under_way_ = 0;
  std::uint32_t next_shard_ = 0;
  std::uint64_t stored_ = 0;
  std::uint64_t failed_ = 0;
};

}  // namespace penstock::bench
