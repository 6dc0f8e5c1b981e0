// Reads a whole stream, shards side by side, parents before children, each until it has
// nothing more.
//
// Owner      `run` starts its own threads and ends with them; `records` may be asked meanwhile
// Errors     the first failure of any thread ends all
#pragma once

#include "client/shard_walk.h"
#include "client/streams.h"
#include "session.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::tools {

class Readback {
 public:
  // From any of its threads.
  using Visit = std::function<void(std::string_view key, std::string_view data)>;

  virtual ~Readback() = default;
  virtual Ended run(std::uint32_t threads) = 0;
  [[nodiscard]] std::uint64_t records() const { return records_; }

 protected:
  std::atomic<std::uint64_t> records_{0};
};

[[nodiscard]] std::unique_ptr<Readback> native_readback(const Session& session, std::string stream,
                                                        Readback::Visit visit);

class KinesisReadback final : public Readback {
 public:
  KinesisReadback(std::string stream, client::ClientOptions options, Visit visit);

  Ended run(std::uint32_t threads) override;

 private:
  void work();
  // REQUIRES: locked, or no worker yet; so for the next.
  client::Outcome<> list(client::KinesisClient& client);
  client::Outcome<> add(client::KinesisClient& client,
                        const std::vector<client::ChildShard>& children);
  client::Outcome<std::vector<client::ChildShard>> read_shard(
      client::KinesisClient& client, const client::ShardWalk::Start& start);

  std::string stream_;
  client::ClientOptions options_;
  Visit visit_;
  std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  client::ShardWalk walk_;
  std::optional<client::Failure> failure_;
};

}  // namespace penstock::tools
