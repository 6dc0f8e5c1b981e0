// What each vehicle was told about its messages, and what came back when the stream was read: the proof of
// order, completeness and content.
//
// A vehicle numbers its messages from 0. A message is either acknowledged (then it must be there), or its
// last attempt was refused or lost (then it may be). Beyond one copy, there may be one for each attempt
// whose outcome was unknown. First copies must come in order of their numbers.
//
// Owner      while sending, a vehicle's entry belongs to the thread that sends it; while reading, any thread
//            calls `read`. `judge` when all have ended
// Errors     Verdict counts; the first few are described
#pragma once

#include "fleet/telemetry.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::tools {

struct Verdict {
  std::uint64_t acknowledged = 0;
  std::uint64_t unacknowledged = 0;
  std::uint64_t found = 0;       // first copies of this run's messages
  std::uint64_t repeated = 0;    // further copies, each owed to an attempt of unknown outcome
  std::uint64_t foreign = 0;     // records of other runs or other producers
  std::uint64_t missing = 0;     // acknowledged and not found
  std::uint64_t twice = 0;       // more copies than attempts can explain
  std::uint64_t disordered = 0;  // first copies after a later number
  std::uint64_t damaged = 0;     // content does not match its checksum, or its key its vehicle
  std::uint64_t never_sent = 0;  // a number that was not given out
  std::vector<std::string> examples;

  [[nodiscard]] bool clean() const {
    return missing + twice + disordered + damaged + never_sent == 0;
  }
};

class Ledger {
 public:
  Ledger(std::uint32_t vehicles, std::uint32_t run);

  // Sending. Messages are given numbers in order.
  void sent(std::uint32_t vehicle, std::uint32_t sequence);
  // An attempt whose outcome is unknown: it may have left a copy.
  void in_doubt(std::uint32_t vehicle, std::uint32_t sequence);
  // Given up on. Everything else that was sent counts as acknowledged.
  void unacknowledged(std::uint32_t vehicle, std::uint32_t sequence);

  // Reading, in the order of a shard and of parents before children.
  void read(std::string_view key, std::string_view data);

  [[nodiscard]] Verdict judge();

 private:
  struct Exception {
    std::uint32_t doubts = 0;
    std::uint32_t copies = 0;
    bool acknowledged = true;
  };
  struct Entry {
    std::uint32_t sent = 0;
    std::uint32_t next = 0;  // one above the highest number found
    std::map<std::uint32_t, Exception> exceptions;
    std::map<std::uint32_t, bool> skipped;  // numbers below `next`; true: found later, out of order
  };
  static constexpr std::size_t kStripes = 64;
  // Aligned apart: threads that read different shards rarely meet.
  struct alignas(64) Stripe {
    std::mutex mutex;
    Verdict part;
  };

  void place(Entry& entry, Verdict& part, std::uint32_t vehicle, std::uint32_t sequence);
  static void note(Verdict& part, std::string text);
  Stripe& stripe(std::uint32_t vehicle) { return stripes_[vehicle % kStripes]; }

  std::uint32_t run_;
  std::vector<Entry> entries_;
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace penstock::tools
