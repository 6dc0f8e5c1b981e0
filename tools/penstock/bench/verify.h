// Judges what was read back of a load against what was acknowledged.
//
// Shape      every acknowledged record is there, once where the target stores once and at least once elsewhere; those of
//            a key came first in the order in which they were put, if the target promises that; each has the data,
//            length and key that it had.
//            What was refused is not there; what is unknown may be
// Owner      `read` from any thread; the tracks, which outlive it, are its own meanwhile
// Allocates  a number for each key
#pragma once

#include "bench/records.h"
#include "bench/target.h"
#include "bench/track.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace penstock::tools::bench {

struct Findings {
  std::uint64_t acknowledged = 0;
  std::uint64_t read = 0;  // of this run
  std::uint64_t missing = 0;
  std::uint64_t twice = 0;
  std::uint64_t disordered = 0;  // came behind a later one of its key
  std::uint64_t damaged = 0;     // another sum, length or key
  std::uint64_t foreign = 0;     // of another run, or of nobody's
  std::uint64_t denied = 0;      // said not to be stored, and there
  std::uint64_t unknown_stored = 0;
  bool exactly_once = true;
  bool ordered = true;  // what is out of order is an error
  bool alone = true;    // nobody else writes to the stream: what is foreign is an error

  [[nodiscard]] bool clean() const;
  // "1,234 acknowledged records read back: each once, unchanged, those of a key in order"
  [[nodiscard]] std::string text() const;
  void add(const Findings& other);
};

class Verifier {
 public:
  struct Expected {
    std::uint32_t run = 0;
    std::uint32_t record_bytes = 0;
    std::uint32_t keys = 0;  // of each producer
    bool exactly_once = true;
    bool ordered = true;
    bool alone = true;
  };
  Verifier(const Expected& expected, std::vector<std::unique_ptr<Track>>& tracks);

  void read(std::span<const Incoming> records);
  [[nodiscard]] Findings judge();

 private:
  void read_one(const Incoming& record);

  Expected expected_;
  std::vector<std::unique_ptr<Track>>& tracks_;
  std::vector<Keys> keys_;  // by producer
  std::vector<std::vector<std::uint64_t>>
      latest_;  // by producer and key: number + 1 of the latest found
  std::mutex mutex_;
  Findings findings_;
};

}  // namespace penstock::tools::bench
