// The clients of a simulation: writers, readers and an administrator, each with one call in flight.
// They speak HTTP bytes on simulated sockets and tell the model what they sent and what came of it.
//
// Owner      one simulation
#pragma once

#include "drivers/sim/random.h"
#include "penstock/units.h"
#include "tests/sim/model.h"
#include "tests/sim/wire_client.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock::sim {

// What all actors share.
struct Stage {
  Model& model;
  std::string stream;
  // The clock that expiry goes by, as the harness reckons it.
  std::int64_t retention_ms = 0;
  bool strict = false;    // nothing but the power fails
  bool calm = false;      // nothing fails any more
  bool was_off = false;   // for hours: records may have expired
  bool quiet = false;     // actors finish what they do and start nothing more
  std::string refusal{};  // the last one that a writer got
  std::vector<std::string> findings{};
};

[[nodiscard]] std::string filler(drivers::SimRandom& random);

class Actor {
 public:
  virtual ~Actor() = default;
  // Looks after its connection and starts the next call when it is time.
  virtual void poll(Nanos now, WallMillis wall) = 0;
  [[nodiscard]] virtual bool busy() const = 0;
  [[nodiscard]] virtual Nanos next_action() const = 0;
  // When it has to be polled though nothing has arrived.
  [[nodiscard]] virtual Nanos next_turn(bool quiet) const {
    return busy() || quiet ? Nanos(INT64_MAX) : next_action();
  }
  // The server is gone: what was in flight has an unknown outcome.
  virtual void lose_server() = 0;
};

// PutRecords and PutRecord of small records under keys of its own; retries what was refused, in
// order, as new attempts.
class Writer final : public Actor {
 public:
  Writer(Stage& stage, WireClient client, std::uint64_t id, std::uint64_t seed);
  void poll(Nanos now, WallMillis wall) override;
  [[nodiscard]] bool busy() const override { return !sent_.empty(); }
  [[nodiscard]] Nanos next_action() const override { return next_; }
  void lose_server() override;
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }

 private:
  struct Sent {
    std::string data;
    std::string key;
  };
  void start(Nanos now, WallMillis wall);
  void finish(const WireAnswer& answer);

  Stage& stage_;
  WireClient client_;
  std::uint64_t id_;
  drivers::SimRandom random_;
  std::vector<Sent> sent_;
  std::uint64_t counter_ = 0;
  std::uint64_t acknowledged_ = 0;
  bool single_ = false;  // the call in flight is PutRecord
  Nanos next_;
};

// Reads shards from their horizon on, for as long as the server lives.
class Reader final : public Actor {
 public:
  Reader(Stage& stage, WireClient client, std::uint64_t seed);
  void poll(Nanos now, WallMillis wall) override;
  [[nodiscard]] bool busy() const override { return client_.busy(); }
  [[nodiscard]] Nanos next_action() const override { return next_; }
  void lose_server() override;

 private:
  enum class Step : std::uint8_t { kList, kIterator, kRecords };
  Stage& stage_;
  WireClient client_;
  drivers::SimRandom random_;
  Step step_ = Step::kList;
  std::string shard_;
  std::string iterator_;
  Nanos next_;
};

// Splits, merges, changes retention up and down within bounds, creates and deletes other streams.
class Administrator final : public Actor {
 public:
  Administrator(Stage& stage, WireClient client, std::uint64_t seed);
  void poll(Nanos now, WallMillis wall) override;
  [[nodiscard]] bool busy() const override { return client_.busy(); }
  [[nodiscard]] Nanos next_action() const override { return next_; }
  void lose_server() override;

 private:
  void act(WallMillis wall);
  void split_or_merge(WallMillis wall);
  Stage& stage_;
  WireClient client_;
  drivers::SimRandom random_;
  std::string shards_;  // the last ListShards answer; empty: ask
  bool listing_ = false;
  std::uint64_t others_ = 0;
  Nanos next_;
};

}  // namespace penstock::sim
