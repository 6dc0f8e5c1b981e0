// What must be true, kept by somebody who is obviously right: maps of what was sent, what came of it,
// and what was seen.
//
// Oracle     every acknowledged record once, at its number, unchanged, in order; nothing that was never
//            sent, nothing that was certainly refused; unknown outcomes at most once an attempt; numbers
//            rise; nothing expires early; what a reader saw once stays (nothing visible before durable);
//            where a writer pipelines, what is stored of a key stands in the order in which it was sent. A
//            writer that stores at least once has as many more copies of a record as it has sent batches
//            again in doubt, at most, and no order from then on
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace penstock::sim {

// One record as a reader got it.
struct SeenRecord {
  std::string sequence;
  std::string key;
  std::string data;
};

// A shard read to its end or to its tip, with its parents, as listed.
struct SeenShard {
  std::string id;
  std::string parent;
  std::string adjacent_parent;
  std::string begin;  // of its hash range, decimal
  std::string end;
  std::vector<SeenRecord> records;
};

class Model {
 public:
  enum class Outcome : std::uint8_t { kUnknown, kAcknowledged, kRefused };

  // A record that is about to be sent. `data` is different for every attempt ever made.
  // `pipelined`: the writer does not wait for what it sent before, and keeps the order all the same.
  void sending(const std::string& data, const std::string& key, std::uint64_t writer,
               bool pipelined = false);
  void acknowledged(const std::string& data, const std::string& shard, const std::string& sequence,
                    std::int64_t wall_ms);
  void refused(const std::string& data);
  // A pipelining writer that stores at least once: how many batches it has sent again of which a copy may be stored,
  // and whether anything was refused, sent again, or given up, so that later records may stand in front of it.
  void at_least_once(std::uint64_t writer, std::uint64_t again, bool disordered) {
    leeways_[writer] = {again, disordered};
  }
  // A reader of the running server got it.
  void seen(const std::string& shard, const SeenRecord& record);
  // Records of acknowledged outcome that may have expired: those acknowledged before this.
  void expired_before(std::int64_t retention_ms) { expired_before_ = retention_ms; }
  // Damage that the simulator did to stored bytes: losses in it are reported, not silent.
  void forgive_loss() { loss_forgiven_ = true; }

  // Compares with everything that can be read. Empty: all is well.
  [[nodiscard]] std::vector<std::string> check(const std::vector<SeenShard>& shards) const;

  [[nodiscard]] bool loss_forgiven() const { return loss_forgiven_; }
  [[nodiscard]] std::size_t sent() const { return attempts_.size(); }
  [[nodiscard]] std::size_t acknowledged() const { return acknowledged_count_; }

 private:
  struct Attempt {
    std::string key;
    std::uint64_t writer = 0;
    Outcome outcome = Outcome::kUnknown;
    std::string shard;
    std::string sequence;
    std::uint64_t order = 0;  // of acknowledgements
    std::uint64_t put = 0;    // of sendings, where the writer pipelines; else 0
    std::int64_t at = 0;      // when acknowledged, on the clock that expiry goes by
  };
  struct Leeway {
    std::uint64_t copies = 0;  // of a record, besides one
    bool any_order = false;
  };
  [[nodiscard]] Leeway leeway(std::uint64_t writer) const;
  std::unordered_map<std::string, Attempt> attempts_;                // by data
  std::map<std::pair<std::string, std::string>, std::string> seen_;  // (shard, sequence) → data
  std::unordered_map<std::uint64_t, Leeway> leeways_;                // by writer
  std::uint64_t next_order_ = 1;
  std::uint64_t next_put_ = 1;
  std::size_t acknowledged_count_ = 0;
  std::int64_t expired_before_ = INT64_MIN;
  bool loss_forgiven_ = false;
};

// True when the decimal number a is below b.
[[nodiscard]] bool sequence_less(std::string_view a, std::string_view b);

}  // namespace penstock::sim
