// What a load drives: a service that keeps records in streams, and how it is written, read, and asked what it costs.
//
// Shape      a stream has `shards` places to write to in parallel; records of one key stay in their order
// Owner      a target is used by one thread, the writers and readers that it makes by one each; both may outlive no
//            target
// Errors     problems that end the run; what becomes of one record is a result, to its Track
// States     of a stream: make ─► write ─► read ─► remove
#pragma once

#include "base/hash_key.h"
#include "bench/manifest.h"
#include "bench/track.h"
#include "client/endpoint.h"
#include "problem.h"
#include "session.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace penstock::tools::bench {

struct Outgoing {
  std::string_view key;
  std::uint32_t key_number = 0;  // of the producer's keys
  std::span<const std::byte> data;
  std::uint64_t number = 0;  // of the record, in its Track
  std::optional<base::HashKey> hash;
};

// One producer's way in. Keeps records of one key in their order, and gives each its result, soon or late.
class Writer {
 public:
  virtual ~Writer() = default;
  // Copies key and data. False: the record was not taken and gets no result; `problem` says why. Waits only where
  // its buffer is full.
  [[nodiscard]] virtual bool put(const Outgoing& record) = 0;
  // Sends what lingers, and waits until all has its result.
  virtual void flush() = 0;
  // Why the first record was not stored that was not; from any thread.
  [[nodiscard]] virtual std::optional<Problem> problem() const = 0;
};

struct WriterShape {
  std::uint32_t batch_bytes = 64 * 1024;
  std::int64_t linger_micros = 2'000;
  std::uint64_t buffered_bytes = 64 * kMiB;  // room for what has no result
  std::uint32_t connections = 8;             // where one does not do
};

struct Incoming {
  std::string_view key;
  std::span<const std::byte> data;
};
// Views hold until it returns. From any thread, several at a time where shards are read side by side.
using OnIncoming = std::function<void(std::span<const Incoming>)>;

enum class From : std::uint8_t { kHorizon, kLatest };
struct ReaderShape {
  From from = From::kHorizon;
  bool pull = false;  // ask again and again, where the target can also be asked once
};

// Reads a stream until it is destroyed.
class Reader {
 public:
  virtual ~Reader() = default;
  // Why it does not go on; from any thread.
  [[nodiscard]] virtual std::optional<Problem> problem() const = 0;
};

// What the server has spent since it began.
struct ServerCost {
  std::optional<double> cpu_seconds;
  std::optional<double> written_bytes;
};

class Target {
 public:
  virtual ~Target() = default;
  // How people know it: "native tls://127.0.0.1:4569".
  [[nodiscard]] virtual std::string name() const = 0;
  // What an acknowledgement means: "media", "none", "1 s", "unknown". Of Penstock: its metrics page's word.
  [[nodiscard]] virtual std::string durability() const = 0;
  // Versions and configuration, for the manifest.
  [[nodiscard]] virtual Facts facts() const = 0;
  // What belongs to the load: carrier, cells, data cores.
  [[nodiscard]] virtual Facts load_facts() const = 0;
  // The server's, where they run on this machine.
  [[nodiscard]] virtual std::vector<pid_t> processes() const = 0;
  // Whether a record is stored once, whatever happens on the way.
  [[nodiscard]] virtual bool exactly_once() const = 0;
  // Whether those of a key come in the order in which they were put.
  [[nodiscard]] virtual bool keeps_order() const { return true; }

  [[nodiscard]] virtual Ended make_stream(const std::string& stream, std::uint32_t shards) = 0;
  // From any thread, beside all but `make_stream`. One that is not there is removed.
  [[nodiscard]] virtual Ended remove_stream(const std::string& stream) = 0;
  [[nodiscard]] virtual Attempt<std::unique_ptr<Writer>> writer(const std::string& stream,
                                                                const WriterShape& shape,
                                                                Track& track) = 0;
  // All that the stream has at this moment, each shard from its beginning to its end.
  [[nodiscard]] virtual Ended read_all(const std::string& stream, const OnIncoming& on_records) = 0;
  [[nodiscard]] virtual Attempt<std::unique_ptr<Reader>> reader(const std::string& stream,
                                                                const ReaderShape& shape,
                                                                OnIncoming on_records) = 0;
  [[nodiscard]] virtual ServerCost cost() = 0;
};

// Which targets there are, by what they are called on the command line.
struct TargetChoice {
  std::string name;        // empty: the session's native endpoint; http://…, https://…, redis://…
  std::string admin;       // where the administration of a Penstock is; empty: beside the endpoint
  std::string durability;  // what to believe of a service that does not tell
  bool idempotent = true;  // native: each record once; otherwise at least once
};
[[nodiscard]] Attempt<std::unique_ptr<Target>> open_target(const Session& session,
                                                           const TargetChoice& choice);
// Those that listen at that port, if the host is this machine by a loopback address.
[[nodiscard]] std::vector<pid_t> local_listeners(const std::string& host, std::uint16_t port);

[[nodiscard]] Attempt<std::unique_ptr<Target>> native_target(const Session& session,
                                                             const TargetChoice& choice);
[[nodiscard]] Attempt<std::unique_ptr<Target>> kinesis_target(const Session& session,
                                                              const TargetChoice& choice);
[[nodiscard]] Attempt<std::unique_ptr<Target>> redis_target(const std::string& url);

}  // namespace penstock::tools::bench
